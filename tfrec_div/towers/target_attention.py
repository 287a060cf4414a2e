"""What of a history speaks for each candidate."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import masked_softmax


@keras.utils.register_keras_serializable(package="tfrec_div")
class TargetAttention(keras.layers.Layer):
    """Sums a history's vectors for each candidate, weighed by how much each tells of this candidate.

    The weight is a small network of candidate, item and their product (with the difference of both, which the first
    layer has by the two themselves). What the first layer makes of candidate and item alone is computed once for
    each, not once a pair.

    Args:
        units: Units of the network's hidden layer.
        softmax: Whether the weights of a history are 1 in sum; by default they are not, so that their sum tells how
            strongly a user is interested.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = TargetAttention()
        >>> layer(tf.ones([2, 5, 4]), tf.ones([2, 3, 4]), tf.constant([[1.0, 1.0, 0.0], [0.0] * 3])).shape
        TensorShape([2, 5, 4])

    Zhou et al. (2018), Deep interest network for click-through rate prediction.
    """

    def __init__(self, units: int = 8, softmax: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units: expected at least 1, got {units}")
        self.units, self.softmax = units, softmax

    def build(self, input_shape) -> None:
        """Makes the network."""
        dim = input_shape[-1]
        # The variance of a layer that reads all three end to end.
        deviation = (2.0 / (3 * dim)) ** 0.5
        for name in ("candidate", "item", "product"):
            weight = self.add_weight(
                name=f"{name}_kernel",
                shape=(dim, self.units),
                initializer=keras.initializers.RandomNormal(stddev=deviation),
            )
            setattr(self, f"{name}_kernel", weight)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.out_kernel = self.add_weight(
            name="out_kernel",
            shape=(self.units,),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )
        self.out_bias = self.add_weight(name="out_bias", shape=(), initializer="zeros")
        super().build(input_shape)

    def call(
        self, candidates: tf.Tensor, vectors: tf.Tensor, strength: tf.Tensor, apart: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Attends the history.

        Args:
            candidates: Float `[batch, n, dim]`.
            vectors: Float `[batch, steps, dim]`, the history's items.
            strength: Float `[batch, steps]`, what each counts for by itself in [0, 1]; 0 for padding.
            apart: Bool `[batch, n, steps]`, which items a candidate may be told by; all by default.

        Returns:
            Float `[batch, n, dim]`; zeros where there is no history.
        """
        weights = self.weights_of(candidates, vectors, strength, apart)
        return tf.matmul(tf.cast(weights, vectors.dtype), vectors)

    def weights_of(
        self, candidates: tf.Tensor, vectors: tf.Tensor, strength: tf.Tensor, apart: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Tells what each item of a history counts for, float `[batch, n, steps]`; arguments as for a call."""
        of_candidate = tf.matmul(candidates, self.candidate_kernel) + self.bias
        of_item = tf.matmul(vectors, self.item_kernel)
        logits = tf.zeros([], of_item.dtype) + self.out_bias
        # Unit by unit: all at once would hold batch x n x steps x units numbers, several times over.
        for unit in range(self.units):
            together = tf.matmul(candidates * self.product_kernel[:, unit], vectors, transpose_b=True)
            hidden = together + of_candidate[:, :, unit, tf.newaxis] + of_item[:, tf.newaxis, :, unit]
            logits += self.out_kernel[unit] * tf.nn.relu(hidden)
        there = (strength > 0)[:, tf.newaxis, :]
        there = tf.broadcast_to(there, tf.shape(logits)) if apart is None else there & apart
        strength = tf.cast(strength, logits.dtype)[:, tf.newaxis, :]
        if self.softmax:
            strength = tf.math.log(tf.where(strength > 0, strength, tf.ones([], strength.dtype)))
            return tf.cast(masked_softmax(logits + strength, there), logits.dtype)
        return tf.where(there, logits * strength, tf.zeros([], logits.dtype))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "softmax": self.softmax}
