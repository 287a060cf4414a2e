"""The share of long-tail items as a Keras metric."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras
from tfrec_div.metrics.streaming.arrays import pack, unpack
from tfrec_div.metrics.streaming.item_mean_metric import ItemMeanMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class LongTailShare(ItemMeanMetric):
    """APLT: mean over users of the share of a list's items in the long tail; `tfrec_div.metrics.aplt`.

    Abdollahpouri, Burke and Mobasher (2017).

    Args:
        long_tail: Bool `[items]`, as from `tfrec_div.metrics.long_tail`.
        name: Of the metric.
        dtype: Of the sums.

    Raises:
        ValueError: If the long tail is no vector of 0 and 1.

    Example:
        >>> metric = LongTailShare([False, True, True])
        >>> metric.update_state([[0, 1], [2, -1]])
        >>> float(metric.result())
        0.75
    """

    def __init__(self, long_tail: Any, name: str | None = "long_tail_share", dtype: str = "float64") -> None:
        self._given = unpack("long_tail", long_tail, axes=1)
        if not ((self._given == 0) | (self._given == 1)).all():
            raise ValueError(f"long_tail: expected 0 and 1, got {self._given[self._given > 1][:1]}")
        super().__init__(self._given, name=name, dtype=dtype)

    def get_config(self) -> dict:
        """Returns the arguments, the long tail with them."""
        return {**super().get_config(), "long_tail": pack(self._given)}
