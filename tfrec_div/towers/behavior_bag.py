"""What a user did as a bag of tokens, read by an MLP."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.history.pools import PooledHistoryEncoder


@keras.utils.register_keras_serializable(package="tfrec_div")
class BehaviorBag(keras.layers.Layer):
    """An MLP on the sums of a history's item vectors, which forget at several paces, see `PooledHistoryEncoder`.

    Args:
        num_items: Items, which are the tokens.
        dim: Length of the vectors and of the hidden state.
        dropout: Share of the entries that training drops.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = BehaviorBag(num_items=9, dim=8)
        >>> layer({"vectors": tf.zeros([2, 3, 8]), "weights": tf.ones([2, 3])}).shape
        TensorShape([2, 8])
    """

    def __init__(self, num_items: int, dim: int, dropout: float = 0.2, **kwargs):
        super().__init__(**kwargs)
        self.num_items, self.dim, self.dropout = num_items, dim, dropout
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.tokens = self.add_weight(name="tokens", shape=(num_items, dim), initializer=start)
        policy = {"dtype": self.dtype_policy}
        self._pools = PooledHistoryEncoder(dim, name="pools", **policy)
        self._pools.build({"vectors": [None, None, dim], "weights": [None, None]})
        self._layers = [
            keras.layers.Dense(2 * dim, "gelu", name="hidden", **policy),
            RepeatableDropout(dropout, seed=5, **policy),
            keras.layers.Dense(dim, name="out", **policy),
            keras.layers.LayerNormalization(epsilon=1e-6, name="norm", **policy),
        ]
        length = dim
        for layer in self._layers:
            layer.build([None, length])
            length = getattr(layer, "units", length)
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the hidden state of a bag, float [batch, dim]; an empty one has that of the biases.

        Args:
            inputs: `vectors` float [batch, steps, dim], the latest first; `weights` float [batch, steps], the
                strength of each interaction in (0, 1], 0 for padding.
            training: Whether dropout is active.
        """
        hidden, drop, out, norm = self._layers
        return norm(out(drop(hidden(self._pools(inputs)), training=training)))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_items": self.num_items, "dim": self.dim, "dropout": self.dropout}
