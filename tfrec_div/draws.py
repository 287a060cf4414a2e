"""Random draws that a restored training repeats: a function of a seed and a counted step."""

from __future__ import annotations

from tfrec_div._keras import keras, tf

FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


def counted_step(layer: keras.layers.Layer) -> tf.Variable:
    """Adds the number of draws so far to a layer, int64; a weight, so that it is in every checkpoint."""
    return layer.add_weight(
        name="step", shape=(), dtype=tf.int64, initializer="zeros", trainable=False, aggregation=FIRST_REPLICA
    )


def step_seed(seed: int | tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Returns the seed int64 [2] of a step's draws, another one on each replica."""
    replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
    return tf.stack([tf.cast(seed, tf.int64) + replica * 7_919, tf.cast(step, tf.int64)])
