"""Calibrated lists."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.aspect_reranker import AspectReranker, item_shares, user_shares
from tfrec_div.rerank.greedy import Selection, State, keep_closed
from tfrec_div.rerank.pool import Pool

DISCOUNTS = ("none", "log", "reciprocal")
_TINY = 1e-30


@keras.utils.register_keras_serializable(package="tfrec_div")
class Calibrated(AspectReranker):
    """Calibrated recommendations (Steck, 2018): the page has the aspects in the shares the user's history has.

    Every pick, the first included, maximises over the page S with it

        (1 − diversity) · Σ_{i in S} relevance_i − diversity · KL(p ‖ q̃),   q̃ = (1 − alpha) · q + alpha · p.

    p is `user_profile` divided by its sum: `tfrec_div.metrics.history_profile` makes it from histories, with time
    decay. q is the mean of the items' aspects, each item's divided by their sum, weighted by `discount` (the
    paper's w_r). With `score_normalization="none"` it is the published definition, and diversity its λ.

    The dial: weight of the calibration; 1 − diversity weighs the relevance. At 1 relevance does not count. The
    divergence lies between 0 and −ln(alpha), 4.6.

    An item without aspects (zeros) leaves q as it is and takes no place in the discount. A user without a profile
    (zeros) gets the order of the scores. The items of a context belong to S.

    Inputs: `scores`, `aspects [batch, candidates, aspects]` and `user_profile [batch, aspects]`, both at least
    0; others and the output: see `Reranker`.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        alpha: smoothing, above 0 and below 1.
        discount: weight of the place r, from 1: `"none"`: 1; `"log"`: 1 / log2(r + 1); `"reciprocal"`: 1 / r.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import Calibrated
        >>> layer = Calibrated(k=3, diversity=0.9)
        >>> aspects = [[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]
        >>> layer({"scores": [[4, 3, 2, 1]], "aspects": aspects, "user_profile": [[2.0, 1.0]]}).numpy()
        array([[0, 3, 1]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        alpha: float = 0.01,
        discount: str = "none",
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"Calibrated: alpha must lie above 0 and below 1; received {alpha!r}")
        if discount not in DISCOUNTS:
            raise ValueError(
                f"Calibrated: discount must be one of {', '.join(DISCOUNTS)}; received {discount!r}"
            )
        self.alpha = float(alpha)
        self.discount = discount

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "alpha": self.alpha, "discount": self.discount}

    def start(self, pool: Pool) -> Selection:
        """One logarithm for each aspect of each candidate a pick.

        Σ p ln p and the relevance of the page so far are the same for every candidate: they are left out.
        """
        offset = (1.0 - pool.diversity) * pool.relevance
        shares = item_shares(pool)
        profile = user_shares(pool, unknown_is_uniform=False)
        known = tf.cast(shares.reduce(lambda block: tf.reduce_sum(block, axis=-1)) > 0.0, tf.float32)
        target, total = shares.beside(profile), tf.reduce_sum(profile, axis=1, keepdims=True)
        # (1 − alpha) · share + alpha · p where there are aspects: what an item adds to q̃ times the weight.
        smooth = shares.map(lambda block: (1.0 - self.alpha) * block + self.alpha * target).times(known)
        nothing = tf.reduce_sum(profile * tf.math.log(tf.maximum(self.alpha * profile, _TINY)), 1, True)

        def gains(listed: tf.Tensor, weight: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
            # `listed`: the same sum over the items listed so far; `weight`: of their weights.
            next_weight = self._weight(places + 1.0)
            sums, step = smooth.beside(listed), smooth.beside(next_weight)
            # A product and not a sum of products: XLA's logarithms are vector instructions then.
            logs = smooth.map(lambda block: tf.math.log(tf.maximum(sums + step * block, _TINY))).dot(profile)
            weights = weight + next_weight * known
            logs = tf.where(weights > 0.0, logs - total * tf.math.log(tf.maximum(weights, _TINY)), nothing)
            return offset + pool.diversity * logs

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            listed, weight, places = state
            counts = tf.gather(known, pick, batch_dims=1)[:, tf.newaxis]
            places += counts
            added = self._weight(places)
            listed, weight = listed + added * smooth.take(pick), weight + added * counts
            return keep_closed(gain, gains(listed, weight, places)), (listed, weight, places)

        none = tf.zeros_like(total)
        state = (tf.zeros_like(profile), none, none)
        gain = tf.where(pool.valid, gains(*state), float("-inf"))
        return Selection(gain, gain, update, state)

    def _weight(self, place: tf.Tensor) -> tf.Tensor:
        """Weight of a place, from 1."""
        place = tf.maximum(place, 1.0)
        if self.discount == "none":
            return tf.ones_like(place)
        return 1.0 / place if self.discount == "reciprocal" else tf.math.log(2.0) / tf.math.log1p(place)
