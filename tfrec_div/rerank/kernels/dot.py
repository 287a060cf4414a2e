"""The product of two vectors."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel, Products
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


@keras.utils.register_keras_serializable(package="tfrec_div")
class Dot(Kernel):
    """The product of two vectors as they are: long vectors are more alike, and not bounded by 1.

    Args:
        feature: key of the inputs, `[batch, candidates, dim]`.
    """

    linear = True

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Products:
        """See `Kernel`; the weight costs nothing per pick."""
        return Products(
            self._times(pool, tf.sqrt(tf.reshape(tf.convert_to_tensor(weight, tf.float32), [-1, 1])))
        )

    def rows(self, pool: Pool) -> Rows:
        """The vectors."""
        return self._times(pool, 1.0)

    def own(self, pool: Pool) -> tf.Tensor:
        """Squared lengths."""
        return tf.square(self.rows(pool).norms())

    def _times(self, pool: Pool, factor: tf.Tensor | float) -> Rows:
        rows = self._rows(pool)
        return rows.finite(rows.norms(), factor)
