"""What users have done with which items, in variables, so that a graph can look it up."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.interactions import Interactions


class Histories(tf.Module):
    """Items of all users' histories end to end, how much each counts, and where each user's begins.

    Example:
        >>> from tfrec_div import make_synthetic
        >>> log = make_synthetic(num_users=20, num_items=15, images=False).interactions
        >>> histories = Histories()
        >>> histories.update(log)
        >>> seen, strength = histories.latest_first(tf.constant([0, -1]))
        >>> seen.numpy()[0, :2].tolist() == log.item[log.user == 0][:-3:-1].tolist(), seen.numpy()[1, :2].tolist()
        (True, [-1, -1])
    """

    def __init__(self):
        super().__init__(name="histories")
        self._items = tf.Variable([-1], shape=[None], trainable=False, dtype=tf.int32, name="history_items")
        self._strength = tf.Variable([0.0], shape=[None], trainable=False, name="history_strength")
        self._starts = tf.Variable([0], shape=[None], trainable=False, dtype=tf.int32, name="history_starts")

    def update(self, interactions: Interactions) -> None:
        """Replaces what users have seen."""
        items, starts = interactions.histories()
        # One more entry, so that an empty history can be gathered from.
        self._items.assign(np.append(items, -1))
        self._strength.assign(np.append(interactions.strength(), 0).astype(np.float32))
        self._starts.assign(starts)

    def copy(self) -> Histories:
        """Returns the same histories in variables of their own."""
        other = Histories()
        for mine, theirs in zip(self.state.values(), other.state.values(), strict=True):
            theirs.assign(mine)
        return other

    @property
    def state(self) -> dict[str, tf.Variable]:
        """What is saved, by name."""
        return {
            "history_items": self._items,
            "history_strength": self._strength,
            "history_starts": self._starts,
        }

    @property
    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Item rows of all users' histories end to end, and where each user's begins [users + 1]."""
        return self._items.numpy()[:-1], self._starts.numpy()

    @property
    def strength(self) -> np.ndarray:
        """How much each of the items in `seen` counts, float32 in [0, 1]."""
        return self._strength.numpy()[:-1]

    def latest_first(self, users: tf.Tensor, session: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what each user has seen, the latest first, and how much each item counts.

        Args:
            users: Integer [batch], rows; -1 is an unknown user, who has an empty history.
            session: Integer [batch, n], rows of the items of this session in time order, padded with -1.

        Returns:
            Rows int32 [batch, m], padded with -1 at the end, and their strengths float [batch, m].
        """
        row = tf.maximum(users, 0)
        start = tf.gather(self._starts, row)
        length = tf.where(users >= 0, tf.gather(self._starts, row + 1) - start, 0)
        back = tf.range(tf.reduce_max(tf.concat([length, [0]], 0)))[tf.newaxis, :]
        inside = back < length[:, tf.newaxis]
        position = tf.where(inside, (start + length)[:, tf.newaxis] - 1 - back, 0)
        seen = tf.where(inside, tf.gather(self._items, position), -1)
        weight = tf.where(inside, tf.gather(self._strength, position), 0.0)
        if session is not None:
            session = tf.reverse(session, axis=[1])
            seen = tf.concat([session, seen], axis=1)
            weight = tf.concat([tf.cast(session >= 0, tf.float32), weight], axis=1)
            # A padded place must not push what comes after it into the past.
            order = tf.argsort(tf.cast(seen < 0, tf.int32), axis=1, stable=True)
            seen = tf.gather(seen, order, axis=1, batch_dims=1)
            weight = tf.gather(weight, order, axis=1, batch_dims=1)
        return seen, weight
