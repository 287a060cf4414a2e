"""`MinGap` on one page, with and without a look ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfrec_div._keras import tf
from tfrec_div.rerank.constraints.at_most import AtMost
from tfrec_div.rerank.constraints.base import Page, Rule, State, context_columns
from tfrec_div.rerank.constraints.values import Codes, Columns, Values

_NEVER = -(2**24)


def last_seen(gap: int, page: Page, seen: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The places, from −1 backwards, where the context last had something, int32; those within the gap."""
    pool = page.pool
    batch, columns = tf.unstack(tf.shape(pool.scores))
    last = tf.fill(tf.shape(seen(tf.zeros([batch], tf.int32))), _NEVER)
    if isinstance(pool.context, int) and pool.context == 0:
        return last
    for back in range(gap, 0, -1):
        column = tf.fill([batch], tf.maximum(columns - back, 0))
        last = tf.where(seen(column) & (pool.context >= back), -back, last)
    return last


def places_ahead(gap: int, rest: tf.Tensor) -> tf.Tensor:
    """The numbers of next places for which `fitting` is to be compared, `[batch, 1, numbers]`.

    How many fit is concave in the number of places, in steps of `gap + 1`: the least and the most of each
    remainder decide.

    Args:
        gap: how many other items are asked for.
        rest: how many places are left, float32 `[batch, 1, 1]`.
    """
    steps = tf.range(gap + 1.0)
    return tf.concat([tf.minimum(steps + 1.0, rest), tf.maximum(rest - steps, 0.0)], axis=2)


def fitting(gap: int, places: tf.Tensor, wait: tf.Tensor | float) -> tf.Tensor:
    """How many items of one value fit into the next places, after a wait."""
    return tf.floor((tf.maximum(places - wait, 0.0) + (gap + 0.5)) / (gap + 1.0))  # rounded up


class Distance(Rule):
    """The place where the values of a column were last seen.

    Args:
        gap: how many other items are asked for.
        values: what the columns have.
        page: the page to be made.
    """

    def __init__(self, gap: int, values: Values, page: Page) -> None:
        self._gap, self._values, self._pins = gap, values, page.pins
        self.state: State = (last_seen(gap, page, values.shared),)

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
        """Whether the places after this one can be filled when a column is taken, bool `[batch, columns]`."""
        last, supply, free = state
        places = places_ahead(self._gap, self._length[:, :, tf.newaxis] - tf.cast(place, tf.float32) - 1.0)
        wait = tf.cast(tf.maximum(last + self._gap - place, 0), tf.float32)[:, :, tf.newaxis]
        left = supply[:, :, tf.newaxis]
        used = tf.minimum(left, fitting(self._gap, places, wait))
        shares = tf.where(self._members[:, :, tf.newaxis], used * self._weights[:, :, tf.newaxis], 0.0)
        total = tf.round(tf.reduce_sum(shares, axis=1, keepdims=True)) + free[:, :, tf.newaxis]
        again = tf.minimum(left - 1.0, fitting(self._gap, places, float(self._gap)))
        after = tf.where(self._codes.has[:, :, tf.newaxis], total - used + again, total - 1.0)
        return tf.reduce_all(after > places - 0.5, axis=2)


class FarSightedRows(Distance):
    """A `Distance` of rows that sees, for each value by itself, whether what is left can still fill the page.

    The items with the value, as many as fit, and all others have to be enough. That is necessary, and sufficient
    where one value (a genre that most items have) is the difficulty.

    Args:
        gap: how many other items are asked for.
        values: what the columns have.
        page: the page to be made.
    """

    def __init__(self, gap: int, values: Columns, page: Page) -> None:
        super().__init__(gap, values, page)
        self._rows = values
        self._length = tf.cast(page.length, tf.float32)
        supply = values.supply(page.available)
        count = tf.reduce_sum(tf.cast(page.available, tf.float32), axis=1, keepdims=True)
        # With enough items that lack a value, it is in nobody's way.
        self._tight = tf.reduce_any(count - supply < self._length)
        last = last_seen(gap, page, lambda pick: values.of(pick) > 0.5)
        self.state = (*self.state, last, supply, count)

    def prudent(self, state: State, place: tf.Tensor) -> tf.Tensor:
        """See `Rule`."""
        anything = tf.ones_like(state[0], tf.bool)
        return tf.cond(self._tight, lambda: self._can_go_on(state, place), lambda: anything)

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        seen, last, supply, count = super().update(state, pick, place, new)
        has = self._rows.of(pick)
        return seen, tf.where(has > 0.5, place, last), supply - has, count - 1.0

    def _can_go_on(self, state: State, place: tf.Tensor) -> tf.Tensor:
        """Whether each value leaves the places after this one to be filled, bool `[batch, columns]`."""
        _, last, supply, count = state
        places = places_ahead(self._gap, self._length[:, :, tf.newaxis] - tf.cast(place, tf.float32) - 1.0)
        wait = tf.cast(tf.maximum(last + self._gap - place, 0), tf.float32)[:, :, tf.newaxis]
        left, others = supply[:, :, tf.newaxis], (count - supply)[:, :, tf.newaxis]
        again = tf.minimum(left - 1.0, fitting(self._gap, places, float(self._gap)))
        bad_if_taken = tf.reduce_any(others + again < places - 0.5, axis=2)
        used = tf.minimum(left, fitting(self._gap, places, wait))
        bad_if_not = tf.cast(tf.reduce_any(others - 1.0 + used < places - 0.5, axis=2), tf.float32)
        # Bad values among those that the column has, and among those that it has not.
        bad = self._rows.rows.dot(tf.cast(bad_if_taken, tf.float32) - bad_if_not)
        return bad + tf.reduce_sum(bad_if_not, axis=1, keepdims=True) < 0.5
