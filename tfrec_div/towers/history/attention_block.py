"""A block of a transformer: attention, then a small network at each step."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.fusion.base import masked_softmax


class AttentionBlock(keras.layers.Layer):
    """Some steps of a sequence attend all of its steps; each addition is to what was there before.

    Args:
        num_heads: Heads, which divide the length of a vector.
        dropout: Share of the entries of what is added that training drops.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, num_heads: int = 1, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self._norms = [keras.layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self._drops = [RepeatableDropout(dropout, seed=seed) for seed in (1, 2)]

    def build(self, input_shape) -> None:
        """Makes the projections, by the shape of the steps that attend."""
        dim = input_shape[-1]
        check_heads(self.num_heads, dim)
        # Made here, they would follow the global policy.
        common = {"units": dim, "dtype": self.dtype_policy}
        projections = [keras.layers.Dense(use_bias=False, **common) for _ in range(4)]
        self._query, self._key, self._value, self._found = projections
        self._inner = keras.layers.Dense(activation="relu", **common)
        self._outer = keras.layers.Dense(**common)
        super().build(input_shape)

    def call(
        self, asking: tf.Tensor, steps: tf.Tensor, there: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Returns what the steps that ask have become, float [batch, asking, dim].

        Args:
            asking: Float [batch, asking, dim], some of the steps.
            steps: Float [batch, steps, dim].
            there: Bool [batch, steps], which steps are no padding.
            training: Whether dropout is active.
        """
        heads, length = self.num_heads, steps.shape[-1] // self.num_heads

        def split(values):
            return tf.reshape(values, [tf.shape(values)[0], tf.shape(values)[1], heads, length])

        normed = self._norms[0](steps)
        queries = split(self._query(self._norms[0](asking)))
        logits = tf.einsum("bqhd,bshd->bhqs", queries, split(self._key(normed))) * length**-0.5
        shares = tf.cast(masked_softmax(logits, there[:, tf.newaxis, tf.newaxis, :]), logits.dtype)
        found = tf.einsum("bhqs,bshd->bqhd", shares, split(self._value(normed)))
        found = self._found(tf.reshape(found, tf.shape(asking)))
        asking += self._drops[0](found, training=training)
        return asking + self._drops[1](self._outer(self._inner(self._norms[1](asking))), training=training)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_heads": self.num_heads, "dropout": self._drops[0].rate}


def check_heads(num_heads: int, length: int) -> None:
    """Refuses a number of heads that does not divide the length of a vector."""
    if length % num_heads:
        raise ValueError(f"num_heads: expected a divisor of the vectors' length {length}, got {num_heads}")
