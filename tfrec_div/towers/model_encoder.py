"""The encoder of a feature that a large model reads anew at each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.draws import counted_step
from tfrec_div.towers.encoders import VectorEncoder
from tfrec_div.towers.parts import adapt_parts, project_parts

_BATCH = 32


@keras.utils.register_keras_serializable(package="tfrec_div")
class ModelEncoder(keras.layers.Layer):
    """Runs a text or image model on the rows of a batch, then centres and projects its vectors.

    The counterpart of `VectorEncoder` for a model whose vectors cannot be kept, since training changes them: rows
    hold token ids or pixels, which `model.to_rows` made. A row without content does not reach the model.

    Args:
        model: `TextEncoder` or `ImageEncoder`.
        dim: Length of the output.
        parts: Whether to give the model's parts (tokens, regions) besides the vector, as `PartsEncoder` does.
        **kwargs: As for any Keras layer.

    Example:
        >>> from tfrec_div.towers.text import TextEncoder
        >>> model = TextEncoder.from_pretrained("tiny", trainable_layers=1, max_tokens=8)
        >>> encoder = ModelEncoder(model, dim=4)
        >>> rows = model.to_rows(tf.constant(["a toy", ""]))
        >>> encoder.present(rows).numpy().tolist(), encoder(rows)[1].numpy().tolist()
        ([True, False], [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, model: Any, dim: int, parts: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        self.dim = dim
        self.parts = parts
        self.project = VectorEncoder(model.dim, dim, name="project")
        if parts:
            self.project_parts = VectorEncoder(model.dim, dim, name="project_parts")
        self.step = counted_step(self)

    def adapt(self, rows: np.ndarray, sample: int = 512) -> None:
        """Learns the mean and the scale of the model's vectors from some of the rows [n, ...]."""
        rows = np.asarray(rows)
        rows = rows[np.flatnonzero(self.model.present(rows))]
        if len(rows) > sample:
            rows = rows[np.random.default_rng(0).permutation(len(rows))[:sample]]
        vectors, *parts = self._read(rows)
        self.project.adapt(vectors)
        if self.parts:
            adapt_parts(self.project_parts, parts[0])

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Returns what the model makes of many rows, float32 [n, model.dim], before the projection."""
        return self._read(rows)[0]

    def _read(self, rows: np.ndarray) -> list[np.ndarray]:
        """Returns vectors [n, model.dim] and, if wanted, parts [n, length, model.dim] of many rows."""
        graph = tf.function(lambda batch: self._encode(batch, False), reduce_retracing=True)
        shapes = (
            [(self.model.dim,), (self.model.max_parts, self.model.dim)] if self.parts else [(self.model.dim,)]
        )
        read = [np.zeros([len(rows), *shape], np.float32) for shape in shapes]
        for start in range(0, len(rows), _BATCH):
            batch = slice(start, start + _BATCH)
            for whole, found in zip(read, graph(tf.constant(rows[batch])), strict=True):
                whole[batch] = found.numpy()
        return read

    def call(self, rows: tf.Tensor, training: bool | None = None):
        """Encodes rows [batch, ...] to float [batch, dim]; with `parts` also to those, as `PartsEncoder` does."""
        vectors, *parts = self._encode(rows, training)
        if training:
            self.step.assign_add(1)
        present = tf.cast(self.present(rows), vectors.dtype)[:, tf.newaxis]
        projected = self.project(vectors) * tf.cast(present, self.compute_dtype)
        return (projected, project_parts(self.project_parts, parts[0])) if self.parts else projected

    def present(self, rows: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a content, bool [batch]."""
        return self.model.present(rows)

    def _encode(self, rows: tf.Tensor, training: bool | None) -> list[tf.Tensor]:
        """Returns vectors [batch, model.dim] and, if wanted, parts [batch, length, model.dim]."""
        place = tf.where(self.model.present(rows))
        encode = self.model.encode_parts if self.parts else self.model.encode_rows
        # `identity`, since the step is counted further while the draws are still to come.
        found = encode(tf.gather(rows, place[:, 0]), training=training, step=tf.identity(self.step))
        return [
            _spread(part, place, tf.shape(rows, tf.int64)[:1]) for part in (found if self.parts else [found])
        ]

    def get_config(self) -> dict:
        """Returns the constructor's arguments; the weights are no part of it."""
        config = {"model": keras.layers.serialize(self.model), "dim": self.dim, "parts": self.parts}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ModelEncoder:
        """Makes an encoder of what `get_config` returned."""
        return cls(**{**config, "model": keras.layers.deserialize(config["model"], custom_objects)})


def _spread(found: tf.Tensor, place: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """Puts what was found in its rows; the others are zero."""
    shape = found.shape[1:].as_list()
    whole = tf.scatter_nd(place, found, tf.concat([batch, tf.constant(shape, tf.int64)], axis=0))
    return tf.ensure_shape(whole, [None, *shape])
