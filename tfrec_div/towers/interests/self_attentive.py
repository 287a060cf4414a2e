"""Interests as heads of an attention over the history."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import masked_softmax
from tfrec_div.towers.history.base import latest_steps, log_weights, places
from tfrec_div.towers.interests.base import InterestExtractor, over_all_steps


@keras.utils.register_keras_serializable(package="tfrec_div")
class SelfAttentiveInterests(InterestExtractor):
    """Averages the items of a history once for each interest, by an attention of its own, as ComiRec-SA does.

    The attention is a softmax over the history of W2 tanh(W1 (item vector + position vector)), with positions counted
    from the latest item; it is multiplied by the interaction's strength to a learned power before it is made to sum
    to 1. What it averages are the item vectors, times a matrix that starts as the identity (the paper has none).

    Args:
        interests: Interests of a user.
        dim: Length of an interest.
        units: Of the hidden layer; four times the length of an item vector by default, as in the paper.
        max_steps: Latest items that are read.
        **kwargs: As for any Keras layer.

    Example:
        >>> extractor = SelfAttentiveInterests(2, 4)
        >>> history = {"vectors": tf.ones([1, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0]])}
        >>> interests, made_of = extractor(history)
        >>> interests.shape.as_list(), made_of.shape.as_list()
        ([1, 2, 4], [1, 2, 3])

    Cen et al. (2020), Controllable multi-interest framework for recommendation.
    """

    def __init__(self, interests: int, dim: int, units: int | None = None, max_steps: int = 100, **kwargs):
        super().__init__(interests, dim, max_steps, **kwargs)
        if units is not None and units < 1:
            raise ValueError(f"units: expected at least 1, got {units}")
        self.units = units

    def build(self, input_shape) -> None:
        """Makes the attention's layers, the positions, the power of the strength, and the matrix."""
        length = input_shape["vectors"][-1]
        self.hidden_kernel = self.add_weight(name="hidden_kernel", shape=(length, self.units or 4 * length))
        self.attention_kernel = self.add_weight(
            name="attention_kernel", shape=(self.units or 4 * length, self.interests)
        )
        self.positions = self.add_weight(
            name="positions",
            shape=(self.max_steps, length),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        self.strength_exponent = self.add_weight(name="strength_exponent", shape=(), initializer="ones")
        self.kernel = self.add_weight(name="kernel", shape=(length, self.dim), initializer="identity")
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Attends `vectors` [batch, steps, item_dim] with `weights` [batch, steps]; see `InterestExtractor.call`."""
        vectors, strength = latest_steps(inputs, self.max_steps)
        there = strength > 0
        placed = vectors + tf.gather(self.positions, places(there))
        logits = tf.matmul(tf.tanh(tf.matmul(placed, self.hidden_kernel)), self.attention_kernel)
        logits += tf.where(there, log_weights(strength, self.strength_exponent), 0.0)[..., tf.newaxis]
        shares = masked_softmax(tf.transpose(logits, [0, 2, 1]), there[:, tf.newaxis, :])
        found = tf.matmul(tf.matmul(tf.cast(shares, vectors.dtype), vectors), self.kernel)
        return found, over_all_steps(shares, inputs)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}
