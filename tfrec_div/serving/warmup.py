"""Requests that a server runs before it answers the first user."""

from __future__ import annotations

from pathlib import Path

from tfrec_div._keras import tf
from tfrec_div.serving.manifest import inputs_of


def write_warmup(folder: Path, signatures: dict, users: list[str], k: int) -> Path:
    """Writes one request a signature where TensorFlow Serving looks for them.

    Args:
        folder: The version folder.
        signatures: Concrete functions by name.
        users: User ids for the requests.
        k: Length of the page asked for.
    """
    # It imports all of TensorFlow's serving protocol, which nothing else here needs.
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = folder.parent.name
            request.model_spec.signature_name = name
            for spec in inputs_of(function):
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(_value(spec, users, k)))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
    return file


def _value(spec: tf.TensorSpec, users: list[str], k: int) -> tf.Tensor:
    if spec.name == "user_id":
        return tf.constant(users[:1] or [""])
    if spec.name == "k":
        return tf.constant([k])
    if spec.dtype == tf.float32:
        return tf.constant([float("nan")])
    return tf.constant([""]) if spec.shape.rank == 1 else tf.constant([[""]])
