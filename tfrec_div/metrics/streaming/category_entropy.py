"""Category entropy as a Keras metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.streaming.arrays import pack, table, unpack
from tfrec_div.metrics.streaming.list_mean_metric import ListMeanMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class CategoryEntropy(ListMeanMetric):
    """Mean over users of the entropy of a list's categories, in bits; `tfrec_div.metrics.category_entropy`.

    Args:
        category_matrix: `[items, categories]`, 1 where an item has a category.
        name: Of the metric.
        dtype: Of the sums.

    Raises:
        ValueError: If the categories are no matrix.

    Example:
        >>> metric = CategoryEntropy(np.array([[1, 0], [0, 1], [1, 0]]))
        >>> metric.update_state([[0, 1], [0, 2]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self, category_matrix: Any, name: str | None = "category_entropy", dtype: str = "float64"
    ) -> None:
        self._given = unpack("category_matrix", category_matrix, axes=2)
        super().__init__(len(self._given), name=name, dtype=dtype)
        matrix = np.asarray(self._given, np.float64)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
        self._shares = table(
            np.append(shares, np.zeros_like(shares[:1]), axis=0)
        )  # the last row: the padding

    def list_values(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the entropies of lists."""
        weight = tf.reduce_sum(
            tf.gather(self._shares.value, tf.where(rows < 0, self.num_items, rows)), axis=1
        )
        share = tf.math.divide_no_nan(weight, tf.reduce_sum(weight, axis=1, keepdims=True))
        return -tf.reduce_sum(tf.math.xlogy(share, share), axis=1) / np.log(2.0)

    def get_config(self) -> dict:
        """Returns the arguments, the categories with them."""
        return {**super().get_config(), "category_matrix": pack(self._given)}
