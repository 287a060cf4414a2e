"""What the metrics of recommended lists have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf


class ListMetric(keras.metrics.Metric):
    """Base of metrics of recommended lists: rows `[batch, k]` of items, padded with −1.

    `update_state(rows)` or `update_state(rows, sample_weight=...)` adds lists. Keras calls metrics with targets and
    predictions; then the predictions are the rows and the targets do not matter, so a model whose output is rows takes
    these metrics in `compile(metrics=[...])`. A list with the weight 0 is as if it were not there.

    A subclass writes `add_lists` and `result`.

    Args:
        num_items: Size of the catalogue.
        name: Of the metric.
        dtype: Of the sums; float64, so that they stay exact for any number of users.

    Raises:
        ValueError: If there are no items.
    """

    def __init__(self, num_items: int | np.integer, name: str | None = None, dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)
        if not isinstance(num_items, (int, np.integer)) or num_items < 1:
            raise ValueError(f"num_items: expected a whole number of at least 1, got {num_items!r}")
        self.num_items: int = int(num_items)

    def update_state(self, rows: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Adds lists.

        Args:
            rows: Integer `[batch, k]`, padded with −1; an item occurs once in a list. Not used when `y_pred` is given.
            y_pred: Rows, as Keras passes them.
            sample_weight: `[batch]` or `[batch, 1]`, a weight of each list.

        Raises:
            ValueError: If the rows are no integers of two axes.
            tf.errors.InvalidArgumentError: If a row is not in the catalogue.
        """
        rows = self._check(rows if y_pred is None else y_pred)
        if sample_weight is None:
            weights = tf.ones([tf.shape(rows)[0]], self.dtype)
        else:
            weights = tf.reshape(tf.cast(sample_weight, self.dtype), [tf.shape(rows)[0]])
        self.add_lists(rows, weights)

    def add_lists(self, rows: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds lists `[batch, k]` that are checked, with a weight each, `[batch]`."""
        raise NotImplementedError

    def _check(self, rows: Any) -> tf.Tensor:
        rows = tf.convert_to_tensor(rows)
        if not rows.dtype.is_integer:
            raise ValueError(f"rows: expected integers, got {rows.dtype.name}")
        if rows.shape.rank not in (None, 2):
            raise ValueError(f"rows: expected the shape [batch, k], got {rows.shape.as_list()}")
        message = f"rows: expected -1 or a row of the catalogue of {self.num_items} items"
        checks = [
            tf.debugging.assert_greater_equal(rows, tf.constant(-1, rows.dtype), message=message),
            tf.debugging.assert_less(rows, tf.constant(self.num_items, rows.dtype), message=message),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.cast(rows, tf.int32)
