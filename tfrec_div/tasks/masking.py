"""Takes items out of the running."""

from __future__ import annotations

from tfrec_div._keras import tf


def mask_rows(scores: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Sets the scores float [batch, items] of some rows int [batch, n] to minus infinity; row -1 is passed over.

    Example:
        >>> mask_rows(tf.zeros([1, 3]), tf.constant([[1, -1]])).numpy().tolist()
        [[0.0, -inf, 0.0]]
    """
    batch, items = tf.unstack(tf.shape(scores))
    # Padding lands in one more column that is cut off again.
    column = tf.where(rows < 0, items, rows)
    index = tf.stack([tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(column)), column], axis=-1)
    padded = tf.pad(scores, [[0, 0], [0, 1]])
    floor = tf.fill(tf.shape(column), tf.constant(float("-inf"), scores.dtype))
    return tf.tensor_scatter_nd_update(padded, index, floor)[:, :items]
