"""`MinGap` on one page, with and without a look ahead."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec_div._keras import tf
from tfrec_div.rerank.constraints.at_most import AtMost
from tfrec_div.rerank.constraints.base import Page, Rule, State, context_columns
from tfrec_div.rerank.constraints.values import Codes, Values

_NEVER = -(2**24)


class Distance(Rule):
    """The place where the values of a column were last seen.

    Args:
        gap: how many other items are asked for.
        values: what the columns have.
        page: the page to be made.
    """

    def __init__(self, gap: int, values: Values, page: Page) -> None:
        self._gap, self._values, self._pins = gap, values, page.pins
        pool = page.pool
        last = tf.fill(tf.shape(pool.scores), _NEVER)
        if not (isinstance(pool.context, int) and pool.context == 0):
            batch, columns = tf.unstack(tf.shape(pool.scores))
            for back in range(gap, 0, -1):
                column = tf.fill([batch], tf.maximum(columns - back, 0))
                last = tf.where(values.shared(column) & (pool.context >= back), -back, last)
        self.state: State = (last,)

    def allowed(self, state: State, open_: tf.Tensor, place: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """See `Rule`. What is pinned to a place soon to come counts like what has been."""
        fits = place - state[0] > self._gap
        if self._pins is None:
            return fits
        for ahead in range(1, self._gap + 1):
            pinned = self._pins.at(place + ahead)
            fits &= ~(self._values.shared(tf.maximum(pinned, 0)) & (pinned >= 0)[:, tf.newaxis])
        return fits

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        return (tf.where(self._values.shared(pick), place, state[0]), *state[1:])


class FarSighted(Distance):
    """A `Distance` of codes that also sees whether what is left can still fill the page.

    The next `t` places can be filled if and only if, for every number of places up to `t`, the items without a value
    and, of each value, as many as fit into these places (but not more than there are) are at least as many.

    Args:
        gap: how many other items are asked for.
        values: what the columns have.
        page: the page to be made.
        limits: constraints that limit how many items of each value come.
    """

    def __init__(self, gap: int, values: Codes, page: Page, limits: Sequence[AtMost] = ()) -> None:
        super().__init__(gap, values, page)
        self._codes = values
        self._length = tf.cast(page.length, tf.float32)
        supply = values.supply(page.available)
        self._members, self._weights = page.available, values.weights(supply)
        for limit in limits:
            shown = values.supply(context_columns(page.pool) & limit.count_context)
            supply = tf.minimum(supply, tf.maximum(limit.n - shown, 0.0))
        free = tf.cast(page.available & ~values.has, tf.float32)
        free = tf.reduce_sum(free, axis=1, keepdims=True)
        # With a value for every place, and as many more as may have to wait, every page can be filled.
        several = values.total(tf.minimum(supply, 1.0), self._members, self._weights)
        self._tight = tf.reduce_any(several + free < self._length + gap)
        self.state = (*self.state, supply, free)

    def prudent(self, state: State, place: tf.Tensor) -> tf.Tensor:
        """See `Rule`."""
        anything = tf.ones_like(self._codes.has)
        return tf.cond(self._tight, lambda: self._can_go_on(state, place), lambda: anything)

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        last, supply, free = super().update(state, pick, place, new)
        has = tf.gather(self._codes.has, pick[:, tf.newaxis], batch_dims=1)
        return last, supply - self._codes.of(pick), free - tf.cast(~has, tf.float32)

    def _can_go_on(self, state: State, place: tf.Tensor) -> tf.Tensor:
        """Whether the places after this one can be filled when a column is taken, bool `[batch, columns]`.

        The number that can be filled is concave in the number of places in steps of `gap + 1`: the shortest and
        the longest of each remainder decide.
        """
        last, supply, free = state
        period = self._gap + 1.0
        rest = self._length[:, :, tf.newaxis] - tf.cast(place, tf.float32) - 1.0
        steps = tf.range(period)
        places = tf.concat([tf.minimum(steps + 1.0, rest), tf.maximum(rest - steps, 0.0)], axis=2)
        wait = tf.cast(tf.maximum(last + self._gap - place, 0), tf.float32)[:, :, tf.newaxis]

        def fits(wait: tf.Tensor | float) -> tf.Tensor:
            return tf.floor((tf.maximum(places - wait, 0.0) + (period - 0.5)) / period)  # rounded up

        left = supply[:, :, tf.newaxis]
        used = tf.minimum(left, fits(wait))
        shares = tf.where(self._members[:, :, tf.newaxis], used * self._weights[:, :, tf.newaxis], 0.0)
        total = tf.round(tf.reduce_sum(shares, axis=1, keepdims=True)) + free[:, :, tf.newaxis]
        has = self._codes.has[:, :, tf.newaxis]
        after = tf.where(has, total - used + tf.minimum(left - 1.0, fits(period - 1.0)), total - 1.0)
        return tf.reduce_all(after > places - 0.5, axis=2)
