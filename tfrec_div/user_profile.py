"""What a user's history is made of: the share of each category, or of the long tail."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import tf


def checked_half_life(half_life: float | None) -> float | None:
    """Returns the half-life of a profile.

    Args:
        half_life: Items after which what lies further back counts half; None: all count alike.

    Raises:
        ValueError: If it is not above 0.
    """
    if half_life is not None and not half_life > 0:
        raise ValueError(f"profile_half_life must be above 0 items, or None; got {half_life}")
    return half_life


class UserProfile(tf.Module):
    """Shares of a feature's values in users' histories, as in Steck (2018).

    An item's weight in the history is shared equally by the values that it has; items without any do not count. A
    user without such items has zeros.

    Args:
        table: Float [items, values], at least 0; or codes [items], -1 for none.
        half_life: Items after which what lies further back counts half; None: all count alike.

    Raises:
        ValueError: If the half-life is not above 0.

    Example:
        >>> profile = UserProfile(tf.Variable([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
        >>> profile(tf.constant([[0, 1, 2], [2, -1, -1]]), tf.ones([2, 3])).numpy().tolist()
        [[0.75, 0.25], [0.0, 0.0]]
    """

    def __init__(self, table: tf.Variable, half_life: float | None = None):
        super().__init__(name="user_profile")
        self.table, self.half_life = table, checked_half_life(half_life)
        values = table.numpy()
        self._codes = values.ndim == 1
        if self._codes:
            self.width = max(int(values.max(initial=-1)) + 1, 2)
            per_item = (values >= 0).astype(np.float32)
        else:
            if (values < 0).any():
                raise ValueError(
                    "a profile is over a feature that is at least 0; got one with negative values"
                )
            self.width, total = values.shape[1], values.sum(axis=1)
            per_item = np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), 0.0)
        self._per_item = tf.Variable(per_item, trainable=False, dtype=tf.float32, name="profile_per_item")

    @property
    def variables_in_use(self) -> list[tf.Variable]:
        """What a graph of it reads."""
        return [self.table, self._per_item]

    def __call__(self, seen: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Returns the profile of each user, float [batch, values], 1 in sum or 0.

        Args:
            seen: Integer [batch, m], rows of the history, the latest first, padded with -1.
            weight: Float [batch, m], how much each counts.
        """
        rows = tf.maximum(seen, 0)
        if self.half_life is not None:
            back = tf.cast(tf.range(tf.shape(seen)[1]), tf.float32)
            weight = weight * tf.pow(0.5, back / self.half_life)
        weight = tf.where(seen >= 0, weight * tf.gather(self._per_item, rows), 0.0)
        if self._codes:
            codes = tf.gather(self.table, rows)
            total = tf.linalg.matvec(tf.one_hot(codes, self.width), weight, transpose_a=True)
        else:
            # As a sparse product: the rows of a long history are not brought side by side.
            place = tf.where(weight > 0)
            items = tf.cast(tf.gather_nd(rows, place), tf.int64)
            shape = tf.stack([tf.shape(seen, tf.int64)[0], tf.shape(self.table, tf.int64)[0]])
            sparse = tf.SparseTensor(
                tf.stack([place[:, 0], items], axis=1), tf.gather_nd(weight, place), shape
            )
            total = tf.sparse.sparse_dense_matmul(sparse, self.table)
        return tf.math.divide_no_nan(total, tf.reduce_sum(total, axis=1, keepdims=True))

    def of_nobody(self, batch: tf.Tensor) -> tf.Tensor:
        """Returns the profile of users without a history, float [batch, values]."""
        return tf.zeros([batch, self.width])
