"""The encoder of a feature that a large model reads anew at each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.draws import counted_step
from tfrec_div.towers.encoders import VectorEncoder

_BATCH = 32


@keras.utils.register_keras_serializable(package="tfrec_div")
class ModelEncoder(keras.layers.Layer):
    """Runs a text or image model on the rows of a batch, then centres and projects its vectors.

    The counterpart of `VectorEncoder` for a model whose vectors cannot be kept, since training changes them: rows
    hold token ids or pixels, which `model.to_rows` made. A row without content does not reach the model.

    Args:
        model: `TextEncoder` or `ImageEncoder`.
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> from tfrec_div.towers.text import TextEncoder
        >>> model = TextEncoder.from_pretrained("tiny", trainable_layers=1, max_tokens=8)
        >>> encoder = ModelEncoder(model, dim=4)
        >>> rows = model.to_rows(tf.constant(["a toy", ""]))
        >>> encoder.present(rows).numpy().tolist(), encoder(rows)[1].numpy().tolist()
        ([True, False], [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, model: Any, dim: int, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        self.dim = dim
        self.project = VectorEncoder(model.dim, dim, name="project")
        self.step = counted_step(self)

    def adapt(self, rows: np.ndarray, sample: int = 512) -> None:
        """Learns the mean and the scale of the model's vectors from some of the rows [n, ...]."""
        rows = np.asarray(rows)
        rows = rows[np.flatnonzero(self.model.present(rows))]
        if len(rows) > sample:
            rows = rows[np.random.default_rng(0).permutation(len(rows))[:sample]]
        self.project.adapt(self.vectors(rows))

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Returns what the model makes of many rows, float32 [n, model.dim], before the projection."""
        graph = tf.function(lambda batch: self._encode(batch, False), reduce_retracing=True)
        starts = range(0, len(rows), _BATCH)
        parts = [graph(tf.constant(rows[start : start + _BATCH])).numpy() for start in starts]
        return np.concatenate([np.zeros([0, self.model.dim], np.float32), *parts])

    def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encodes rows [batch, ...] to float [batch, dim]."""
        vectors = self._encode(rows, training)
        if training:
            self.step.assign_add(1)
        present = tf.cast(self.present(rows), vectors.dtype)[:, tf.newaxis]
        return self.project(vectors) * tf.cast(present, self.compute_dtype)

    def present(self, rows: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a content, bool [batch]."""
        return self.model.present(rows)

    def _encode(self, rows: tf.Tensor, training: bool | None) -> tf.Tensor:
        place = tf.where(self.model.present(rows))
        # `identity`, since the step is counted further while the draws are still to come.
        step = tf.identity(self.step)
        found = self.model.encode_rows(tf.gather(rows, place[:, 0]), training=training, step=step)
        shape = tf.stack([tf.shape(rows, tf.int64)[0], self.model.dim])
        return tf.ensure_shape(tf.scatter_nd(place, found, shape), [None, self.model.dim])

    def get_config(self) -> dict:
        """Returns the constructor's arguments; the weights are no part of it."""
        return {**super().get_config(), "model": keras.layers.serialize(self.model), "dim": self.dim}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ModelEncoder:
        """Makes an encoder of what `get_config` returned."""
        return cls(**{**config, "model": keras.layers.deserialize(config["model"], custom_objects)})
