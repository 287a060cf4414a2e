"""What metrics that are a mean over lists have in common."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.metrics.streaming.list_metric import ListMetric


class ListMeanMetric(ListMetric):
    """Base of metrics that are the mean over users of a value per list; 0 without lists.

    A subclass writes `list_values`.

    Args:
        num_items: Size of the catalogue.
        name: Of the metric.
        dtype: Of the sums.
    """

    def __init__(self, num_items: int, name: str | None = None, dtype: str = "float64") -> None:
        super().__init__(num_items, name=name, dtype=dtype)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.weight = self.add_weight(name="weight", initializer="zeros")

    def list_values(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns a value for each list, `[batch]`, of rows `[batch, k]`."""
        raise NotImplementedError

    def add_lists(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds the values of lists."""
        self.total.assign_add(tf.reduce_sum(weights * tf.cast(self.list_values(rows), self.dtype)))
        self.weight.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        """Returns the mean over the lists added so far."""
        return tf.math.divide_no_nan(self.total, self.weight)
