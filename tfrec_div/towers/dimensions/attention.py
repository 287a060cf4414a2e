"""How much each dimension of interest counts for a user."""

from __future__ import annotations

from tfrec_div._keras import keras, tf

# Of the statistics at the start: who keeps to one brand is taken to care for brands until training knows better.
START_SLOPE = 0.5
# A statistic that lies further out than this says no more.
FAR = 3.0


@keras.utils.register_keras_serializable(package="tfrec_div")
class DimensionAttention(keras.layers.Layer):
    """Weighs the dimensions of a user's interests by what the user's own history shows.

    The weight of dimension d is the softmax over the dimensions that the user has of prior_d + slope_d x statistic_d:
    a learned gain that holds for all users, and a learned use of how the user stands in this dimension. Two numbers a
    dimension are all that is learned, so that the weights of a user with a short history are sound, too.

    Args:
        num_dimensions: Number of dimensions, 1 or more.
        **kwargs: As for any Keras layer.

    Example:
        >>> attention = DimensionAttention(2)
        >>> statistics, present = tf.constant([[2.0, 0.0], [2.0, 0.0]]), tf.constant([[True, True], [False, True]])
        >>> attention(statistics, present).numpy().round(3)
        array([[0.731, 0.269],
               [0.   , 1.   ]], dtype=float32)

    Attention: Bahdanau, Cho and Bengio (2015), Neural machine translation by jointly learning to align and translate.
    """

    def __init__(self, num_dimensions: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if num_dimensions < 1:
            raise ValueError(f"num_dimensions: expected at least 1, got {num_dimensions}")
        self.num_dimensions = num_dimensions
        self.prior = self.add_weight(name="prior", shape=(num_dimensions,), initializer="zeros")
        self.slope = self.add_weight(
            name="slope", shape=(num_dimensions,), initializer=keras.initializers.Constant(START_SLOPE)
        )

    def call(self, statistics: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Returns weights float [batch, dimensions], 1 in sum over those present; zeros for who has none.

        Args:
            statistics: Float [batch, dimensions], about standard normal over the users.
            present: Boolean [batch, dimensions], whether the user has an interest there.
        """
        logits = self.prior + self.slope * tf.clip_by_value(statistics, -FAR, FAR)
        logits -= tf.stop_gradient(tf.reduce_max(logits, axis=1, keepdims=True))
        weights = tf.exp(logits) * tf.cast(present, logits.dtype)
        return tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_dimensions": self.num_dimensions}
