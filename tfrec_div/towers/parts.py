"""The parts of a content, a text's tokens or a picture's regions, for fusions that read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.towers.cache import Contents
from tfrec_div.towers.encoders import VectorEncoder

# Parts have length 1, so that half precision loses little of them.
DTYPE = "float16"
_BATCH = 32


def parts_name(name: str) -> str:
    """Returns under which name the parts of a feature stand beside it."""
    return f"{name}_parts"


def gives_parts(encoder) -> bool:
    """Tells whether an encoder gives the parts of a content, not only its vector; False for None."""
    return hasattr(encoder, "encode_parts")


def parts_spec(encoder) -> tuple[tuple[int, ...], str]:
    """Returns shape and type of what is kept of a content's parts."""
    return (encoder.max_parts, encoder.dim), DTYPE


def parts_of(encoder, contents: tf.Tensor) -> tf.Tensor:
    """Encodes the parts of contents, strings [batch], in the graph: float16 [batch, max_parts, dim]."""
    return tf.cast(encoder.encode_parts(encoder.to_rows(contents))[1], DTYPE)


def all_parts(encoder, contents: Contents, progress: bool = True) -> np.ndarray:
    """Encodes the parts of many contents, float16 [n, max_parts, dim]; zero where there is no part.

    Args:
        encoder: A frozen encoder with `encode_parts`.
        contents: `n` texts or encoded pictures.
        progress: Whether to show a bar.
    """
    shape, dtype = parts_spec(encoder)
    kept = np.zeros([len(contents), *shape], dtype)
    graph = tf.function(
        lambda batch: parts_of(encoder, batch), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    starts = range(0, len(contents), _BATCH)
    for start in tqdm(starts, desc="Encoding parts", unit="batch", disable=not progress):
        stop = min(start + _BATCH, len(contents))
        kept[start:stop] = graph(
            tf.constant([contents[row] for row in range(start, stop)], tf.string)
        ).numpy()
    return kept


@keras.utils.register_keras_serializable(package="tfrec_div")
class PartsEncoder(keras.layers.Layer):
    """Centres and projects what a frozen tower made of a content: its vector, and its parts.

    A zero vector is a missing one, and so is a zero part.

    Args:
        input_dim: Length of the vectors and of the parts.
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = PartsEncoder(input_dim=2, dim=4)
        >>> content = {"vectors": tf.ones([1, 2]), "parts": tf.constant([[[1.0, 0.0], [0.0, 0.0]]])}
        >>> vector, (parts, there) = encoder(content)
        >>> vector.shape.as_list(), parts.shape.as_list(), there.numpy().tolist()
        ([1, 4], [1, 2, 4], [[True, False]])
    """

    def __init__(self, input_dim: int, dim: int, **kwargs):
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.dim = dim
        self.project = VectorEncoder(input_dim, dim, name="project")
        self.project_parts = VectorEncoder(input_dim, dim, name="project_parts")

    def adapt(self, vectors: np.ndarray, parts: np.ndarray) -> None:
        """Learns mean and scale of vectors [n, input_dim] and of parts [n, length, input_dim]."""
        self.project.adapt(vectors)
        adapt_parts(self.project_parts, parts)

    def call(self, content: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Encodes `vectors` [batch, input_dim] and `parts` [batch, length, input_dim].

        Returns:
            Float [batch, dim]; and the parts as float [batch, length, dim] with bool [batch, length], which of them
            are there.
        """
        return self.project(content["vectors"]), project_parts(self.project_parts, content["parts"])

    @staticmethod
    def present(content: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Tells which rows have a content, bool [batch]."""
        return VectorEncoder.present(content["vectors"])

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "input_dim": self.input_dim, "dim": self.dim}


def project_parts(project: VectorEncoder, parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Projects parts [batch, length, input_dim] by a layer for vectors, to length sqrt(dim); tells which are there."""
    flat = tf.reshape(parts, [-1, project.input_dim])
    shape = tf.shape(parts)[:2]
    # To entries of about 1, as attention wants them: of smaller ones it would see no differences for long.
    projected = tf.math.l2_normalize(project(flat), axis=1) * project.dim**0.5
    projected = tf.reshape(projected, tf.concat([shape, [project.dim]], axis=0))
    there = tf.reshape(project.present(flat), shape)
    length = parts.shape[1]
    return tf.ensure_shape(projected, [None, length, project.dim]), tf.ensure_shape(there, [None, length])


def adapt_parts(project: VectorEncoder, parts: np.ndarray, sample: int = 512) -> None:
    """Has a layer for vectors learn mean and scale from the parts of some of the contents [n, length, input_dim]."""
    parts = np.asarray(parts)
    if len(parts) > sample:
        parts = parts[np.random.default_rng(0).permutation(len(parts))[:sample]]
    project.adapt(parts.reshape(-1, project.input_dim).astype(np.float32))
