"""Fuses the vectors of several modalities into one."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf


@keras.utils.register_keras_serializable(package="tfrec_div")
class ConcatFusion(keras.layers.Layer):
    """Concatenates the modalities and projects them; a missing modality is masked out.

    The projection starts as the sum of the modalities, so that training begins with every modality of use.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = ConcatFusion(2)
        >>> text, image = [1.0, 2.0], [10.0, 20.0]
        >>> mask = tf.constant([[True, True], [True, False]])
        >>> fusion(tf.constant([[text, image]] * 2), modality_mask=mask).numpy().tolist()
        [[11.0, 22.0], [1.0, 2.0]]
    """

    def __init__(self, dim: int, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, input_shape) -> None:
        """Makes the projection."""
        _, modalities, dim = input_shape
        self.kernel = self.add_weight(
            name="kernel",
            shape=(modalities * dim, self.dim),
            initializer=lambda shape, dtype=None: tf.constant(
                np.tile(np.eye(dim, self.dim), (modalities, 1)), dtype
            ),
        )
        super().build(input_shape)

    def call(self, vectors: tf.Tensor, modality_mask: tf.Tensor | None = None) -> tf.Tensor:
        """Fuses vectors float [batch, modalities, dim] with a mask bool [batch, modalities] to [batch, dim]."""
        if modality_mask is not None:
            vectors *= tf.cast(modality_mask, vectors.dtype)[..., tf.newaxis]
        return tf.matmul(tf.reshape(vectors, [-1, self.kernel.shape[0]]), self.kernel)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}
