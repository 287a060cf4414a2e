"""What metrics that are a mean over lists of a mean over items have in common."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.metrics.streaming.arrays import table
from tfrec_div.metrics.streaming.list_mean_metric import ListMeanMetric


class ItemMeanMetric(ListMeanMetric):
    """Base of metrics that are the mean over users of the mean of a value over the items of a list.

    Args:
        values: `[items]`; NaN items are passed over. An empty list has the value 0.
        name: Of the metric.
        dtype: Of the sums.
    """

    def __init__(self, values: np.ndarray, name: str | None = None, dtype: str = "float64") -> None:
        super().__init__(len(values), name=name, dtype=dtype)
        self._values = table(np.append(values, np.nan))  # the last one is that of the padding

    def list_values(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the means of lists."""
        values = tf.gather(self._values.value, tf.where(rows < 0, self.num_items, rows))
        there = ~tf.math.is_nan(values)
        total = tf.reduce_sum(tf.where(there, values, 0.0), axis=1)
        return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(there, values.dtype), axis=1))
