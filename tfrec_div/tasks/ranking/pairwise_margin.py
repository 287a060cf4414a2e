"""Hinge loss of pairs of candidates."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import PairwiseLoss, check_positive


@keras.utils.register_keras_serializable(package="tfrec_div")
class PairwiseMargin(PairwiseLoss):
    """Mean over the pairs of max(0, margin − (sᵢ − sⱼ)), where i has the higher label.

    Args:
        margin: How far the better candidate's score should be above the other's, above 0.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = PairwiseMargin()
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [1.2]

    Herbrich, Graepel and Obermayer (2000), Large margin rank boundaries for ordinal regression.
    """

    def __init__(self, margin: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = check_positive("margin", margin)

    def pair_losses(self, differences: tf.Tensor) -> tf.Tensor:
        """Returns the hinge loss, float32 [pairs, n]."""
        return tf.nn.relu(self.margin - differences)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}
