"""Cross layers beside a deep network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.towers.interactions.base import Interaction, flat


@keras.utils.register_keras_serializable(package="tfrec_div")
class DCN(Interaction):
    """Cross layers over all features, x' = x0 * (W x + b) + x, beside a deep network; their outputs end to end.

    Each cross layer is one of TFRS', `tfrs.layers.dcn.Cross`; after n of them there are products of up to n + 1
    features.

    Args:
        hidden_units: Units of the deep network's layers; none leave the cross layers alone.
        dropout: Share of the entries of each hidden layer that training drops.
        cross_layers: Number of cross layers.
        projection_dim: W is a product of two matrices with so many columns; None is a whole matrix.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = DCN(hidden_units=(8,), cross_layers=2)
        >>> layer({"fields": tf.ones([2, 5, 3, 4]), "numbers": tf.ones([2, 5, 6])}).shape
        TensorShape([2, 5, 26])

    Wang et al. (2021), DCN V2: improved deep and cross network; the parallel structure.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        cross_layers: int = 2,
        projection_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_units, dropout, **kwargs)
        if cross_layers < 1:
            raise ValueError(f"cross_layers: expected at least 1, got {cross_layers}")
        self.cross_layers = cross_layers
        self.projection_dim = projection_dim

    def build_on(self, fields: int, dim: int, width: int) -> None:
        """Makes the cross layers and the deep network."""
        self._crosses = [
            tfrs.layers.dcn.Cross(
                projection_dim=self.projection_dim, dtype=self.dtype_policy, name=f"cross_{number}"
            )
            for number in range(self.cross_layers)
        ]
        self._network = self._deep("deep")

    def interact(self, fields: tf.Tensor, numbers: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the last cross layer's output and the deep network's, `[..., inputs + hidden_units[-1]]`."""
        first = tf.concat([flat(fields), numbers], axis=-1)
        crossed = first
        for cross in self._crosses:
            crossed = cross(first, crossed)
        if self._network is None:
            return crossed
        return tf.concat([crossed, self._network(first, training=training)], axis=-1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"cross_layers": self.cross_layers, "projection_dim": self.projection_dim}
        return {**super().get_config(), **config}
