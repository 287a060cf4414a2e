"""Exchanges of picked items for others, for objectives that sum over the pairs of a page."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.rerank.greedy import best, put
from tfrec_div.rerank.kernels.base import Similarity
from tfrec_div.rerank.pool import Pool

_LEAST_GAIN = 1e-5  # a smaller one is float32 rounding


def exchange(pool: Pool, offset: tf.Tensor, similarity: Similarity, picks: tf.Tensor, most: int) -> tf.Tensor:
    """Exchanges one picked item at a time for the candidate that raises the sum of the page most.

    The sum is that of the offsets of the picked items less the similarities of all pairs of picked or context items.
    It ends when no exchange raises it (Borodin, Lee and Ye, 2012), or after `most`. Costs one product with all rows
    for each pick and each exchange.

    Args:
        pool: the candidates.
        offset: worth of each candidate by itself, `[batch, columns]`.
        similarity: of the pairs.
        picks: positions int32 `[batch, picks]`.
        most: how many exchanges at most.

    Returns:
        Positions int32 `[batch, picks]`; a new item takes the place of the one it replaces.
    """
    batch, places = tf.unstack(tf.shape(picks))
    columns = tf.shape(pool.scores)[1]

    def add_context(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return step + 1, total + similarity.to(tf.fill([batch], columns - pool.context + step))

    def add_place(step: tf.Tensor, alike: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return step + 1, put(alike, step, similarity.to(tf.gather(picks, step, axis=1)))

    def improve(
        step: tf.Tensor, more: tf.Tensor, picks: tf.Tensor, alike: tf.Tensor, total: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        # [batch, places, columns]: what the sum gains by a candidate in the place of a picked item.
        with_others = total[:, tf.newaxis] - alike
        worth = offset[:, tf.newaxis] - with_others
        own = tf.gather(worth, picks[:, :, tf.newaxis], batch_dims=2)
        picked = tf.reduce_any(picks[:, :, tf.newaxis] == pool.index, axis=1)
        gain = tf.where((pool.valid & ~picked)[:, tf.newaxis], worth - own, float("-inf"))
        by_place = tf.reduce_max(gain, axis=2)
        place = tf.argmax(by_place, axis=1, output_type=tf.int32)
        new = best(pool, tf.gather(gain, place, batch_dims=1))
        better = tf.gather(by_place, place, batch_dims=1) > least
        here = (tf.range(places) == place[:, tf.newaxis]) & better[:, tf.newaxis]
        row = tf.where(here[:, :, tf.newaxis], similarity.to(new)[:, tf.newaxis], alike)
        total += tf.reduce_sum(row - alike, axis=1)
        return step + 1, tf.reduce_any(better), tf.where(here, new[:, tf.newaxis], picks), row, total

    least = _LEAST_GAIN * (1.0 + tf.reduce_max(tf.abs(offset), axis=1))
    total = tf.zeros_like(pool.scores)
    if not (isinstance(pool.context, int) and pool.context == 0):
        _, total = tf.while_loop(lambda step, _: step < pool.context, add_context, (0, total))
    empty = tf.zeros([batch, places, columns])
    _, alike = tf.while_loop(lambda step, _: step < places, add_place, (0, empty))
    total += tf.reduce_sum(alike, axis=1)
    state = (0, tf.constant(True), picks, alike, total)
    return tf.while_loop(lambda step, more, *_: (step < most) & more, improve, state)[2]
