"""The loop over picks that all methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tfrec_div._keras import tf
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.reductions import position_of_highest, total

# Up to this many picks the loop is unrolled: faster (no loop bookkeeping), at the price of a larger graph. Not under
# XLA, which keeps a loop as fast, compiles it sooner, and computes the rows of an unrolled one again for each step.
_UNROLLED_PICKS = 32

State = tuple[tf.Tensor, ...]
Update = Callable[[tf.Tensor, State, tf.Tensor, Any], tuple[tf.Tensor, State]]


class Selection(NamedTuple):
    """A method at work on one pool: the gains before any pick, and how a pick changes them.

    A gain of −inf means 'not to be picked'. It is set for what is not valid and for what is picked already, and
    `update` keeps it.

    Attributes:
        first: gain of every candidate as the first pick of a page without context, `[batch, columns]`.
        gain: gain of every candidate as a further pick, were nothing selected yet, `[batch, columns]`.
        update: takes the gains, the state, the pick int32 `[batch]` and its number (from 0, context
            included), and returns the new gains and state.
        state: tensors that the method carries along, of shapes that do not change.
        memory: how many of the last selected items count; None: all.
        finish: what is done to the picks int32 `[batch, picks]` of a page without constraints; None: nothing.
    """

    first: tf.Tensor
    gain: tf.Tensor
    update: Update
    state: State = ()
    memory: int | None = None
    finish: Callable[[tf.Tensor], tf.Tensor] | None = None


def best(pool: Pool, gain: tf.Tensor) -> tf.Tensor:
    """Position `[batch]` int32 of the largest gain, the lowest among equals."""
    return position_of_highest(gain, pool.index)


def close(pool: Pool, gain: tf.Tensor, pick: tf.Tensor) -> tf.Tensor:
    """The gains with −inf at the picks."""
    return tf.where(pool.index == tf.expand_dims(pick, 1), float("-inf"), gain)


def keep_closed(gain: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """New gains, −inf where the old ones were."""
    return tf.where(gain > float("-inf"), new, float("-inf"))


def unrolled(pool: Pool) -> Pool:
    """The pool, marked where its picks are few enough to be taken one after the other in the graph."""
    few = isinstance(pool.picks, int) and pool.picks <= _UNROLLED_PICKS
    return pool._replace(unrolled=few and not pool.xla)


def new_table(pool: Pool, slots: Any, dim: Any) -> tf.Tensor:
    """A table `[batch, slots, dim]` for `put`: zeros, or no rows yet where a state may change its shape."""
    grows = pool.unrolled and isinstance(pool.context, int) and pool.context == 0
    return tf.zeros([tf.shape(pool.scores)[0], 0 if grows else slots, dim])


def put(table: tf.Tensor, slot: Any, row: tf.Tensor) -> tf.Tensor:
    """The table `[batch, slots, dim]` with a row `[batch, dim]` in one of its slots, or behind its last row."""
    if isinstance(slot, int) and table.shape[1] == slot:
        return tf.concat([table, tf.expand_dims(row, 1)], 1)
    return tf.where((tf.range(tf.shape(table)[1]) == slot)[:, tf.newaxis], row[:, tf.newaxis], table)


def absorb_context(pool: Pool, selection: Selection) -> Selection:
    """Counts the items of the context as selected; the first pick of the page then is a further pick."""
    if isinstance(pool.context, int) and pool.context == 0:
        return selection
    begin = tf.shape(pool.scores)[1] - pool.context
    first = tf.zeros_like(pool.scores[:, 0], tf.int32) + begin
    skipped = 0 if selection.memory is None else tf.maximum(pool.context - selection.memory, 0)

    def body(step: tf.Tensor, gain: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        gain, state = selection.update(gain, state, first + step, step)
        return (step + 1, gain, *state)

    initial = (tf.constant(0) + skipped, selection.gain, *selection.state)
    _, gain, *state = tf.while_loop(lambda step, *_: step < pool.context, body, initial)
    return selection._replace(first=gain, gain=gain, state=tuple(state))


def greedy(pool: Pool, selection: Selection, may_run_out: bool) -> tuple[tf.Tensor, tf.Tensor | None]:
    """One pick after the other, always the largest gain.

    Args:
        pool: the candidates.
        selection: the method at work.
        may_run_out: whether candidates that are not picked may have no gain.

    Returns:
        Picks int32 `[batch, picks]`, and how many of them had a gain `[batch, 1]`; None: all that there are
        candidates for.
    """
    selection = absorb_context(pool, selection)

    def with_gain(gain: tf.Tensor, pick: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """1 for a pick with a gain, `[batch, 1]`; nothing for methods that only end with the candidates."""
        if not may_run_out:
            return ()
        return (tf.cast(tf.gather(gain, pick[:, tf.newaxis], batch_dims=1) > float("-inf"), tf.int32),)

    def advance(step: Any, pick: tf.Tensor, found: tuple, gain: tf.Tensor, state: State) -> tuple:
        gain, state = selection.update(close(pool, gain, pick), state, pick, pool.context + step)
        pick = best(pool, gain)
        found = tuple(before + more for before, more in zip(found, with_gain(gain, pick), strict=True))
        return pick, found, gain, state

    pick = best(pool, selection.first)
    found = with_gain(selection.first, pick)
    if pool.unrolled:
        gain, state = selection.gain, selection.state
        chosen = [pick]
        for step in range(pool.picks - 1):
            pick, found, gain, state = advance(step, pick, found, gain, state)
            chosen.append(pick)
        picks = tf.stack(chosen, 1)
    else:
        picks, found = _loop(pool, selection, advance, pick, found)
    picks = picks if selection.finish is None else selection.finish(picks)
    return picks, found[0] if found else None


def _loop(pool: Pool, selection: Selection, advance: Callable, pick: tf.Tensor, found: tuple) -> tuple:
    """The same as a loop in the graph."""
    count = len(found)

    def body(step, pick, picks, gain, *rest):
        pick, found, gain, state = advance(step, pick, rest[:count], gain, rest[count:])
        # The picks move up by one: no place has to be worked out.
        picks = tf.concat([picks[:, 1:], pick[:, tf.newaxis]], 1)
        return (step + 1, pick, picks, gain, *found, *state)

    # Steps beyond the number of candidates would pick nothing.
    columns = pool.scores.shape[1]
    length = tf.minimum(pool.picks, tf.shape(pool.scores)[1])
    if isinstance(pool.picks, int) and columns is not None:
        length = min(pool.picks, columns)
    picks = tf.tile(pick[:, tf.newaxis], [1, length])
    initial = (tf.constant(0), pick, picks, selection.gain, *found, *selection.state)
    loop = tf.while_loop(lambda step, *_: step < length - 1, body, initial)
    return tf.pad(loop[2], [[0, 0], [0, pool.picks - length]]), loop[4 : 4 + count]


def complete(pool: Pool, picks: tf.Tensor, trusted: tf.Tensor | None) -> tf.Tensor:
    """Keep the first `trusted` `[batch, 1]` picks (None: all), fill the others by score, pad with −1."""
    slots = tf.range(pool.picks)[tf.newaxis]
    available = total(tf.cast(pool.valid, tf.int32))
    if trusted is None:
        return tf.where(slots < available, picks, -1)

    def by_score() -> tf.Tensor:
        count = tf.shape(pool.scores)[1]
        kept = tf.where(slots < trusted, picks, -1)
        taken = tf.reduce_any(kept[:, :, tf.newaxis] == pool.index[0], axis=1)
        left = tf.where(taken, float("-inf"), pool.scores)
        order = tf.math.top_k(left, tf.minimum(pool.picks, count)).indices
        place = tf.clip_by_value(slots - trusted, 0, tf.shape(order)[1] - 1)
        return tf.where(slots < trusted, picks, tf.gather(order, place, batch_dims=1))

    short = tf.reduce_any(trusted < tf.minimum(pool.picks, available))
    filled = tf.cond(short, by_score, lambda: picks)
    return tf.where(slots < available, filled, -1)


def in_score_order(pool: Pool, positions: tf.Tensor) -> tf.Tensor:
    """The positions `[batch, picks]` of each page, best score first, ties by the lowest; −1 stays at the end."""
    # top_k keeps the order of equals, so the lowest positions have to come first. Padding comes as the highest.
    size = tf.shape(positions)[1] if positions.shape[1] is None else positions.shape[1]
    ascending = -tf.math.top_k(-tf.where(positions >= 0, positions, tf.int32.max), size).values
    filled = ascending < tf.int32.max
    scores = tf.gather(pool.scores, tf.where(filled, ascending, 0), batch_dims=1)
    order = tf.math.top_k(tf.where(filled, scores, float("-inf")), size).indices
    return tf.gather(tf.where(filled, ascending, -1), order, batch_dims=1)
