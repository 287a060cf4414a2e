"""Personalization as a Keras metric."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.streaming.item_count_metric import ItemCountMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class Personalization(ItemCountMetric):
    """1 − the mean overlap of the lists of two users, over all pairs; `tfrec_div.metrics.personalization`.

    0 when all users get the same list, 1 when no two lists share an item. A pair of lists has the product of their
    weights.

    Args:
        num_items: Size of the catalogue.
        name: Of the metric.
        dtype: Of the sums.

    Example:
        >>> metric = Personalization(num_items=3)
        >>> metric.update_state([[0, 1], [1, 2], [0, 1]])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    def __init__(self, num_items: int, name: str | None = "personalization", dtype: str = "float64") -> None:
        super().__init__(num_items, name=name, dtype=dtype)
        self.filled = self.add_weight(name="filled", initializer="zeros")
        self.alone = self.add_weight(name="alone", initializer="zeros")

    def add_lists(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds lists as unit vectors: the square of their sum is the sum of all overlaps."""
        length = tf.reduce_sum(tf.cast(rows >= 0, self.dtype), axis=1)
        weights = tf.where(length > 0.0, weights, tf.zeros_like(weights))
        super().add_lists(rows, tf.math.divide_no_nan(weights, tf.sqrt(length)))
        self.filled.assign_add(tf.reduce_sum(weights))
        self.alone.assign_add(tf.reduce_sum(tf.square(weights)))

    def result(self) -> tf.Tensor:
        """Returns 1 − the overlap; 1 with fewer than two lists."""
        pairs = tf.square(self.filled) - self.alone
        # Of a single list nothing is left but rounding.
        several = pairs > 1e-9 * tf.square(self.filled)
        overlap = (tf.reduce_sum(tf.square(self.counts)) - self.alone) / tf.where(several, pairs, 1.0)
        return 1.0 - tf.where(several, tf.minimum(overlap, 1.0), 0.0)  # equal lists are not more than equal
