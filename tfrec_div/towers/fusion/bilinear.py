"""Products between the modalities, in a space of low rank."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion, StackedIdentity


@keras.utils.register_keras_serializable(package="tfrec_div")
class BilinearFusion(Fusion):
    """Adds the products of all pairs of modalities, taken in a space of `rank` entries, to their sum.

    Each modality goes to h = tanh(U x); the products h_i ∘ h_j of all pairs are added up and projected to the output,
    beside a linear projection of each modality. It starts as the sum of the vectors. A modality that is missing is in
    no pair.

    Args:
        dim: Length of the output.
        rank: Length of the vectors that are multiplied; `dim` by default.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = BilinearFusion(2)
        >>> fusion(tf.constant([[[1.0, 2.0], [10.0, 20.0]]])).numpy().tolist()
        [[11.0, 22.0]]

    Kim et al. (2017), Hadamard product for low-rank bilinear pooling, with the shortcut of its equation 9; for more
    than two modalities the pairs are added up.
    """

    def __init__(self, dim: int, rank: int | None = None, **kwargs: Any) -> None:
        super().__init__(dim, **kwargs)
        if rank is not None and rank < 1:
            raise ValueError(f"rank: expected at least 1, got {rank}")
        self.rank = rank

    def build(self, input_shape) -> None:
        """Makes the projections."""
        _, modalities, dim = input_shape
        rank = self.rank or self.dim
        self.kernel = self.add_weight(
            name="kernel", shape=(modalities, dim, self.dim), initializer=StackedIdentity()
        )
        self.rank_kernel = self.add_weight(
            name="rank_kernel",
            shape=(modalities, dim, rank),
            initializer=keras.initializers.RandomNormal(stddev=dim**-0.5),
        )
        self.pair_kernel = self.add_weight(name="pair_kernel", shape=(rank, self.dim), initializer="zeros")
        super().build(input_shape)

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Adds up vectors and products."""
        linear = tf.einsum("bmi,mid->bd", vectors, self.kernel)
        factors = tf.tanh(tf.einsum("bmi,mir->bmr", vectors, self.rank_kernel))
        # All pairs at once: twice their sum is the square of the sum less the sum of the squares.
        pairs = 0.5 * (tf.square(tf.reduce_sum(factors, axis=1)) - tf.reduce_sum(tf.square(factors), axis=1))
        return linear + tf.matmul(pairs, self.pair_kernel)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rank": self.rank}
