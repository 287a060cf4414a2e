"""Whether two items have the same value of an attribute."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class Equality(Kernel):
    """1 for items with the same value of an attribute (brand, author), else 0; 0 where it is missing.

    Args:
        feature: key of the inputs, integer codes `[batch, candidates]`; −1 is a missing value.
    """

    def __init__(self, feature: str = "groups") -> None:
        super().__init__(feature)

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> SameCode:
        """See `Kernel`."""
        return SameCode(self._codes(pool), weight)


class SameCode:
    """Similarities by equal codes.

    Args:
        codes: int32 `[batch, columns]`, −1 missing.
        weight: factor of the similarities.
    """

    def __init__(self, codes: tf.Tensor, weight: tf.Tensor | float) -> None:
        self._codes = codes
        self._weight = tf.reshape(tf.convert_to_tensor(weight, tf.float32), [-1, 1])

    def to(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Similarity`."""
        code = tf.gather(self._codes, pick[:, tf.newaxis], batch_dims=1)
        return tf.where((self._codes == code) & (code >= 0), self._weight, 0.0)

    def matrix(self) -> tf.Tensor:
        """See `Similarity`."""
        one, other = self._codes[:, :, tf.newaxis], self._codes[:, tf.newaxis]
        return tf.where((one == other) & (one >= 0), self._weight[:, :, tf.newaxis], 0.0)
