"""Intra-list distance as a Keras metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.streaming.arrays import pack, table, unpack
from tfrec_div.metrics.streaming.list_mean_metric import ListMeanMetric

DISTANCES = ("cosine", "hamming")


@keras.utils.register_keras_serializable(package="tfrec_div")
class IntraListDistance(ListMeanMetric):
    """Mean over users of the mean distance of all pairs of a list; `tfrec_div.metrics.intra_list_distance`.

    Smyth and McClave (2001), Ziegler et al. (2005).

    Args:
        vectors: `[items, dim]`; a row of zeros is a missing vector.
        distance: `"cosine"` or `"hamming"`, as in the function.
        name: Of the metric.
        dtype: Of the sums.

    Raises:
        ValueError: If the distance is unknown or the vectors are no matrix.

    Example:
        >>> metric = IntraListDistance(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
        >>> metric.update_state([[0, 1, -1], [0, 2, -1]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        vectors: Any,
        distance: str = "cosine",
        name: str | None = "intra_list_distance",
        dtype: str = "float64",
    ) -> None:
        if distance not in DISTANCES:
            raise ValueError(f"distance: expected one of {', '.join(DISTANCES)}, got {distance!r}")
        self._given = unpack("vectors", vectors, axes=2)
        super().__init__(len(self._given), name=name, dtype=dtype)
        self.distance = distance
        values = np.asarray(self._given, np.float64)
        if distance == "cosine":
            norms = np.linalg.norm(values, axis=1, keepdims=True)
            # A last column: is there a vector? A last row: the padding.
            values = np.append(values / np.where(norms > 0.0, norms, 1.0), norms > 0.0, axis=1)
        else:
            values = values != 0
        self._vectors = table(np.append(values, np.zeros_like(values[:1]), axis=0))

    def list_values(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the distances of lists, by the closed forms of the function."""
        vectors = tf.gather(self._vectors.value, tf.where(rows < 0, self.num_items, rows))
        length = tf.reduce_sum(tf.cast(rows >= 0, vectors.dtype), axis=1)
        pairs = length * (length - 1.0)
        total = tf.reduce_sum(vectors, axis=1)
        if self.distance == "hamming":
            different = 2.0 * tf.reduce_sum(total * (length[:, tf.newaxis] - total), axis=1)
            return tf.math.divide_no_nan(different, pairs)
        cosines = tf.reduce_sum(tf.square(total[:, :-1]), axis=1) - total[:, -1]
        return tf.where(length > 1.0, tf.maximum(1.0 - tf.math.divide_no_nan(cosines, pairs), 0.0), 0.0)

    def get_config(self) -> dict:
        """Returns the arguments, the vectors with them."""
        return {**super().get_config(), "vectors": pack(self._given), "distance": self.distance}
