"""Dropout that a restored training repeats exactly."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.draws import counted_step, step_seed


@keras.utils.register_keras_serializable(package="tfrec_div")
class RepeatableDropout(keras.layers.Layer):
    """Dropout whose draws depend on a seed and a counted step only.

    The count is a weight, so it is in every checkpoint: a training that was interrupted goes on with the draws it
    would have made. Keras' `Dropout` keeps its state outside of checkpoints.

    Args:
        rate: Share of the entries that training sets to zero, in [0, 1); the others are scaled up.
        whole_rows: Whether one draw decides for a whole row, which is then not scaled.
        seed: Seed of the draws.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = RepeatableDropout(0.5)
        >>> layer(tf.ones([2, 2])).numpy().tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        >>> sorted(set(layer(tf.ones([100, 2]), training=True).numpy().ravel().tolist()))
        [0.0, 2.0]
    """

    def __init__(self, rate: float, whole_rows: bool = False, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1), got {rate}")
        self.rate = rate
        self.whole_rows = whole_rows
        self.seed = seed
        self.step = counted_step(self)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops entries, or whole rows, of `inputs` [batch, ...] when `training` is true."""
        if not training or self.rate == 0:
            return inputs
        seed = step_seed(self.seed, self.step)
        self.step.assign_add(1)
        shape = tf.shape(inputs)
        if self.whole_rows:
            shape = tf.concat([shape[:1], tf.ones_like(shape[1:])], axis=0)
        keep = tf.cast(tf.random.stateless_uniform(shape, seed) >= self.rate, inputs.dtype)
        return inputs * keep if self.whole_rows else inputs * keep / tf.cast(1 - self.rate, inputs.dtype)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"rate": self.rate, "whole_rows": self.whole_rows, "seed": self.seed}
        return {**super().get_config(), **config}
