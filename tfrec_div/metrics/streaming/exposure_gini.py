"""The Gini index of exposure as a Keras metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.streaming.gini_index import GiniIndex


@keras.utils.register_keras_serializable(package="tfrec_div")
class ExposureGini(GiniIndex):
    """Inequality of the exposure of items, by the places at which they stand; `tfrec_div.metrics.exposure_gini`.

    Singh and Joachims (2018). The length k of the lists must be known when a graph is made.

    Args:
        num_items: Size of the catalogue.
        definition: `"recbole"` or `"elliot"`, as in `tfrec_div.metrics.gini`.
        discount: Exposure of the places: `"none"`, `"log2"`, `"reciprocal"`, `"exponential"`, or at least k numbers.
        name: Of the metric.
        dtype: Of the exposures.

    Raises:
        ValueError: If the definition or the discount is unknown.

    Example:
        >>> metric = ExposureGini(num_items=2, discount=[1.0, 0.5])
        >>> metric.update_state([[0, 1], [0, 1]])
        >>> round(float(metric.result()), 4)
        0.1667
    """

    def __init__(
        self,
        num_items: int,
        definition: str = "recbole",
        discount: Any = "log2",
        name: str | None = "exposure_gini",
        dtype: str = "float64",
    ) -> None:
        super().__init__(num_items, definition, name=name, dtype=dtype)
        self.discount = discount if isinstance(discount, str) else np.asarray(discount, float).tolist()
        self._weights(0)  # an unknown name is refused now

    def add_lists(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds the exposures of lists."""
        if rows.shape[1] is None:
            raise ValueError("rows: expected a known number of places, got [batch, None]")
        self.add_items(rows, weights[:, tf.newaxis] * tf.constant(self._weights(rows.shape[1]), self.dtype))

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {**super().get_config(), "discount": self.discount}

    def _weights(self, k: int) -> np.ndarray:
        return rank_discount(k, self.discount if isinstance(self.discount, str) else np.array(self.discount))
