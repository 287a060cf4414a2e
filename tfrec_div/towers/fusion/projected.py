"""Each modality through a wide layer of its own, then concatenation."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion, blank


@keras.utils.register_keras_serializable(package="tfrec_div")
class ProjectedConcatFusion(Fusion):
    """Projects each modality by a layer with ReLU, concatenates what they give, and projects it to the output.

    With text and picture it is X = concat(ReLU(W_t text + b_t), ReLU(W_i picture + b_i)), each of 1,024 units.

    Args:
        dim: Length of the output.
        units: Units of each modality's layer.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = ProjectedConcatFusion(2, units=16)
        >>> fusion(tf.ones([5, 3, 4])).shape
        TensorShape([5, 2])
    """

    def __init__(self, dim: int, units: int = 1024, **kwargs: Any) -> None:
        super().__init__(dim, **kwargs)
        if units < 1:
            raise ValueError(f"units: expected at least 1, got {units}")
        self.units = units

    def build(self, input_shape) -> None:
        """Makes the modalities' layers and the projection."""
        _, modalities, dim = input_shape
        self.hidden_kernel = self.add_weight(
            name="hidden_kernel",
            shape=(modalities, dim, self.units),
            initializer=keras.initializers.RandomNormal(stddev=(2.0 / dim) ** 0.5),
        )
        self.hidden_bias = self.add_weight(
            name="hidden_bias", shape=(modalities, self.units), initializer="zeros"
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(modalities * self.units, self.dim),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )
        super().build(input_shape)

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Projects, concatenates and projects again."""
        hidden = tf.nn.relu(tf.einsum("bmi,mih->bmh", vectors, self.hidden_kernel) + self.hidden_bias)
        # Once more: the bias of a masked modality must not be in the output either.
        hidden = blank(hidden, mask)
        return tf.matmul(tf.reshape(hidden, [-1, self.kernel.shape[0]]), self.kernel)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}
