"""A history as sums that forget at several paces."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history.base import HistoryEncoder, log_weights


@keras.utils.register_keras_serializable(package="tfrec_div")
class PooledHistoryEncoder(HistoryEncoder):
    """Sums the vectors of a history in several pools that forget at their own pace.

    A pool is the sum of the history's item vectors, each times its learned weight and 2^(-position / half life),
    over the square root of those weights' sum; each pool has its own matrix, and their sum is the user's vector.
    One pool never forgets. An empty history gives zero.

    Args:
        dim: Length of the output.
        half_lives: Steps back after which a pool's weight is halved, at the start of training.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = PooledHistoryEncoder(4)
        >>> encoder({"vectors": tf.ones([2, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0], [0.0] * 3])}).shape
        TensorShape([2, 4])
    """

    def __init__(self, dim: int, half_lives: Sequence[float] = (4.0, 16.0), **kwargs):
        super().__init__(dim, **kwargs)
        self.half_lives = tuple(half_lives)
        for steps in self.half_lives:
            if not steps > 0:
                raise ValueError(f"half_lives: expected above 0, got {steps}")

    def build(self, input_shape) -> None:
        """Makes the decays, the pools' matrices and the weight of an interaction's strength."""
        pools = len(self.half_lives) + 1
        self.log_half_life = self.add_weight(
            name="log_half_life",
            shape=(len(self.half_lives),),
            initializer=keras.initializers.Constant([math.log(h) for h in self.half_lives]),
        )
        self.strength_exponent = self.add_weight(name="strength_exponent", shape=(), initializer="ones")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(pools, input_shape["vectors"][-1], self.dim),
            initializer=keras.initializers.RandomNormal(stddev=0.3 / math.sqrt(input_shape["vectors"][-1])),
        )
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Pools `vectors` [batch, steps, item_dim] by `weights` [batch, steps] to float [batch, dim]."""
        vectors, strength = inputs["vectors"], inputs["weights"]
        log_weight = log_weights(strength, self.strength_exponent)
        steps = tf.range(tf.shape(strength)[1], dtype=strength.dtype)
        decay = -math.log(2.0) * tf.exp(-self.log_half_life)[:, tf.newaxis] * steps
        decay = tf.pad(decay, [[0, 1], [0, 0]])
        weights = tf.exp(log_weight[:, tf.newaxis, :] + decay)
        norm = tf.math.rsqrt(tf.maximum(tf.reduce_sum(weights, -1, keepdims=True), 1e-6))
        pooled = tf.matmul(weights * norm, vectors)
        return tf.einsum("bpd,pde->be", pooled, self.kernel)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "half_lives": self.half_lives}
