"""The cosine of two vectors."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel, Products, Similarity
from tfrec_div.rerank.kernels.equality import SameCode
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


@keras.utils.register_keras_serializable(package="tfrec_div")
class Cosine(Kernel):
    """The cosine of two vectors, in [−1, 1]; also of sets, given as rows of 0 and 1.

    The cosine of single values, given as codes, is 1 where they are equal and 0 elsewhere.

    Args:
        feature: key of the inputs, `[batch, candidates, dim]`, or integer codes `[batch, candidates]`.
        normalize: false when the vectors have length 1 already; products are then only clipped to [−1, 1].
    """

    linear = True

    def __init__(self, feature: str = "vectors", normalize: bool = True) -> None:
        super().__init__(feature)
        self.normalize = normalize

    def linear_in(self, pool: Pool) -> bool:
        """See `Kernel`; not of codes."""
        return isinstance(pool.features[self.feature], Rows)

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Similarity:
        """See `Kernel`; the weight costs nothing per pick."""
        if not self.linear_in(pool):
            return SameCode(pool.features[self.feature], weight)
        weight = tf.reshape(tf.convert_to_tensor(weight, tf.float32), [-1, 1])
        if self.normalize:
            return Products(pool.features[self.feature].unit(tf.sqrt(weight)))
        rows = pool.features[self.feature]
        return Products(rows.finite(rows.norms(), tf.sqrt(weight)), weight)

    def rows(self, pool: Pool) -> Rows:
        """Rows of length 1."""
        rows = self._rows(pool)
        return rows.unit() if self.normalize else rows.finite(rows.norms())

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "normalize": self.normalize}
