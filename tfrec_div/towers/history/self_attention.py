"""A history whose items attend each other."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.fusion.base import blank
from tfrec_div.towers.history.attention_block import AttentionBlock, check_heads
from tfrec_div.towers.history.base import HistoryEncoder, check_steps, latest_steps, places


@keras.utils.register_keras_serializable(package="tfrec_div")
class SelfAttentionHistoryEncoder(HistoryEncoder):
    """Blocks of self-attention over the items, in the manner of SASRec; the latest item's vector is the output.

    An item comes in as its vector, plus a learned vector of its position, counted from the latest, plus its strength
    times a learned vector. A user is encoded once and not at each step of the past, so that attention need not be
    causal, and in the last block only the latest item attends the others.

    Args:
        dim: Length of the output.
        num_blocks: Blocks of attention and a network of two layers.
        num_heads: Heads of the attention, which divide the length of an item vector.
        dropout: Share of the entries that training drops of the input and of what a block adds.
        max_steps: Latest items that are read.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = SelfAttentionHistoryEncoder(4)
        >>> encoder({"vectors": tf.ones([2, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0], [0.0] * 3])}).shape
        TensorShape([2, 4])

    Kang and McAuley (2018), Self-attentive sequential recommendation.
    """

    def __init__(
        self,
        dim: int,
        num_blocks: int = 2,
        num_heads: int = 1,
        dropout: float = 0.2,
        max_steps: int = 50,
        **kwargs,
    ):
        super().__init__(dim, **kwargs)
        if num_blocks < 1:
            raise ValueError(f"num_blocks: expected at least 1, got {num_blocks}")
        if num_heads < 1:
            raise ValueError(f"num_heads: expected at least 1, got {num_heads}")
        self.num_blocks = num_blocks
        self.num_heads = num_heads
        self.max_steps = check_steps(max_steps)
        self._drop = RepeatableDropout(dropout)
        self._blocks = [AttentionBlock(num_heads, dropout, name=f"block_{n}") for n in range(num_blocks)]
        self._norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")
        self._out = keras.layers.Dense(dim, use_bias=False, name="out")

    def build(self, input_shape) -> None:
        """Makes the vectors of the positions, and that of the strength."""
        length = input_shape["vectors"][-1]
        # Here, before the blocks': what is raised in a call comes wrapped in text of Keras.
        check_heads(self.num_heads, length)
        small = keras.initializers.RandomNormal
        self.positions = self.add_weight(
            name="positions", shape=(self.max_steps, length), initializer=small(stddev=0.02)
        )
        self.strength = self.add_weight(name="strength", shape=(length,), initializer=small(stddev=0.02))
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Encodes `vectors` [batch, steps, item_dim] with `weights` [batch, steps] to float [batch, dim]."""
        vectors, strength = latest_steps(inputs, self.max_steps)
        there = strength > 0
        steps = vectors * vectors.shape[-1] ** 0.5 + tf.gather(self.positions, places(there))
        steps = self._drop(steps + strength[..., tf.newaxis] * self.strength, training=training)
        for block in self._blocks[:-1]:
            steps = block(steps, steps, there, training=training)
        latest = tf.argmax(tf.cast(there, tf.int32), axis=1)[:, tf.newaxis]
        output = self._blocks[-1](tf.gather(steps, latest, batch_dims=1), steps, there, training=training)
        return blank(self._out(self._norm(output[:, 0])), tf.reduce_any(there, axis=1))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"num_blocks": self.num_blocks, "num_heads": self.num_heads, "dropout": self._drop.rate}
        return {**super().get_config(), **config, "max_steps": self.max_steps}
