"""Proportional diversification."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.aspect_reranker import (
    AspectReranker,
    check_aspect_normalization,
    item_probabilities,
    user_shares,
)
from tfrec_div.rerank.greedy import Selection, State, keep_closed
from tfrec_div.rerank.pool import Pool

# Quotients that differ by less are equal: shared seats do not add up exactly.
_EQUAL = 1e-6


@keras.utils.register_keras_serializable(package="tfrec_div")
class PM2(AspectReranker):
    """Proportional diversification, PM-2 (Dang and Croft, 2012).

    Places are given to aspects as seats to parties by the Sainte-Laguë method. With v_a the profile divided by its
    sum and s_a the seats that aspect a has so far, the quotient is `q_a = v_a / (2 s_a + 1)` and the aspect a* with
    the largest (the first among equals) has the next place. The published pick maximises

        balance · q_a* · P(i|a*) + (1 − balance) · Σ_{a ≠ a*} q_a · P(i|a),

    and the picked item's seat is shared: `s_a += P(i|a) / Σ_b P(i|b)`. Here every pick, the first included, maximises

        (1 − diversity) · relevance + diversity · (the above, divided by q_a*).

    The division leaves the published order as it is, and keeps the second term on one scale while the quotients
    shrink.

    The dial: weight of the proportionality; 1 − diversity weighs the relevance. At 1 it is PM-2 as published, with
    P(i|a) made from `aspects`: there relevance counts as far as it is in them (the paper's P(i|a) are scores of
    the item for the aspect: pass such scores, with `aspect_normalization="none"`, to have it). PM-2's own λ is
    `balance`: the aspect whose turn it is against the others, not diversity against relevance.

    Inputs: `scores`, `aspects [batch, candidates, aspects]` and `user_profile [batch, aspects]`, both at least
    0; others and the output: see `Reranker`. A profile of zeros wants all aspects alike. A row of zeros is an
    item without aspects: it takes no seat.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        balance: PM-2's λ, in [0, 1].
        aspect_normalization: of `aspects` to P(i|a); see `XQuAD`.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import PM2
        >>> layer = PM2(k=3, diversity=0.9)
        >>> aspects = [[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]
        >>> layer({"scores": [[4, 3, 2, 1]], "aspects": aspects, "user_profile": [[2.0, 1.0]]}).numpy()
        array([[0, 3, 1]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        balance: float = 0.5,
        aspect_normalization: str = "item",
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        if not 0.0 <= balance <= 1.0:
            raise ValueError(f"PM2: balance must lie in [0, 1]; received {balance!r}")
        self.balance = float(balance)
        self.aspect_normalization = check_aspect_normalization("PM2", aspect_normalization)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"balance": self.balance, "aspect_normalization": self.aspect_normalization}
        return {**super().get_config(), **own}

    def start(self, pool: Pool) -> Selection:
        """One product with all rows a pick, and the seats of the aspects."""
        offset = (1.0 - pool.diversity) * pool.relevance
        rows = item_probabilities(pool, self.aspect_normalization)
        votes = user_shares(pool, unknown_is_uniform=True)

        def gains(seats: tf.Tensor) -> tf.Tensor:
            quotients = votes / (2.0 * seats + 1.0)
            quotients /= tf.reduce_max(quotients, axis=1, keepdims=True)
            largest = tf.cast(quotients > 1.0 - _EQUAL, tf.float32)
            turn = tf.one_hot(tf.argmax(largest, axis=1), tf.shape(votes)[1])
            weights = quotients * (turn * self.balance + (1.0 - turn) * (1.0 - self.balance))
            return offset + rows.dot(pool.diversity * weights)

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            row = rows.take(pick)
            seats = state[0] + tf.math.divide_no_nan(row, tf.reduce_sum(row, axis=1, keepdims=True))
            return keep_closed(gain, gains(seats)), (seats,)

        empty = tf.zeros_like(votes)
        gain = tf.where(pool.valid, gains(empty), float("-inf"))
        return Selection(gain, gain, update, (empty,))
