"""Items that the caller puts on certain places of the page."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.rerank.pool import Pool

_NO_PLACE = 2**30


class Pins:
    """The pinned items of the lists of a pool.

    Place p of the page holds the candidate that is pinned there. One that is not valid is left out. When the
    other candidates run out before, the pinned ones move up.

    Args:
        pool: the candidates.
        pinned: int32 `[batch, places]`, positions, −1 where a place is free.
    """

    def __init__(self, pool: Pool, pinned: tf.Tensor) -> None:
        # A candidate that is named twice, which only a graph lets through, has the first of its places.
        hit = (pinned[:, :, tf.newaxis] == pool.index) & pool.valid[:, tf.newaxis]
        places = tf.range(tf.shape(pinned)[1])
        self.place = tf.reduce_min(tf.where(hit, places[:, tf.newaxis], _NO_PLACE), axis=1)
        """The place of each column, int32 `[batch, columns]`, very large without one."""
        self.pinned = self.place < _NO_PLACE
        """Whether a column is pinned, bool `[batch, columns]`."""
        valid, within = (
            tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
            for mask in (pool.valid, self.place < pool.picks)
        )
        others = valid - tf.reduce_sum(tf.cast(self.pinned, tf.int32), axis=1, keepdims=True)
        self.free = tf.minimum(others, pool.picks - within)
        """How many places of the page are for the others, int32 `[batch, 1]`."""
        own = tf.reduce_any(hit & (self.place[:, tf.newaxis] == places[:, tf.newaxis]), axis=2)
        before = tf.cumsum(tf.cast(own, tf.int32), axis=1, exclusive=True)
        on_page = own & (before < tf.minimum(valid, pool.picks) - self.free)
        self.on_page = tf.reduce_any(hit & on_page[:, :, tf.newaxis], axis=1)
        """Whether a column is pinned and comes on the page, bool `[batch, columns]`."""
        ends = [[0, 0], [0, 1]]
        self._columns = tf.pad(tf.where(on_page, pinned, -1), ends, constant_values=-1)

    def at(self, place: tf.Tensor) -> tf.Tensor:
        """The column pinned to a place int32 `[batch]`, −1 if there is none."""
        return tf.gather(self._columns, tf.minimum(place, tf.shape(self._columns)[1] - 1), axis=1)

    def due(self, place: tf.Tensor, open_: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The pinned column that has to come now, int32 `[batch]`, and whether there is one, bool `[batch]`.

        Args:
            place: number of the place.
            open_: the columns that are not on the page yet, bool `[batch, columns]`.
            others: those of them that are not pinned.
        """
        waiting = tf.where(open_, self.place, _NO_PLACE)
        first = tf.reduce_min(waiting, axis=1)
        column = tf.argmin(waiting, axis=1, output_type=tf.int32)
        return column, (first < _NO_PLACE) & ((first <= place) | ~tf.reduce_any(others, axis=1))
