"""Batches of users: a part of each history, and the items that it is to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.batches import UNKNOWN, Batches

# Shares of a history after which it may be cut, and how much of what was before the cut is asked for after it.
CUTS = (0.3, 1.0)
AHEAD = 0.25


@dataclass(frozen=True, eq=False)
class UserHistories:
    """As many batches an epoch as `batches` has, each of users drawn at random.

    An element is a dictionary: `history` int32 [users, steps] and `history_weight` float32 alike as in `Batches`,
    `item_id` int32 [users, targets] (padded with -1) and `weight` float32 alike, their strength. Users with one
    interaction are left out when `ahead` is true.

    Args:
        batches: Whose data set, epochs, seed and length of histories are meant.
        users: Users a batch.
        ahead: Whether a history ends at a random cut, and what comes next is asked for; else the history itself.

    Example:
        >>> import pandas as pd
        >>> from tfrec_div.data.frames import from_frames
        >>> log = pd.DataFrame({"user_id": ["u"] * 2, "item_id": list("ab"), "timestamp": [1, 2]})
        >>> batches = from_frames(log).batches(1)
        >>> batch = next(iter(UserHistories(batches, 2).as_dataset(0, 1)))
        >>> batch["history"].numpy().tolist(), batch["item_id"].numpy().tolist()
        ([[0], [0]], [[1], [1]])
    """

    batches: Batches
    users: int = 256
    ahead: bool = True

    def as_dataset(self, first_epoch: int = 0, epochs: int = 1) -> tf.data.Dataset:
        """Returns a `tf.data.Dataset` of the epochs from `first_epoch` on, a function of the seed and the step."""
        log = self.batches.dataset.interactions
        values, splits = log.histories()
        items, strength = tf.constant(values, tf.int32), tf.constant(log.strength(), tf.float32)
        starts = tf.constant(splits, tf.int64)
        least = 2 if self.ahead else 1
        known = np.flatnonzero(np.diff(splits) >= least)
        if not len(known):
            raise ValueError(f"x: expected a user with {least} interactions or more, got none")
        active = tf.constant(known, tf.int64)

        def batch_of(step):
            seed = tf.stack([tf.constant(self.batches.seed, tf.int64), step])
            drawn = tf.random.stateless_uniform([self.users], seed, 0, len(known), tf.int64)
            user = tf.gather(active, drawn)
            start, end = tf.gather(starts, user), tf.gather(starts, user + 1)
            if self.ahead:
                share = tf.random.stateless_uniform([self.users], seed + 1, *CUTS)
                before = tf.cast(share * tf.cast(end - start, tf.float32), tf.int64)
                cut = start + tf.clip_by_value(before, 1, end - start - 1)
                ahead = tf.math.ceil(AHEAD * tf.cast(cut - start, tf.float32))
                asked = tf.ragged.range(cut, tf.minimum(cut + tf.cast(ahead, tf.int64), end))
            else:
                cut = end
                asked = tf.ragged.range(tf.maximum(cut - self.batches.max_history, start), cut)
            back = tf.ragged.range(cut - 1, tf.maximum(cut - self.batches.max_history, start) - 1, -1)
            return {
                "history": tf.gather(items, back).to_tensor(UNKNOWN),
                "history_weight": tf.gather(strength, back).to_tensor(0.0),
                "item_id": tf.gather(items, asked).to_tensor(UNKNOWN),
                "weight": tf.gather(strength, asked).to_tensor(0.0),
            }

        steps = len(self.batches)
        numbers = tf.data.Dataset.range(first_epoch * steps, (first_epoch + epochs) * steps)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return numbers.map(batch_of, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE).with_options(options)
