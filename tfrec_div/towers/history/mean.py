"""A history as the weighted mean of its items."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history.base import HistoryEncoder, log_weights


@keras.utils.register_keras_serializable(package="tfrec_div")
class MeanHistoryEncoder(HistoryEncoder):
    """The mean of the item vectors, weighed by their strengths to a learned power, times a matrix.

    The order of a history does not count, nor does its length.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = MeanHistoryEncoder(4)
        >>> encoder({"vectors": tf.ones([2, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0], [0.0] * 3])}).shape
        TensorShape([2, 4])

    Covington et al. (2016), Deep neural networks for YouTube recommendations, which averages watched videos.
    """

    def build(self, input_shape) -> None:
        """Makes the matrix and the power of an interaction's strength."""
        self.strength_exponent = self.add_weight(name="strength_exponent", shape=(), initializer="ones")
        self.kernel = self.add_weight(name="kernel", shape=(input_shape["vectors"][-1], self.dim))
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Averages `vectors` [batch, steps, item_dim] by `weights` [batch, steps] to float [batch, dim]."""
        weights = tf.exp(log_weights(inputs["weights"], self.strength_exponent))
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        mean = tf.einsum("bs,bsd->bd", tf.math.divide_no_nan(weights, total), inputs["vectors"])
        return tf.matmul(mean, self.kernel)
