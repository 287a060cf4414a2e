"""Concatenation of the modalities, followed by a projection."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion


@keras.utils.register_keras_serializable(package="tfrec_div")
class ConcatFusion(Fusion):
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

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Projects the vectors, end to end."""
        return tf.matmul(tf.reshape(vectors, [-1, self.kernel.shape[0]]), self.kernel)
