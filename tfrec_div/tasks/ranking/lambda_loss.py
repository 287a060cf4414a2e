"""Logistic loss of pairs, weighed by what the pair's order is worth in NDCG."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import Lists, Pairs, RankingLoss, better_of, check_positive, has_order
from tfrec_div.tasks.ranking.gains import discount, gains, ideal_dcg

SCHEMES = ("ndcg_loss2", "lambdarank", "ndcg_loss2++")


@keras.utils.register_keras_serializable(package="tfrec_div")
class LambdaLoss(RankingLoss):
    """Sum over the pairs of |Gᵢ − Gⱼ| wᵢⱼ ln(1 + e^(−σ(sᵢ − sⱼ))), where i has the higher label.

    G are the gains 2^y − 1, divided by the best order's discounted sum. With D(r) = 1 / log2(1 + r) and the ranks rᵢ
    that the scores give, the weights are

    - "ndcg_loss2": D(d) − D(d + 1) with d = |rᵢ − rⱼ|, a bound of NDCG's loss;
    - "lambdarank": |D(rᵢ) − D(rⱼ)|, by how much exchanging the two would change NDCG;
    - "ndcg_loss2++": the latter plus μ times the former.

    The weights are constants of the gradient. The paper's logarithm is to the base 2, which is a factor of 1.44.

    Args:
        scheme: Of the weights, by its name.
        sigma: σ, above 0.
        mu: μ, above 0; of "ndcg_loss2++".
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = LambdaLoss("lambdarank")
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [0.2946]

    Wang, Li, Golbandi, Bendersky and Najork (2018), The LambdaLoss framework for ranking metric optimization;
    Burges (2010), From RankNet to LambdaRank to LambdaMART.
    """

    def __init__(self, scheme: str = "ndcg_loss2", sigma: float = 1.0, mu: float = 10.0, **kwargs):
        super().__init__(**kwargs)
        if scheme not in SCHEMES:
            raise ValueError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
        self.scheme = scheme
        self.sigma, self.mu = check_positive("sigma", sigma), check_positive("mu", mu)

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the sum over the pairs, float32 [batch]."""
        gain = gains(lists)
        gain = tf.math.divide_no_nan(gain, ideal_dcg(gain)[:, tf.newaxis])
        pairs = better_of(lists)
        worth = pairs.own(lists.weights) * pairs.differences(gain) * self._pair_weights(pairs, _ranks(lists))
        losses = tf.nn.softplus(-self.sigma * pairs.differences(lists.scores))
        return pairs.sum(tf.where(pairs.ordered(lists), worth * losses, 0.0))

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have candidates of different labels."""
        return has_order(lists)

    def _pair_weights(self, pairs: Pairs, rank: tf.Tensor) -> tf.Tensor:
        exchange = tf.abs(pairs.differences(discount(rank)))
        # No pair has the distance 0, of which there is no discount.
        apart = tf.maximum(tf.abs(pairs.differences(rank)), 1.0)
        bound = discount(apart) - discount(apart + 1.0)
        if self.scheme == "ndcg_loss2":
            return bound
        return exchange if self.scheme == "lambdarank" else exchange + self.mu * bound

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scheme": self.scheme, "sigma": self.sigma, "mu": self.mu}


def _ranks(lists: Lists) -> tf.Tensor:
    """The places that the scores give, float32 [batch, n], from 1; what does not count comes last."""
    scores = tf.where(lists.known, lists.scores, -float("inf"))
    order = tf.argsort(scores, direction="DESCENDING")
    return tf.cast(tf.argsort(order) + 1, tf.float32)
