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
    `history` int32 [batch, max_history] (item rows, latest first, padded with -1), `history_weight` float32 alike
    (strength of each past interaction, 0 where padded); when `context` is given also `exclude` int32 [batch, seen]
    (item rows that the user knows already, padded with -1).

    The history never holds the target's own event. Without `context` it ends strictly before the target, and for
    training a little earlier (`horizon`), so that the model learns what comes soon and not only what comes next.
    With `context` (evaluation) it is the user's history there.

    Args:
        dataset: The interactions to go through, with their catalogue.
        batch_size: Interactions a batch.
        max_history: Items of history that are kept, the latest ones.
        context: Data set with what was known before, for evaluation on held-out interactions.
        shuffle: Whether each epoch has its own order, a function of `seed` and the epoch's number only.
        seed: Seed of the order and of the cuts of the histories.
        horizon: Share of the history before the target that may be missing, drawn anew for each example, in
            [0, 1). 0 gives the full history before the target.
        user_balance: Exponent b of the weight n^-b that an interaction of a user with n interactions gets, in
            [0, 1]: 0 counts interactions alike, 1 counts users alike.

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

    def __post_init__(self):
        if self.batch_size < 1 or self.max_history < 1:
            raise ValueError(
                f"batch_size and max_history must be at least 1, got {self.batch_size} and {self.max_history}"
            )
        if not 0 <= self.horizon < 1:
            raise ValueError(f"horizon must be in [0, 1), got {self.horizon}")
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

        columns = {name: tf.constant(values) for name, values in self._columns().items()}
        known = tuple(tf.constant(values) for values in self._known())
        count, steps, size = len(self.dataset.interactions), len(self), self.batch_size

        def batches_of(epoch):
            order = tf.range(count)
            if self.shuffle:
                order = tf.random.experimental.stateless_shuffle(order, seed=tf.stack([self.seed, epoch]))
            permuted = {name: tf.gather(column, order) for name, column in columns.items()}

            def cut(step):
                start = step * size
                batch = {name: column[start : start + size] for name, column in permuted.items()}
                return self._with_history(batch, known, epoch, step)

            return tf.data.Dataset.range(steps, output_type=tf.int32).map(cut, num_parallel_calls=2)

        last = np.iinfo(np.int32).max if epochs is None else first_epoch + epochs
        numbers = tf.data.Dataset.range(first_epoch, last, output_type=tf.int32)
        return numbers.flat_map(batches_of).prefetch(tf.data.AUTOTUNE)

    def _columns(self) -> dict[str, np.ndarray]:
        events = self.dataset.interactions
        if self.context is None:
            starts = events.histories()[1]
            before = np.arange(len(events)) - starts[events.user]
        else:
            before = np.diff(self.context.interactions.histories()[1])[events.user]
        per_user = np.bincount(events.user, minlength=events.num_users)[events.user]
        weight = events.strength() * per_user ** -float(self.user_balance)
        return {
            "user_id": events.user.astype(np.int32),
            "item_id": events.item.astype(np.int32),
            "weight": (weight / (weight.mean() or 1)).astype(np.float32),
            "_before": before.astype(np.int32),
        }

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

    def _with_history(self, batch: dict, known: tuple, epoch, step) -> dict:
        from tfrec_div._keras import tf

        items, strength, starts = known
        before = batch.pop("_before")
        start = tf.gather(starts, batch["user_id"])
        if self.context is None and self.horizon > 0:
            seed = tf.stack([self.seed, epoch * 1_000_003 + step])
            missing = tf.random.stateless_uniform(tf.shape(before), seed, maxval=self.horizon)
            before -= tf.cast(missing * tf.cast(before, tf.float32), tf.int32)
        back = tf.range(self.max_history)[tf.newaxis, :]
        inside = back < before[:, tf.newaxis]
        position = tf.where(inside, (start + before)[:, tf.newaxis] - 1 - back, 0)
        batch["history"] = tf.where(inside, tf.gather(items, position), UNKNOWN)
        batch["history_weight"] = tf.where(inside, tf.gather(strength, position), 0.0)
        if self.context is not None:
            back = tf.range(tf.reduce_max(before))[tf.newaxis, :]
            inside = back < before[:, tf.newaxis]
            position = tf.where(inside, start[:, tf.newaxis] + back, 0)
            batch["exclude"] = tf.where(inside, tf.gather(items, position), UNKNOWN)
        return batch
