"""Similarities that are a function of a product of rows and their lengths."""

from __future__ import annotations

from collections.abc import Callable

from tfrec_div._keras import tf
from tfrec_div.rerank.rows import Rows


class Transformed:
    """Similarities that follow from the products of rows and a number per row.

    Args:
        rows: finite rows.
        size: a number per column `[batch, columns]`, such as its squared length.
        function: similarity of a product and two sizes, all of one shape.
        weight: factor of the similarities, broadcasts to `[batch, columns]`.
    """

    def __init__(
        self,
        rows: Rows,
        size: tf.Tensor,
        function: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor],
        weight: tf.Tensor | float,
    ) -> None:
        self._rows, self._size, self._function = rows, size, function
        self._weight = tf.reshape(tf.convert_to_tensor(weight, tf.float32), [-1, 1])

    def to(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Similarity`."""
        size = tf.gather(self._size, pick[:, tf.newaxis], batch_dims=1)
        return self._weight * self._function(self._rows.dot_picked(pick), size, self._size)

    def matrix(self) -> tf.Tensor:
        """See `Similarity`."""
        values = self._function(
            self._rows.products(), self._size[:, :, tf.newaxis], self._size[:, tf.newaxis]
        )
        return self._weight[:, :, tf.newaxis] * values
