"""Diversity-weighted utility maximization."""

from __future__ import annotations

from typing import Any, ClassVar

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.aspect_reranker import AspectReranker, item_aspects
from tfrec_div.rerank.greedy import Selection, State, keep_closed
from tfrec_div.rerank.pool import Pool

# A sum of fractional aspects below this is rounding.
_LEAST = 1e-5


@keras.utils.register_keras_serializable(package="tfrec_div")
class DUM(AspectReranker):
    """Diversity-weighted utility maximization, DUM (Ashkan, Kveton, Berkovsky and Wen, 2015).

    The coverage of a page is submodular, `f(S) = Σ_a min(Σ_{i in S} aspect_ia, copies)`: an aspect counts until
    `copies` picks have it. The page is to have the largest `Σ_r (f(S_r) − f(S_{r−1})) · relevance of the r-th pick`,
    each item's relevance weighted by the new coverage that it brings. The exact maximum is found by going through
    the items in the order of the scores and taking each that adds coverage.

    The dial: what an item gains by adding any coverage. Every pick, the first included, maximises

        (1 − diversity) · relevance + diversity · 1[f(S + i) > f(S)].

    At 1 it is the published list: of the items that add coverage the best score. Relevance counts there too, and
    only the order of the scores matters; when no item adds coverage any more the remaining places are filled
    by score. Below 1 an item that adds nothing may come first if it is better by diversity / (1 − diversity): with
    `"minmax"` and `"rank"`, whose values span 1, nothing changes above 0.5.

    Inputs: `scores` and `aspects [batch, candidates, aspects]`, at least 0; others and the output: see `Reranker`. A
    row of zeros is an item without aspects: it adds no coverage.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        copies: how much of an aspect a page can use, above 0: with aspects of 0 and 1, the number of picks.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import DUM
        >>> layer = DUM(k=3, diversity=1.0)
        >>> aspects = [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]
        >>> layer({"scores": [[4, 3, 2, 1]], "aspects": aspects}).numpy()
        array([[0, 2, 1]], dtype=int32)
    """

    profiles: ClassVar[tuple[str, ...]] = ()
    may_run_out: ClassVar[bool] = True

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        copies: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        if not copies > 0.0:
            raise ValueError(f"DUM: copies must be above 0; received {copies!r}")
        self.copies = float(copies)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "copies": self.copies}

    def start(self, pool: Pool) -> Selection:
        """How much of each aspect is wanted still; a pass over all rows a pick."""
        rows = item_aspects(pool)
        ones = tf.ones([tf.shape(pool.scores)[0], rows.dim])  # a product with it is faster than a sum
        # Divided by 1 − diversity, which leaves the scores as they are; at 1, what adds nothing is closed.
        below = pool.diversity < 1.0
        price = tf.math.divide_no_nan(pool.diversity, 1.0 - pool.diversity)
        best = tf.where(below, pool.relevance, pool.scores)
        others = tf.where(below, pool.relevance - price, float("-inf"))

        def gains(wanted: tf.Tensor) -> tf.Tensor:
            left = rows.beside(wanted)
            adds = rows.map(lambda block: tf.minimum(block, left)).dot(ones) > _LEAST
            return tf.where(adds, best, others)

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            wanted = tf.maximum(state[0] - rows.take(pick), 0.0)
            return keep_closed(gain, gains(wanted)), (wanted,)

        wanted = self.copies * ones
        gain = tf.where(pool.valid, gains(wanted), float("-inf"))
        return Selection(gain, gain, update, (wanted,))
