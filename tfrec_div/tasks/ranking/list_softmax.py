"""Cross entropy of the softmax over a list."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import Lists, RankingLoss, check_positive


@keras.utils.register_keras_serializable(package="tfrec_div")
class ListSoftmax(RankingLoss):
    """Cross entropy −Σ pᵢ ln qᵢ of q = softmax(s/T) over the list, where p are the labels' shares of their sum.

    ListNet's loss of the top place, with the labels' shares for its softmax of the labels, so that a label of 0 has
    none. A list without a relevant candidate has nothing to learn, nor has a list of one.

    Args:
        temperature: T, above 0.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = ListSoftmax()
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [0.7981]

    Cao, Qin, Liu, Tsai and Li (2007), Learning to rank: from pairwise approach to listwise approach.
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = check_positive("temperature", temperature)

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the cross entropy, float32 [batch]."""
        scores = lists.scores / self.temperature
        highest = tf.reduce_max(tf.where(lists.known, scores, tf.float32.min), axis=1, keepdims=True)
        scores = tf.where(lists.known, scores - tf.stop_gradient(highest), 0.0)
        total = tf.reduce_sum(tf.where(lists.known, tf.exp(scores), 0.0), axis=1, keepdims=True)
        # The highest score adds 1: only the total of an empty list is less.
        costs = tf.math.log(tf.maximum(total, 1.0)) - scores
        labels = tf.maximum(lists.labels, 0.0)
        shares = tf.math.divide_no_nan(labels, tf.reduce_sum(labels, axis=1, keepdims=True))
        return tf.reduce_sum(lists.weights * shares * costs, axis=1)

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have a relevant candidate and another."""
        relevant = tf.reduce_any(lists.known & (lists.weights * lists.labels > 0), axis=1)
        return relevant & (tf.reduce_sum(tf.cast(lists.known, tf.int32), axis=1) > 1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
