"""Squared error of each candidate's rating."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import PointwiseLoss


@keras.utils.register_keras_serializable(package="tfrec_div")
class SquaredError(PointwiseLoss):
    """Mean over the candidates of (s − y)², for ratings; a rating of NaN is unknown and does not count.

    Args:
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = SquaredError()
        >>> loss(tf.constant([[5.0, float("nan")]]), tf.constant([[3.0, 1.0]])).numpy().tolist()
        [4.0]
    """

    def candidate_losses(self, labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns the squared error, float32 [batch, n]."""
        return tf.math.squared_difference(scores, labels)
