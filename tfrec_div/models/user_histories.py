"""Batches of users: a part of each history, and the items that it is to tell."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.batches import UNKNOWN, Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem

# Shares of a history after which it may be cut, and how much of what was before the cut is asked for after it.
CUTS = (0.3, 1.0)
AHEAD = 0.25


@dataclass(frozen=True, eq=False)
class UserHistories(Batches):
    """Batches whose rows are users drawn at random; as many an epoch as the interactions make.

    An element is a dictionary: `history` int32 [users, steps] and `history_weight` float32 alike as in `Batches`,
    `item_id` int32 [users, targets] (padded with -1) and `weight` float32 alike, their strength. Users with one
    interaction are left out when `ahead` is true.

    Args:
        users: Users a batch.
        ahead: Whether a history ends at a random cut, and what comes next is asked for; else the history itself.

    Example:
        >>> import pandas as pd
        >>> from tfrec_div.data.frames import from_frames
        >>> log = pd.DataFrame({"user_id": ["u"] * 2, "item_id": list("ab"), "timestamp": [1, 2]})
        >>> batch = next(iter(UserHistories(from_frames(log), batch_size=1, users=2)))
        >>> batch["history"].numpy().tolist(), batch["item_id"].numpy().tolist()
        ([[0], [0]], [[1], [1]])
    """

    users: int = 256
    ahead: bool = True

    @classmethod
    def of(cls, batches: Batches, users: int, ahead: bool) -> UserHistories:
        """Returns the users of batches, with the same seed, epochs and length of histories."""
        given = {field.name: getattr(batches, field.name) for field in fields(Batches)}
        return cls(**given, users=users, ahead=ahead)

    def as_dataset(self, first_epoch: int = 0, epochs: int | None = None) -> tf.data.Dataset:
        """Returns a `tf.data.Dataset` of the epochs from `first_epoch` on (endless if None).

        What is drawn depends on the seed and the number of the step.
        """
        log = self.dataset.interactions
        values, splits = log.histories()
        items, strength = tf.constant(values, tf.int32), tf.constant(log.strength(), tf.float32)
        starts = tf.constant(splits, tf.int64)
        known = users_to_learn_from(self.dataset, self.ahead)
        active = tf.constant(known, tf.int64)

        def batch_of(step):
            seed = tf.stack([tf.constant(self.seed, tf.int64), step])
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
                asked = tf.ragged.range(tf.maximum(cut - self.max_history, start), cut)
            back = tf.ragged.range(cut - 1, tf.maximum(cut - self.max_history, start) - 1, -1)
            return {
                "history": tf.gather(items, back).to_tensor(UNKNOWN),
                "history_weight": tf.gather(strength, back).to_tensor(0.0),
                "item_id": tf.gather(items, asked).to_tensor(UNKNOWN),
                "weight": tf.gather(strength, asked).to_tensor(0.0),
            }

        steps = len(self)
        last = np.iinfo(np.int64).max if epochs is None else (first_epoch + epochs) * steps
        numbers = tf.data.Dataset.range(first_epoch * steps, last)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return numbers.map(batch_of, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE).with_options(options)


def users_to_learn_from(data: Dataset, ahead: bool) -> np.ndarray:
    """Returns the rows of the users whose histories can be learned from, int [users].

    Args:
        data: Training data.
        ahead: Whether something must come after a part of the history, see `UserHistories`.

    Raises:
        DataError: If there are none.
    """
    least = 2 if ahead else 1
    found = np.flatnonzero(np.diff(data.interactions.histories()[1]) >= least)
    if not len(found):
        most = "users with one interaction at most" if ahead else ""
        expected = f"a user with {least} interaction{'s' if ahead else ''} or more"
        raise DataError([Problem("interactions", None, None, expected, most)])
    return found
