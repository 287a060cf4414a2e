"""A distance between items with the same value."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.constraints.at_most import AtMost
from tfrec_div.rerank.constraints.base import Constraint, Page, Rule, State, context_columns
from tfrec_div.rerank.constraints.values import Codes, values_of
from tfrec_div.rerank.pool import Pool

_NEVER = -(2**24)


@keras.utils.register_keras_serializable(package="tfrec_div")
class MinGap(Constraint):
    """At least `gap` other items between two of the same brand, between two that share a category.

    The items of a context count, so the gap reaches across the border of two pages.

    Args:
        gap: how many items, at least 1. With 1 no two neighbours share a value.
        by: the attribute; see `Constraint`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tfrec_div.rerank import MMR, MinGap
        >>> layer = MMR(k=3, diversity=0.0, constraints=[MinGap(1, by="brand")])
        >>> layer({"scores": [[3.0, 2.0, 1.0]], "vectors": [[[1.0], [1.0], [1.0]]], "brand": [[7, 7, 5]]}).numpy()
        array([[0, 2, 1]], dtype=int32)
    """

    def __init__(self, gap: int, by: str) -> None:
        super().__init__(by)
        self.gap = self._whole("gap", gap, 1)

    def start(self, page: Page) -> Distance:
        """See `Constraint`."""
        return Distance(self, page)

    def holds(self, pool: Pool, positions: tf.Tensor) -> tf.Tensor:
        """See `Constraint`."""
        batch, columns = tf.unstack(tf.shape(pool.scores))
        before = tf.minimum(self.gap, pool.context)
        latest = tf.range(columns - before, columns)[tf.newaxis] + tf.zeros([batch, 1], tf.int32)
        values = values_of(pool, self.by)
        line = values.at(tf.concat([latest, positions], axis=1))
        fits = tf.ones([batch], tf.bool)
        for distance in range(1, self.gap + 1):
            alike = values.alike(line[:, :-distance], line[:, distance:])
            alike &= tf.range(tf.shape(alike)[1]) + distance >= before  # the context itself is as it is
            fits &= ~tf.reduce_any(alike, axis=1)
        return fits

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"gap": self.gap, **super().get_config()}


class Distance(Rule):
    """`MinGap` on one page.

    Args:
        constraint: the constraint.
        page: the page to be made.
    """

    def __init__(self, constraint: MinGap, page: Page) -> None:
        self._gap, self._pins = constraint.gap, page.pins
        self._values = values_of(page.pool, constraint.by)
        pool = page.pool
        last = tf.fill(tf.shape(pool.scores), _NEVER)
        columns = tf.shape(pool.scores)[1]
        if not (isinstance(pool.context, int) and pool.context == 0):
            for back in range(self._gap, 0, -1):
                column = tf.fill([tf.shape(pool.scores)[0]], tf.maximum(columns - back, 0))
                last = tf.where(self._values.shared(column) & (pool.context >= back), -back, last)
        self.state: State = (last,)
        if isinstance(self._values, Codes):
            supply = self._values.supply(page.available)
            self._members, self._weights = page.available, self._values.weights(supply)
            self._length = tf.cast(page.length, tf.float32)
            free = tf.cast(page.available & ~self._values.has, tf.float32)
            for other in page.constraints:
                if isinstance(other, AtMost) and other.by == constraint.by and other.value is None:
                    counted = self._values.supply(context_columns(page.pool) & other.count_context)
                    supply = tf.minimum(supply, tf.maximum(other.n - counted, 0.0))
            self.state = (last, supply, tf.reduce_sum(free, axis=1, keepdims=True))

    def allowed(self, state: State, open_: tf.Tensor, place: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """See `Rule`."""
        fits = place - state[0] > self._gap
        if self._pins is None:
            return fits
        for ahead in range(1, self._gap + 1):
            pinned = self._pins.at(place + ahead)
            fits &= ~(self._values.shared(tf.maximum(pinned, 0)) & (pinned >= 0)[:, tf.newaxis])
        return fits

    def prudent(self, state: State, place: tf.Tensor) -> tf.Tensor | None:
        """See `Rule`. For codes: whether what is left can still fill the page at this distance.

        The next `t` places can be filled if and only if the items without a value and, of each value, as many
        as fit into `t` places (but not more than there are) are at least `t`; for every `t`. That number
        is concave in `t` in steps of `gap + 1`, so the shortest and the longest `t` of each remainder decide.
        An `AtMost` of the same attribute limits how many there are.
        """
        if not isinstance(self._values, Codes):
            return None
        last, supply, free = state
        period = self._gap + 1.0
        rest = self._length[:, :, tf.newaxis] - tf.cast(place, tf.float32) - 1.0  # places after this one
        steps = tf.range(period)
        t = tf.concat([tf.minimum(steps + 1.0, rest), tf.maximum(rest - steps, 0.0)], axis=2)  # [batch, 1, t]
        wait = tf.cast(tf.maximum(last + self._gap - place, 0), tf.float32)[:, :, tf.newaxis]

        def fits(wait: tf.Tensor | float) -> tf.Tensor:
            return tf.floor((tf.maximum(t - wait, 0.0) + (period - 0.5)) / period)  # rounded up

        left = supply[:, :, tf.newaxis]
        used = tf.minimum(left, fits(wait))
        shares = tf.where(self._members[:, :, tf.newaxis], used * self._weights[:, :, tf.newaxis], 0.0)
        total = tf.round(tf.reduce_sum(shares, axis=1, keepdims=True)) + free[:, :, tf.newaxis]
        has = self._values.has[:, :, tf.newaxis]
        after = tf.where(has, total - used + tf.minimum(left - 1.0, fits(period - 1.0)), total - 1.0)
        return tf.reduce_all(after > t - 0.5, axis=2)

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        shared = self._values.shared(pick)
        last = tf.where(shared, place, state[0])
        if not isinstance(self._values, Codes):
            return (last,)
        has = tf.gather(self._values.has, pick[:, tf.newaxis], batch_dims=1)
        return last, state[1] - tf.cast(shared, tf.float32), state[2] - tf.cast(~has, tf.float32)
