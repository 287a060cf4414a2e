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


def without_unmet(items: tf.Tensor, met: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Takes the items that training has not met out of a softmax over the catalogue, by their bias.

    They are no target, so all that it could learn of them is that nobody wants them, and their likes.

    Args:
        items: Float [items, dim], the whole catalogue; the last entry is the bias.
        met: Bool [items], which of them training has met.
        targets: Integer [batch], rows that stay whether met or not.

    Example:
        >>> items, met = tf.zeros([3, 2]), tf.constant([True, False, False])
        >>> without_unmet(items, met, tf.constant([2]))[:, -1].numpy().tolist()
        [0.0, -1000000000.0, 0.0]
    """
    met = tf.tensor_scatter_nd_update(met, targets[:, tf.newaxis], tf.ones_like(targets, tf.bool))
    bias = tf.where(met, items[:, -1], -1e9)
    return tf.concat([items[:, :-1], bias[:, tf.newaxis]], axis=1)


def column_of(columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns where among the distinct `columns` int [n] each of `rows` int [...] stands; -1 where it does not.

    Example:
        >>> column_of(tf.constant([7, 3]), tf.constant([[3, 5, -1]])).numpy().tolist()
        [[1, -1, -1]]
    """
    # A table by row: some ten times faster than comparing or hashing.
    size = tf.reduce_max(tf.concat([columns, [0]], axis=0)) + 1
    table = tf.scatter_nd(columns[:, tf.newaxis], tf.range(1, tf.size(columns) + 1), size[tf.newaxis]) - 1
    inside = (rows >= 0) & (rows < size)
    return tf.where(inside, tf.gather(table, tf.where(inside, rows, 0)), -1)


def hit_columns(columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Tells which of `columns` int [n] stand among the `rows` int [batch, m] of each query, bool [batch, n].

    Columns may hold a row several times; -1 hits nothing on either side.

    Example:
        >>> hit_columns(tf.constant([7, 3, 7, -1]), tf.constant([[7, -1], [1, 3]])).numpy().astype(int).tolist()
        [[1, 0, 1, 0], [0, 1, 0, 0]]
    """
    distinct, place = tf.unique(tf.maximum(columns, 0))
    found = column_of(distinct, rows)
    query = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, tf.newaxis], tf.shape(found))
    index = tf.boolean_mask(tf.stack([query, found], axis=-1), found >= 0)
    shape = tf.stack([tf.shape(rows)[0], tf.size(distinct)])
    hits = tf.scatter_nd(index, tf.ones(tf.shape(index)[:1], tf.int32), shape) > 0
    return tf.gather(hits, place, axis=1) & (columns >= 0)
