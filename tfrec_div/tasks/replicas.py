"""What the replicas of a `tf.distribute` strategy share within a training step."""

from __future__ import annotations

from tfrec_div._keras import tf


def num_replicas() -> int:
    """Returns the replicas that take a step together; 1 without a strategy."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def gather_replicas(values: tf.Tensor) -> tf.Tensor:
    """Puts the rows of all replicas one after the other, `[rows, ...]`; gradients flow back to where a row came from.

    Replicas may bring different numbers of rows.

    Example:
        >>> gather_replicas(tf.constant([1, 2])).numpy().tolist()
        [1, 2]
    """
    if num_replicas() == 1:
        return values
    context = tf.distribute.get_replica_context()
    number, replica = context.num_replicas_in_sync, context.replica_id_in_sync_group
    rows = tf.shape(values)[0]
    counts = sum_replicas(rows * tf.one_hot(replica, number, dtype=tf.int32))
    before = tf.reduce_sum(tf.where(tf.range(number) < replica, counts, 0))
    # A sum with zeros for the others' rows: the `all_gather` of several workers with one device each fails.
    around = [
        tf.zeros(tf.concat([[size], tf.shape(values)[1:]], axis=0), values.dtype)
        for size in (before, tf.reduce_sum(counts) - before - rows)
    ]
    gathered = sum_replicas(tf.concat([around[0], values, around[1]], axis=0))
    # The gradient takes dense tensors only; that of `reshape` makes one of what `tf.gather` gives.
    return tf.reshape(gathered, tf.shape(gathered))


def sum_replicas(value: tf.Tensor) -> tf.Tensor:
    """Adds up a value over all replicas.

    Example:
        >>> float(sum_replicas(tf.constant(2.0)))
        2.0
    """
    if num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)
