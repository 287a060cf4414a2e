"""Products of all pairs of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.interactions.base import Interaction, pairwise_dots


@keras.utils.register_keras_serializable(package="tfrec_div")
class DLRM(Interaction):
    """Dot products of all pairs of features, in which a network makes one feature of the numbers; then a network.

    Args:
        hidden_units: Units of the layers of the network after the products; none return the products themselves.
        dropout: Share of the entries of each hidden layer that training drops.
        bottom_units: Units of the layers that read the numbers, before one of the fields' length.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = DLRM(hidden_units=(8,))
        >>> layer({"fields": tf.ones([2, 5, 3, 4]), "numbers": tf.ones([2, 5, 6])}).shape
        TensorShape([2, 5, 8])

    Naumov et al. (2019), Deep learning recommendation model for personalization and recommendation systems.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        bottom_units: Sequence[int] = (32,),
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_units, dropout, **kwargs)
        self.bottom_units = tuple(bottom_units)

    def build_on(self, fields: int, dim: int, width: int) -> None:
        """Makes the bottom and the top network."""
        self._bottom: Any = self._deep("bottom", (*self.bottom_units, dim))
        self._top = self._deep("top")

    def interact(self, fields: tf.Tensor, numbers: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns what the top network makes of the numbers' vector and the products, `[..., hidden_units[-1]]`."""
        dense = self._bottom(numbers, training=training)
        products = pairwise_dots(tf.concat([dense[..., tf.newaxis, :], fields], axis=-2))
        found = tf.concat([dense, products], axis=-1)
        return found if self._top is None else self._top(found, training=training)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "bottom_units": self.bottom_units}
