"""The values of an attribute that the columns of a pool have, and how many of them have which."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


class Codes:
    """One value or none per column. What is counted per value is kept at every column that has the value.

    Args:
        codes: int32 `[batch, columns]`, negative where there is none.
    """

    def __init__(self, codes: tf.Tensor) -> None:
        self.codes = codes
        self.has = codes >= 0

    def of(self, pick: tf.Tensor) -> tf.Tensor:
        """1 at the values of the picked columns int32 `[batch]`: float32 `[batch, values]`."""
        return tf.cast(self.shared(pick), tf.float32)

    def shared(self, pick: tf.Tensor) -> tf.Tensor:
        """Whether a column has a value of the picked one, bool `[batch, columns]`."""
        code = tf.gather(self.codes, pick[:, tf.newaxis], batch_dims=1)
        return self.has & (self.codes == code)

    def hits(self, flags: tf.Tensor) -> tf.Tensor:
        """How many of the flagged values `[batch, values]` a column has, float32 `[batch, columns]`."""
        return tf.cast(flags & self.has, tf.float32)

    def supply(self, mask: tf.Tensor) -> tf.Tensor:
        """How many of the masked columns `[batch, columns]` have each value, float32 `[batch, values]`."""
        ordered = tf.sort(tf.where(mask, self.codes, -1), axis=1)
        below, upto = (tf.searchsorted(ordered, self.codes, side=side) for side in ("left", "right"))
        return tf.where(self.has, tf.cast(upto - below, tf.float32), 0.0)

    def tally(self, positions: tf.Tensor) -> tf.Tensor:
        """How many of the columns at the positions (−1: none) have each value, float32 `[batch, values]`."""
        equal = self.codes[:, :, tf.newaxis] == self.at(positions)[:, tf.newaxis]
        counts = tf.reduce_sum(tf.cast(equal, tf.float32), axis=2)
        return tf.where(self.has, counts, 0.0)

    def weights(self, supply: tf.Tensor) -> tf.Tensor:
        """What makes a sum over columns a sum over values; see `total`."""
        return tf.math.reciprocal_no_nan(supply)

    @staticmethod
    def total(numbers: tf.Tensor, members: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Sum `[batch, 1]` of whole numbers over the values that the members, counted in the supply, have."""
        shares = tf.where(members, numbers * weights, 0.0)
        return tf.round(tf.reduce_sum(shares, axis=1, keepdims=True))

    def at(self, positions: tf.Tensor) -> tf.Tensor:
        """Codes at positions `[batch, places]`, −1 where there is no position or no value."""
        codes = tf.maximum(tf.gather(self.codes, tf.maximum(positions, 0), batch_dims=1), -1)
        return tf.where(positions >= 0, codes, -1)

    @staticmethod
    def alike(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """Whether what `at` gave shares a value, bool `[batch, places]`."""
        return (one == other) & (one >= 0)


class Columns:
    """Any number of values per column.

    Args:
        rows: float32 rows of 0 and 1, one place for each value.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def of(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return self.rows.take(pick)

    def shared(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return self.rows.dot(self.rows.take(pick)) > 0.5

    def hits(self, flags: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return self.rows.dot(tf.cast(flags, tf.float32))

    def supply(self, mask: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return self.rows.mix(tf.cast(mask, tf.float32))

    def tally(self, positions: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return tf.reduce_sum(self.at(positions), axis=1)

    def weights(self, supply: tf.Tensor) -> None:
        """None: a value has one place."""
        return None

    @staticmethod
    def total(numbers: tf.Tensor, members: tf.Tensor, weights: None) -> tf.Tensor:
        """See `Codes`."""
        return tf.reduce_sum(numbers, axis=1, keepdims=True)

    def at(self, positions: tf.Tensor) -> tf.Tensor:
        """Rows at positions `[batch, places]`, zeros where there is no position."""
        blocks = self.rows.blocks
        table = tf.concat(blocks, 0)[tf.newaxis] if self.rows.one_list else blocks[0]
        found = tf.gather(table, tf.maximum(positions, 0), batch_dims=1)
        return tf.where(positions[:, :, tf.newaxis] >= 0, found, 0.0)

    @staticmethod
    def alike(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """See `Codes`."""
        return tf.reduce_sum(one * other, axis=2) > 0.5


Values = Codes | Columns


def values_of(pool: Pool, by: str, value: int | None = None) -> Values:
    """The values of a feature of a pool.

    Args:
        pool: the candidates, with the items of a context behind them.
        by: the feature, integer codes or rows in which what is above 0 is a value.
        value: the only value that counts, a code or a place of the rows; None: all.

    Raises:
        ValueError: the rows have no such place.
    """
    feature = pool.features[by]
    if not isinstance(feature, Rows):
        return Codes(feature if value is None else tf.where(feature == value, 0, -1))
    dim = feature.blocks[0].shape[-1]
    if value is not None and dim is not None and value >= dim:
        raise ValueError(
            f"value must be a place in the rows of inputs[{by!r}], below {dim}; received {value}"
        )

    def flags(block: tf.Tensor) -> tf.Tensor:
        return tf.cast((block if value is None else block[..., value : value + 1]) > 0.0, tf.float32)

    return Columns(feature.map(flags))
