"""Gradient descent in a graph, for tests that something learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfrec_div._keras import keras, tf


def descend(
    loss: Callable[[], tf.Tensor], variables: Sequence[tf.Variable], steps: int, rate: float
) -> float:
    """Takes steps of Adam and returns the last loss."""
    optimizer = keras.optimizers.legacy.Adam(rate)
    optimizer._create_all_weights(variables)

    @tf.function
    def take(number):
        value = tf.zeros([])
        for _ in tf.range(number):
            with tf.GradientTape() as tape:
                value = loss()
            optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return float(take(steps))
