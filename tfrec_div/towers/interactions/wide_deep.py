"""A linear model beside a deep network."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.interactions.base import Interaction, flat


@keras.utils.register_keras_serializable(package="tfrec_div")
class WideDeep(Interaction):
    """The numbers as they are, for a linear model of them, beside a deep network that reads everything.

    Args:
        hidden_units: Units of the deep network's layers; none leave the numbers alone.
        dropout: Share of the entries of each hidden layer that training drops.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = WideDeep(hidden_units=(8,))
        >>> layer({"fields": tf.ones([2, 5, 3, 4]), "numbers": tf.ones([2, 5, 6])}).shape
        TensorShape([2, 5, 14])

    Cheng et al. (2016), Wide & deep learning for recommender systems.
    """

    def build_on(self, fields: int, dim: int, width: int) -> None:
        """Makes the deep network."""
        self._network = self._deep("deep")

    def interact(self, fields: tf.Tensor, numbers: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the numbers and the deep network's output, `[..., width + hidden_units[-1]]`."""
        if self._network is None:
            return numbers
        deep = self._network(tf.concat([flat(fields), numbers], axis=-1), training=training)
        return tf.concat([numbers, deep], axis=-1)
