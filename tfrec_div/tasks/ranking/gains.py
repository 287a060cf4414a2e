"""Gains and discounts of discounted cumulative gain."""

from __future__ import annotations

import math

from tfrec_div._keras import tf
from tfrec_div.tasks.ranking.base import Lists


def gains(lists: Lists) -> tf.Tensor:
    """Returns 2^label − 1 of each candidate, float32 [batch, n]; 0 for one that does not count."""
    return tf.where(lists.known, tf.pow(2.0, lists.labels) - 1.0, 0.0)


def discount(rank: tf.Tensor) -> tf.Tensor:
    """Returns 1 / log2(1 + rank) of ranks that begin with 1."""
    return math.log(2.0) / tf.math.log1p(rank)


def ideal_dcg(gain: tf.Tensor) -> tf.Tensor:
    """Returns the sum of discounted gains in the best order, float32 [batch], for gains float32 [batch, n]."""
    ranks = tf.range(1, tf.shape(gain)[1] + 1)
    best = tf.sort(gain, axis=1, direction="DESCENDING")
    return tf.reduce_sum(best * discount(tf.cast(ranks, gain.dtype)), axis=1)
