"""Logistic loss of pairs of candidates."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import PairwiseLoss, check_positive


@keras.utils.register_keras_serializable(package="tfrec_div")
class PairwiseLogistic(PairwiseLoss):
    """Mean over the pairs of ln(1 + e^(−(sᵢ − sⱼ)/T)), where i has the higher label (RankNet).

    Args:
        temperature: T, above 0.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = PairwiseLogistic()
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [0.7981]

    Burges et al. (2005), Learning to rank using gradient descent.
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = check_positive("temperature", temperature)

    def pair_losses(self, differences: tf.Tensor) -> tf.Tensor:
        """Returns the logistic loss, float32 [pairs, n]."""
        return tf.nn.softplus(-differences / self.temperature)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
