"""Average recommendation popularity as a Keras metric."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras
from tfrec_div.metrics.streaming.arrays import pack, unpack
from tfrec_div.metrics.streaming.item_mean_metric import ItemMeanMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class AverageRecommendationPopularity(ItemMeanMetric):
    """ARP: mean over users of the mean training count of a list's items; `tfrec_div.metrics.popularity`.

    Yin et al. (2012).

    Args:
        item_counts: `[items]` number of interactions in training.
        name: Of the metric.
        dtype: Of the sums.

    Raises:
        ValueError: If the counts are no vector.

    Example:
        >>> metric = AverageRecommendationPopularity([6, 2, 1])
        >>> metric.update_state([[0, 1], [2, -1]])
        >>> float(metric.result())
        2.5
    """

    def __init__(
        self, item_counts: Any, name: str | None = "average_recommendation_popularity", dtype: str = "float64"
    ) -> None:
        self._given = unpack("item_counts", item_counts, axes=1)
        super().__init__(self._given, name=name, dtype=dtype)

    def get_config(self) -> dict:
        """Returns the arguments, the counts with them."""
        return {**super().get_config(), "item_counts": pack(self._given)}
