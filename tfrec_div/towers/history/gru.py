"""A history read step by step by a gated recurrent unit."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history.base import HistoryEncoder, check_steps, latest_steps


@keras.utils.register_keras_serializable(package="tfrec_div")
class GRUHistoryEncoder(HistoryEncoder):
    """Reads the items from the oldest to the latest with a GRU; its last state times a matrix is the output.

    The strength of an interaction is one more input of its step.

    Args:
        dim: Length of the output.
        units: Length of the state; `dim` by default.
        max_steps: Latest items that are read; each takes a step of its own, one after the other.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = GRUHistoryEncoder(4)
        >>> encoder({"vectors": tf.ones([2, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0], [0.0] * 3])}).shape
        TensorShape([2, 4])

    Hidasi et al. (2016), Session-based recommendations with recurrent neural networks.
    """

    def __init__(self, dim: int, units: int | None = None, max_steps: int = 50, **kwargs):
        super().__init__(dim, **kwargs)
        if units is not None and units < 1:
            raise ValueError(f"units: expected at least 1, got {units}")
        self.units = units
        self.max_steps = check_steps(max_steps)
        self._gru = keras.layers.GRU(units or dim, name="gru")
        # Without a bias: the state of an empty history is zero, and so is the output.
        self._out = keras.layers.Dense(dim, use_bias=False, name="out")

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Reads `vectors` [batch, steps, item_dim] with `weights` [batch, steps] to float [batch, dim]."""
        vectors, strength = latest_steps(inputs, self.max_steps)
        # Vectors start short; the scale is that of attention models.
        steps = tf.concat([vectors * vectors.shape[-1] ** 0.5, strength[..., tf.newaxis]], axis=-1)
        return self._out(self._gru(tf.reverse(steps, [1]), mask=tf.reverse(strength > 0, [1])))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "max_steps": self.max_steps}
