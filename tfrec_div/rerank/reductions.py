"""Reductions over the last axis, each in the form that is fast in the graph at hand.

XLA makes a loop over single numbers of a sum, a largest or a smallest number, and takes what is longer than a
window of 32 apart into steps. Halves that are combined number by number are loops over vectors; they are taken until
the rest fits the window.
"""

from __future__ import annotations

from collections.abc import Callable

from tfrec_div._keras import tf
from tfrec_div.rerank.xla import in_xla

WINDOW = 32
# The number next to 1.
_ABOVE_ONE = 1.00000012


@tf.autograph.experimental.do_not_convert
def total(values: tf.Tensor) -> tf.Tensor:
    """Sum over the last axis, `[..., n]` to `[..., 1]`."""
    for size in _sizes(values):
        if size % 2:
            values = tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, 1]])
        half = -(-size // 2)
        values = values[..., :half] + values[..., half:]
    return tf.reduce_sum(values, axis=-1, keepdims=True)


@tf.autograph.experimental.do_not_convert
def highest(values: tf.Tensor) -> tf.Tensor:
    """Largest number of the last axis, `[..., n]` to `[..., 1]`."""
    return tf.reduce_max(_halved(values, tf.maximum), axis=-1, keepdims=True)


@tf.autograph.experimental.do_not_convert
def lowest(values: tf.Tensor) -> tf.Tensor:
    """Smallest number of the last axis, `[..., n]` to `[..., 1]`."""
    return tf.reduce_min(_halved(values, tf.minimum), axis=-1, keepdims=True)


@tf.autograph.experimental.do_not_convert
def position_of_highest(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Position int32 `[batch]` of the largest of `values [batch, n]`, the lowest position among equals.

    Args:
        values: float32.
        index: `[1, n]` int32, 0, 1, ….
    """
    if not in_xla():
        return tf.argmax(values, axis=1, output_type=tf.int32)
    # Whole numbers that order as value and position together do. The bits of two numbers above 0 are ordered as
    # they are; those below 0 the other way round.
    bits = tf.bitcast(tf.where(values == 0.0, 0.0, values), tf.int32)
    bits = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.int32.max), bits)
    keys = tf.cast(bits, tf.int64) * 2**32 - tf.cast(index, tf.int64)
    return tf.cast(-highest(keys)[:, 0] % 2**32, tf.int32)


@tf.autograph.experimental.do_not_convert
def sum_of_squares(rows: tf.Tensor) -> tf.Tensor:
    """Squared lengths of rows, `[..., dim]` to `[...]`."""
    squares = tf.square(rows)
    if in_xla():
        # The sums of a product are taken by vectors. XLA and its compiler would undo a product with ones that they
        # could see through: this one holds the number next to 1 where the first row is not a number.
        shape = tf.shape(rows)  # a signature may leave sizes open, which XLA knows when it compiles
        flat = tf.reshape(squares, [-1, shape[-1]])
        ones = tf.where(flat[:1] >= 0.0, 1.0, _ABOVE_ONE)
        sums = tf.reshape(tf.matmul(ones, flat, transpose_b=True), shape[:-1])
        return tf.ensure_shape(sums, rows.shape[:-1])
    return tf.square(tf.math.reduce_euclidean_norm(rows, axis=-1))


def _halved(values: tf.Tensor, combine: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Fewer values with the same largest or smallest: the halves may share one."""
    for size in _sizes(values):
        half = -(-size // 2)
        values = combine(values[..., :half], values[..., size - half :])
    return values


def _sizes(values: tf.Tensor) -> list[int]:
    """The lengths of the last axis that are to be halved."""
    sizes = []
    size = values.shape[-1] if in_xla() else None
    while size is not None and size > WINDOW:
        sizes.append(size)
        size = -(-size // 2)
    return sizes
