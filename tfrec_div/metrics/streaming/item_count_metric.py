"""What metrics of how often items are recommended have in common."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.streaming.list_metric import ListMetric


class ItemCountMetric(ListMetric):
    """Base of metrics of the weights with which items are recommended, in all lists together.

    A subclass writes `result`, from `self.counts` `[num_items]`.

    Args:
        num_items: Size of the catalogue.
        name: Of the metric.
        dtype: Of the counts.
    """

    def __init__(self, num_items: int, name: str | None = None, dtype: str = "float64") -> None:
        super().__init__(num_items, name=name, dtype=dtype)
        self.counts = self.add_weight(name="counts", shape=[num_items], initializer="zeros")

    def add_lists(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds the items of lists."""
        self.add_items(rows, tf.repeat(weights[:, tf.newaxis], tf.shape(rows)[1], axis=1))

    def add_items(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds items `[batch, k]` with a weight each."""
        there = rows >= 0
        self.counts.assign_add(
            tf.math.unsorted_segment_sum(
                tf.where(there, weights, tf.zeros_like(weights)), tf.maximum(rows, 0), self.num_items
            )
        )

    def reset_state(self) -> None:
        """Forgets all lists."""
        keras.backend.batch_set_value([(v, np.zeros(v.shape)) for v in self.variables])

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {**super().get_config(), "num_items": self.num_items}
