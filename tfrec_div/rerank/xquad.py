"""Explicit query aspect diversification."""

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


@keras.utils.register_keras_serializable(package="tfrec_div")
class XQuAD(AspectReranker):
    """Explicit query aspect diversification, xQuAD (Santos, Macdonald and Ounis, 2010).

    Every pick, the first included, maximises

        (1 − diversity) · relevance + diversity · Σ_a P(a|u) · P(i|a) · Π_{j picked} (1 − P(j|a)):

    an aspect counts as far as the user wants it and no pick has it yet. P(a|u) is `user_profile` divided by its
    sum; a profile of zeros wants all aspects alike. P(i|a) comes from `aspects` by `aspect_normalization`. The
    published definition also has P(i|u) as relevance: `score_normalization="none"` with scores that are
    probabilities.

    The dial: weight of the novelty; 1 − diversity weighs the relevance. At 1 relevance does not count, not for
    the first pick either. With `aspect_normalization="none"` and aspects of 0 and 1, an aspect counts until its
    first pick; when all are covered, relevance decides.

    Inputs: `scores`, `aspects [batch, candidates, aspects]` and `user_profile [batch, aspects]`, both at least
    0; others and the output: see `Reranker`. A row of zeros is an item without aspects: it adds no novelty.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        aspect_normalization: `"item"` (default): an item's aspects sum to 1, it has less of each the more it
            has; `"aspect"`: an aspect's items sum to 1 over the candidates; `"none"`: `aspects` are P(i|a)
            (above 1 counts as 1).
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import XQuAD
        >>> layer = XQuAD(k=2, diversity=0.5)
        >>> aspects = [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]
        >>> inputs = {"scores": [[0.9, 0.8, 0.7]], "aspects": aspects, "user_profile": [[3.0, 2.0]]}
        >>> layer(inputs).numpy()
        array([[0, 1]], dtype=int32)
        >>> layer({**inputs, "diversity": 0.6}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        aspect_normalization: str = "item",
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        self.aspect_normalization = check_aspect_normalization("XQuAD", aspect_normalization)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "aspect_normalization": self.aspect_normalization}

    def start(self, pool: Pool) -> Selection:
        """One product with all rows a pick, and what each aspect still is worth."""
        offset = (1.0 - pool.diversity) * pool.relevance
        rows = item_probabilities(pool, self.aspect_normalization)
        worth = pool.diversity * user_shares(pool, unknown_is_uniform=True)

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            worth = state[0] * (1.0 - rows.take(pick))
            return keep_closed(gain, offset + rows.dot(worth)), (worth,)

        gain = tf.where(pool.valid, offset + rows.dot(worth), float("-inf"))
        return Selection(gain, gain, update, (worth,))
