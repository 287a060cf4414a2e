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
    gathered = tf.distribute.get_replica_context().all_gather(values, axis=0)
    # The gradient of `all_gather` takes dense tensors only; that of `reshape` makes one of what `tf.gather` gives.
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
