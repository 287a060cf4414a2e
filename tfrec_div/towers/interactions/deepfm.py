"""A factorisation machine beside a deep network."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.interactions.base import Interaction, flat, pairwise_sum


@keras.utils.register_keras_serializable(package="tfrec_div")
class DeepFM(Interaction):
    """A factorisation machine beside a deep network that read the same vectors; all their outputs end to end.

    The output holds the first-order terms (the numbers as they are, and a number made of each field), the
    second-order term (the sum of the products of all pairs of fields, in time linear in their number; the numbers
    together make one more field), and the deep network's last layer.

    Args:
        hidden_units: Units of the deep network's layers; none leave the factorisation machine alone.
        dropout: Share of the entries of each hidden layer that training drops.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = DeepFM(hidden_units=(8,))
        >>> layer({"fields": tf.ones([2, 5, 3, 4]), "numbers": tf.ones([2, 5, 6])}).shape
        TensorShape([2, 5, 18])

    Guo et al. (2017), DeepFM; factorisation machines: Rendle (2010).
    """

    def build_on(self, fields: int, dim: int, width: int) -> None:
        """Makes the first-order weights, the field of the numbers, and the deep network."""
        self.field_kernel = self.add_weight(name="field_kernel", shape=(fields, dim))
        self._numbers_field = keras.layers.Dense(
            dim, use_bias=False, dtype=self.dtype_policy, name="numbers_field"
        )
        self._network = self._deep("deep")

    def interact(self, fields: tf.Tensor, numbers: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns first-order terms, second-order term and deep output: `[..., width + fields + 1 + units]`."""
        first = tf.reduce_sum(fields * tf.cast(self.field_kernel, fields.dtype), axis=-1)
        of_numbers = tf.expand_dims(self._numbers_field(numbers), axis=-2)
        second = pairwise_sum(tf.concat([fields, of_numbers], axis=-2))
        parts = [numbers, first, tf.reduce_sum(second, axis=-1, keepdims=True)]
        if self._network is not None:
            parts.append(self._network(tf.concat([flat(fields), numbers], axis=-1), training=training))
        return tf.concat(parts, axis=-1)
