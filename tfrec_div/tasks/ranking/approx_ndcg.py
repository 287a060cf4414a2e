"""What a list lacks of the best NDCG, with smooth ranks."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import Lists, RankingLoss, check_positive, has_order, pairs_of
from tfrec_div.tasks.ranking.gains import discount, gains, ideal_dcg


@keras.utils.register_keras_serializable(package="tfrec_div")
class ApproxNDCG(RankingLoss):
    """1 − NDCG, where the rank of a candidate is 1 + Σ σ((sⱼ − sᵢ)/T) over the others j; gains are 2^y − 1.

    At a low temperature the ranks, and the value, are those of the list; at a high one the gradient reaches further.
    TensorFlow Ranking's loss of this name is the same less 1.

    Args:
        temperature: T, above 0, in units of the scores.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = ApproxNDCG()
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [0.3449]

    Qin, Liu and Li (2010), A general approximation framework for direct optimization of information retrieval
    measures; Bruch, Zoghi, Bendersky and Najork (2019), Revisiting approximate metric optimization in the age of deep
    neural networks.
    """

    def __init__(self, temperature: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        self.temperature = check_positive("temperature", temperature)

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns what is lacking, float32 [batch]."""
        gain = gains(lists)
        # Only of candidates that gain anything does the rank matter.
        pairs = pairs_of(gain > 0)
        before = tf.sigmoid(-pairs.differences(lists.scores) / self.temperature)
        before = tf.reduce_sum(tf.where(pairs.others(lists.known), before, 0.0), axis=1, keepdims=True)
        # σ is 1/2 for a candidate and itself, which is no other: 1 + Σ − 1/2.
        won = pairs.own(lists.weights * gain) * discount(0.5 + before)
        lacking = ideal_dcg(lists.weights * gain) - pairs.sum(won)
        return tf.math.divide_no_nan(lacking, ideal_dcg(gain))

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have candidates of different labels."""
        return has_order(lists)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
