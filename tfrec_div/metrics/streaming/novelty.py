"""Novelty as a Keras metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.metrics import novelty
from tfrec_div.metrics.streaming.arrays import pack, unpack
from tfrec_div.metrics.streaming.item_mean_metric import ItemMeanMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class Novelty(ItemMeanMetric):
    """Mean over users of the self-information of a list's items, in bits; `tfrec_div.metrics.novelty`.

    Zhou et al. (2010).

    Args:
        item_counts: `[items]` number of users who used the item in training.
        num_users: Number of users in training.
        definition: `"smoothed"`, `"rectools"` or `"recommenders"`, as in the function.
        name: Of the metric.
        dtype: Of the sums.

    Raises:
        ValueError: If the definition is unknown or the counts are no vector.

    Example:
        >>> metric = Novelty(np.array([3, 1]), num_users=3)
        >>> metric.update_state([[0, 1], [1, -1]])
        >>> float(metric.result())
        0.75
    """

    def __init__(
        self,
        item_counts: Any,
        num_users: int,
        definition: str = "smoothed",
        name: str | None = "novelty",
        dtype: str = "float64",
    ) -> None:
        self._given = unpack("item_counts", item_counts, axes=1)
        self.num_users, self.definition = num_users, definition
        # The information of an item is the novelty of a list of that item alone.
        alone = np.arange(len(self._given))[:, np.newaxis]
        values = novelty(alone, self._given, num_users, definition)
        if definition == "recommenders":  # items that nobody used are left out
            values = np.where(self._given > 0, values, np.nan)
        super().__init__(values, name=name, dtype=dtype)

    def get_config(self) -> dict:
        """Returns the arguments, the counts with them."""
        own = {
            "item_counts": pack(self._given),
            "num_users": self.num_users,
            "definition": self.definition,
        }
        return {**super().get_config(), **own}
