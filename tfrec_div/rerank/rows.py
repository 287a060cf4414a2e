"""The features of the candidates, one row each, and the few products that the methods take of them."""

from __future__ import annotations

from collections.abc import Callable

from tfrec_div._keras import tf
from tfrec_div.rerank.reductions import sum_of_squares
from tfrec_div.rerank.xla import in_xla

_SMALLEST_NORM = 1.19e-7  # float32 epsilon: a shorter vector counts as missing


class Rows:
    """Feature rows of the candidates of a batch of lists.

    Two layouts hide behind one interface. A batch is one tensor `[batch, candidates, dim]`. A single list is
    one or several blocks `[n, dim]`, one below the other: a plain matrix product is faster than a batched
    one, and blocks below half a megabyte stay on the thread that works on the list (XLA spreads larger ones
    over threads, where the lists of other threads are in the way).

    Args:
        blocks: one tensor `[batch, candidates, dim]`, or tensors `[n, dim]` of a single list.
        scale: a factor for each row, `[batch, candidates]`, that is yet to be applied; None: none.
    """

    def __init__(self, *blocks: tf.Tensor, scale: tf.Tensor | None = None) -> None:
        self._blocks, self._scale = blocks, scale

    @classmethod
    def of(cls, rows: tf.Tensor) -> Rows:
        """Rows `[batch, candidates, dim]` in the layout for this batch."""
        return cls(rows[0]) if rows.shape[0] == 1 else cls(rows)

    @property
    def blocks(self) -> tuple[tf.Tensor, ...]:
        """The rows, with their factors applied."""
        if self._scale is None:
            return self._blocks
        if not self.one_list:
            return (tf.math.multiply_no_nan(self._blocks[0], self._scale[:, :, tf.newaxis]),)
        parts = [self._scale[0]]
        if len(self._blocks) > 1:
            parts = tf.split(self._scale[0], [block.shape[0] for block in self._blocks])
        pairs = zip(self._blocks, parts, strict=True)
        return tuple(tf.math.multiply_no_nan(block, part[:, tf.newaxis]) for block, part in pairs)

    @property
    def dim(self) -> int | tf.Tensor:
        """Length of a row."""
        size = self._blocks[0].shape[-1]
        return tf.shape(self._blocks[0])[-1] if size is None else size

    @property
    def one_list(self) -> bool:
        """Whether this is the layout of a single list."""
        return self._blocks[0].shape.rank == 2

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Rows:
        """Rows of another function of each block."""
        return Rows(*(function(block) for block in self.blocks))

    def reduce(self, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """A number per candidate `[batch, candidates]`, from a function that reduces the last axis."""
        values = [function(block) for block in self.blocks]
        if not self.one_list:
            return values[0]
        return (values[0] if len(values) == 1 else tf.concat(values, 0))[tf.newaxis]

    def beside(self, row: tf.Tensor) -> tf.Tensor:
        """A row per list `[batch, dim]`, shaped to broadcast against the blocks."""
        return row if self.one_list else row[:, tf.newaxis]

    def beside_rows(self, other: Rows) -> Rows:
        """Each row with the row of the same candidate in another feature behind it."""
        if len(self.blocks) == len(other.blocks):
            return Rows(*(tf.concat(pair, axis=-1) for pair in zip(self.blocks, other.blocks, strict=True)))
        return Rows(tf.concat([tf.concat(rows.blocks, 0) for rows in (self, other)], axis=-1))

    def norms(self) -> tf.Tensor:
        """Euclidean lengths `[batch, candidates]`."""
        return tf.sqrt(self.reduce(sum_of_squares))

    def times(self, factors: tf.Tensor) -> Rows:
        """Each row times its factor `[batch, candidates]`; zeros where that is 0, even if the row is not finite."""
        rows = Rows(*self._blocks, scale=factors if self._scale is None else self._scale * factors)
        # XLA copies the rows of a list anyway. In a plain graph a pass over all rows costs more than to apply the
        # factors to the products.
        return Rows(*rows.blocks) if in_xla() else rows

    def finite(self, norms: tf.Tensor, factors: tf.Tensor | float = 1.0) -> Rows:
        """The rows times factors that broadcast to `[batch, candidates]`, but zeros in place of those not finite.

        These are told by their lengths `[batch, candidates]`. They are possible in a graph, or where candidates are
        masked.
        """
        return self.times(tf.where(tf.math.is_finite(norms), factors, 0.0))

    def unit(self, lengths: tf.Tensor | float = 1.0) -> Rows:
        """Rows of the given length `[batch, candidates]` or broadcast to it.

        A row of zeros (a missing vector) stays zero, so it is similar to nothing; a row that is not finite
        becomes a missing one. The product of two rows is `length_i · length_j · cosine`: a weight of the
        similarity costs nothing per step.
        """
        norms = self.norms()
        return self.finite(norms, lengths / tf.maximum(norms, _SMALLEST_NORM))

    def take(self, pick: tf.Tensor) -> tf.Tensor:
        """The row `[batch, dim]` of one candidate of each list, `pick` int32 `[batch]`."""
        if not self.one_list:
            return tf.squeeze(self._picked(pick), 1)
        row = tf.gather(self._blocks[0], pick) if len(self._blocks) == 1 else self._picked_of_blocks(pick)
        if self._scale is None:
            return row
        return tf.math.multiply_no_nan(row, tf.gather(self._scale, tf.expand_dims(pick, 1), batch_dims=1))

    def dot(self, row: tf.Tensor) -> tf.Tensor:
        """Products `[batch, candidates]` of one row per list `[batch, dim]` with all rows of its list."""
        if not self.one_list:
            return self._batch_dot(tf.expand_dims(row, 1))
        products = [tf.matmul(row, block, transpose_b=True) for block in self._blocks]
        return self._scaled(products[0] if len(products) == 1 else tf.concat(products, 1))

    def dot_picked(self, pick: tf.Tensor) -> tf.Tensor:
        """Products `[batch, candidates]` of the row of one candidate of each list with all rows of its list."""
        # Without turning the picked rows into a matrix and back: a plain graph pays for each op.
        return self.dot(self.take(pick)) if self.one_list else self._batch_dot(self._picked(pick))

    def mix(self, weights: tf.Tensor) -> tf.Tensor:
        """Weighted sum of the rows: `[batch, candidates]` give `[batch, dim]`."""
        if not self.one_list:
            product = tf.raw_ops.BatchMatMulV3(x=weights[:, tf.newaxis], y=self.blocks[0], Tout=weights.dtype)
            return tf.squeeze(product, 1)
        total, start = 0.0, 0
        for block in self.blocks:
            part = weights if len(self.blocks) == 1 else weights[:, start : start + block.shape[0]]
            total += tf.matmul(part, block)
            start += block.shape[0] or 0
        return total

    def products(self) -> tf.Tensor:
        """Products of all pairs of rows, `[batch, candidates, candidates]`."""
        if not self.one_list:
            return tf.matmul(self.blocks[0], self.blocks[0], transpose_b=True)
        rows = self.blocks[0] if len(self._blocks) == 1 else tf.concat(self.blocks, 0)
        return tf.matmul(rows, rows, transpose_b=True)[tf.newaxis]

    def _picked(self, pick: tf.Tensor) -> tf.Tensor:
        """Rows of a batch `[batch, 1, dim]`."""
        pick = tf.expand_dims(pick, 1)
        rows = tf.gather(self._blocks[0], pick, batch_dims=1)
        if self._scale is None:
            return rows
        return tf.math.multiply_no_nan(rows, tf.expand_dims(tf.gather(self._scale, pick, batch_dims=1), 2))

    def _picked_of_blocks(self, pick: tf.Tensor) -> tf.Tensor:
        """A row of a single list `[1, dim]`."""
        row, start = 0.0, 0
        for block in self._blocks:
            size = block.shape[0]
            inside = (pick >= start) & (pick < start + size)
            found = tf.gather(block, tf.clip_by_value(pick - start, 0, size - 1))
            row, start = tf.where(inside[:, tf.newaxis], found, row), start + size
        return row

    def _batch_dot(self, rows: tf.Tensor) -> tf.Tensor:
        # Not tf.matmul: oneDNN's rewrite of it costs 60 microseconds a call, more than a product with a few lists.
        product = tf.raw_ops.BatchMatMulV3(x=rows, y=self._blocks[0], adj_y=True, Tout=rows.dtype)
        return self._scaled(tf.squeeze(product, 1))

    def _scaled(self, products: tf.Tensor) -> tf.Tensor:
        return products if self._scale is None else tf.math.multiply_no_nan(products, self._scale)
