"""Batches for training and evaluation: dictionaries of integer rows, cut as whole slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div.data.errors import DataError, Problem

if TYPE_CHECKING:
    from tfrec_div.data.dataset import Dataset

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Batches:
    """The interactions of a data set as batches, each with the user's history before it.

    An element is a dictionary: `user_id`, `item_id` int32 [batch] (rows), `weight` float32 [batch] (mean about 1),
    `history` int32 [batch, steps] (at most `max_history` item rows, latest first, padded with -1), `history_weight`
    float32 alike (strength of each past interaction, 0 where padded); when `context` is given also `exclude` int32
    [batch, seen] (item rows that the user knows already, padded with -1); when `negatives` is above 0 also
    `negative_id` int32 [batch, negatives] (item rows that the user was shown and neither clicked nor interacted
    with, padded with -1).

    The history never holds the target's own event. Without `context` it ends strictly before the target, and for
    training a little earlier (`horizon`), so that the model learns what comes soon and not only what comes next.
    With `context` (evaluation) it is the user's history there.

    Args:
        dataset: The interactions to go through, with their catalogue.
        batch_size: Interactions a batch.
        max_history: Items of history that are kept, the latest ones; 0 for none.
        context: Data set with what was known before, for evaluation on held-out interactions.
        shuffle: Whether each epoch has its own order, a function of `seed` and the epoch's number only.
        seed: Seed of the order and of the cuts of the histories.
        horizon: Share of the history before the target that may be missing, drawn anew for each example, in
            [0, 1). 0 gives the full history before the target.
        user_balance: Exponent b of the weight n^-b that an interaction of a user with n interactions gets, in
            [0, 1]: 0 counts interactions alike, 1 counts users alike.
        negatives: Items from the data set's impressions that each row brings, drawn anew in each epoch.

    Example:
        >>> import pandas as pd
        >>> from tfrec_div.data.frames import from_frames
        >>> data = from_frames(pd.DataFrame({"user_id": ["u"] * 3, "item_id": list("abc"), "timestamp": [1, 2, 3]}))
        >>> batches = Batches(data, batch_size=3, max_history=2, shuffle=False, horizon=0)
        >>> next(iter(batches))["history"].numpy().tolist()
        [[-1, -1], [0, -1], [1, 0]]
    """

    dataset: Dataset
    batch_size: int = 1024
    max_history: int = 100
    context: Dataset | None = None
    shuffle: bool = True
    seed: int = 0
    horizon: float = 0.2
    user_balance: float = 0.5
    negatives: int = 0

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.max_history < 0:
            raise ValueError(f"max_history must be at least 0, got {self.max_history}")
        if not 0 <= self.horizon < 1:
            raise ValueError(f"horizon must be in [0, 1), got {self.horizon}")
        if self.negatives and self.dataset.impressions is None:
            raise ValueError("negatives: the data set has no impressions to take them from")
        if not len(self.dataset.interactions):
            raise ValueError("dataset has no interactions to make batches of")
        if self.context is None and not self.dataset.interactions.strength().any():
            expected = "a weight above 0 in some row"
            raise DataError([Problem("interactions", None, "weight", expected, "0 in all rows")])

    def __len__(self) -> int:
        return -(-len(self.dataset.interactions) // self.batch_size)

    def __iter__(self):
        return iter(self.as_dataset(epochs=1))

    def as_dataset(self, first_epoch: int = 0, epochs: int | None = None):
        """Returns a `tf.data.Dataset` of the epochs from `first_epoch` on, one after the other (endless if None).

        The order of an epoch depends on its number, so a training that is resumed sees the batches it would have
        seen.
        """
        from tfrec_div._keras import tf

        table = tf.constant(self._table())
        known = tuple(tf.constant(values) for values in self._known())
        shown = tuple(tf.constant(values) for values in self._shown()) if self.negatives else None
        count, steps, size = len(self.dataset.interactions), len(self), self.batch_size

        def batches_of(epoch):
            rows = table
            if self.shuffle:
                seed = tf.stack([self.seed, epoch])
                rows = tf.gather(table, tf.random.experimental.stateless_shuffle(tf.range(count), seed=seed))

            def cut(step):
                users, items, weights, before = tf.unstack(
                    rows[step * size : (step + 1) * size], num=4, axis=1
                )
                weights = tf.bitcast(weights, tf.float32)
                batch = {"user_id": users, "item_id": items, "weight": weights, "_before": before}
                if shown is not None:
                    batch["negative_id"] = self._draw_shown(batch["user_id"], shown, epoch, step)
                return self._with_history(batch, known, epoch, step)

            return tf.data.Dataset.range(steps, output_type=tf.int32).map(cut, num_parallel_calls=2)

        last = np.iinfo(np.int32).max if epochs is None else first_epoch + epochs
        numbers = tf.data.Dataset.range(first_epoch, last, output_type=tf.int32)
        options = tf.data.Options()
        # Each worker of a strategy takes its own part of a batch; there are no files to share out.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return numbers.flat_map(batches_of).prefetch(tf.data.AUTOTUNE).with_options(options)

    def _table(self) -> np.ndarray:
        """Returns user, item, the bits of the weight, and the length of the history, int32 [interactions, 4].

        One table, since an epoch's order is then one gather of short rows.
        """
        events = self.dataset.interactions
        if self.context is None:
            starts = events.histories()[1]
            before = np.arange(len(events)) - starts[events.user]
        else:
            before = np.diff(self.context.interactions.histories()[1])[events.user]
        per_user = np.bincount(events.user, minlength=events.num_users)[events.user]
        weight = events.strength() * per_user ** -float(self.user_balance)
        weight = (weight / (weight.mean() or 1)).astype(np.float32)
        columns = (events.user, events.item, weight.view(np.int32), before)
        return np.stack([column.astype(np.int32) for column in columns], axis=1)

    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the items and strengths of all histories, end to end, and where each user's begins."""
        events = (self.context or self.dataset).interactions
        items, starts = events.histories()
        # One padded entry at the end, so that an empty data set can be gathered from.
        return (
            np.append(items, UNKNOWN).astype(np.int32),
            np.append(events.strength(), 0).astype(np.float32),
            starts.astype(np.int32),
        )

    def _shown(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items that users were shown and passed over, end to end, and where each user's begin."""
        shown, log = self.dataset.impressions, self.dataset.interactions
        assert shown is not None
        pair = shown.user.astype(np.int64) * log.num_items + shown.item
        liked = np.concatenate([pair[shown.clicked], log.user.astype(np.int64) * log.num_items + log.item])
        passed = np.setdiff1d(pair, liked)
        users = passed // log.num_items
        # One padded entry at the end, so that nothing can be gathered from.
        return (
            np.append(passed % log.num_items, UNKNOWN).astype(np.int32),
            np.searchsorted(users, np.arange(log.num_users + 1)).astype(np.int32),
        )

    def _draw_shown(self, users, shown: tuple, epoch, step):
        from tfrec_div._keras import tf

        items, starts = shown
        start, count = tf.gather(starts, users), tf.gather(starts, users + 1) - tf.gather(starts, users)
        seed = tf.stack([self.seed + 1, epoch * 1_000_003 + step])
        # A run of the user's list from a random place on, so that no item comes twice.
        place = tf.random.stateless_uniform(tf.shape(count), seed) * tf.cast(count, tf.float32)
        number = tf.range(self.negatives)[tf.newaxis, :]
        place = (tf.cast(place, tf.int32)[:, tf.newaxis] + number) % tf.maximum(count, 1)[:, tf.newaxis]
        inside = number < count[:, tf.newaxis]
        return tf.where(inside, tf.gather(items, tf.where(inside, start[:, tf.newaxis] + place, 0)), UNKNOWN)

    def _with_history(self, batch: dict, known: tuple, epoch, step) -> dict:
        from tfrec_div._keras import tf

        items, strength, starts = known
        before = batch.pop("_before")
        if not self.max_history and self.context is None:
            none = tf.zeros([tf.size(before), 0])
            return {**batch, "history": tf.cast(none, tf.int32), "history_weight": none}
        start = tf.gather(starts, batch["user_id"])
        if self.context is None and self.horizon > 0:
            seed = tf.stack([self.seed, epoch * 1_000_003 + step])
            missing = tf.random.stateless_uniform(tf.shape(before), seed, maxval=self.horizon)
            before -= tf.cast(missing * tf.cast(before, tf.float32), tf.int32)
        last = start + before
        first = tf.maximum(last - self.max_history, start)
        # As wide as the batch needs, and looked up only where there is something: most histories are far shorter
        # than the longest one allowed.
        back = tf.ragged.range(last - 1, first - 1, -1)
        batch["history"] = tf.gather(items, back).to_tensor(UNKNOWN)
        batch["history_weight"] = tf.gather(strength, back).to_tensor(0.0)
        if self.context is not None:
            batch["exclude"] = tf.gather(items, tf.ragged.range(start, last)).to_tensor(UNKNOWN)
        return batch
