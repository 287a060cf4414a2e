"""The Jaccard index of two sets."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel
from tfrec_div.rerank.kernels.transformed import Transformed
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


@keras.utils.register_keras_serializable(package="tfrec_div")
class Jaccard(Kernel):
    """Shared values over all values of two sets (Jaccard, 1912), in [0, 1]; 0 for an empty set.

    Args:
        feature: key of the inputs, `[batch, candidates, values]`; a value that is not 0 is in the set.
    """

    def __init__(self, feature: str = "aspects") -> None:
        super().__init__(feature)

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Transformed:
        """See `Kernel`."""
        sets: Rows = self._rows(pool).map(
            lambda block: tf.cast((block != 0.0) & tf.math.is_finite(block), tf.float32)
        )
        return Transformed(
            sets,
            sets.reduce(lambda block: tf.reduce_sum(block, axis=-1)),
            lambda shared, a, b: tf.math.divide_no_nan(shared, a + b - shared),
            weight,
        )
