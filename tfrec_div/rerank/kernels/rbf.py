"""The radial basis function of two vectors."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel
from tfrec_div.rerank.kernels.transformed import Transformed
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class RBF(Kernel):
    """`exp(−gamma · squared distance)`, in (0, 1]; 0 for a missing vector (zeros).

    Args:
        feature: key of the inputs, `[batch, candidates, dim]`.
        gamma: above 0; how soon the similarity falls with the distance.

    Raises:
        ValueError: gamma is not above 0.
    """

    def __init__(self, feature: str = "vectors", gamma: float = 1.0) -> None:
        super().__init__(feature)
        if not 0.0 < gamma < float("inf"):
            raise ValueError(f"RBF: gamma must be above 0 and finite; received {gamma!r}")
        self.gamma = float(gamma)

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Transformed:
        """See `Kernel`."""
        rows = self._rows(pool)
        norms = rows.norms()
        size = tf.square(norms)
        present = tf.math.is_finite(size) & (size > 0.0)
        # A missing row is infinitely far from all.
        return Transformed(
            rows.finite(norms),
            tf.where(present, size, float("inf")),
            lambda product, a, b: tf.exp(-self.gamma * tf.maximum(a + b - 2.0 * product, 0.0)),
            weight,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "gamma": self.gamma}
