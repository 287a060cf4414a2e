"""FA*IR: enough protected items at every length of the page."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.greedy import Selection, State
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.ranked_group_fairness import adjusted_alpha, minimum_protected

# Requirements are tabulated for this many selected items at least, context included; they stay as they are beyond.
_TABULATED = 1000


@keras.utils.register_keras_serializable(package="tfrec_div")
class FAIR(Reranker):
    """FA*IR, fair top-k ranking (Zehlike et al., 2017).

    The first i items, for every i, are to have at least m(i) protected ones, `groups` 1: the smallest number that
    a binomial test with the minimum proportion `p` does not reject at the significance `alpha`. Every pick is the
    best score; or, where one more protected item is needed, the best score among these. When there are none
    left, the others follow.

    As many tests as picks are made, so more than a share `alpha` of fair pages would fail one. With `adjust` the
    significance of the single test is the one for which the share of fair pages of length `k` that fail any comes
    nearest to `alpha` (section 4 there, exactly as in Zehlike, Sühr and Castillo, 2020, and `fairsearchcore`).
    The adjusted significance belongs to the `k` of the layer, so **the page of a layer with a smaller `k` need not
    be a prefix** of that with a larger one. Pages of one layer for different `k` of the inputs are.

    The dial: `diversity` scales the requirements, `⌊diversity · m(i)⌋`; 1, the default here, is the published list.
    Only the order of the scores matters, so all score normalizations are the same. Among equal scores the lowest
    position is first (in `fairsearchcore` the protected item).

    Inputs: `scores` and `groups [batch, candidates]`, 1: protected, any other code: not; others and the output: see
    `Reranker`. The items of a context (−1: padding) are the beginning of the list.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`; has no effect.
        p: minimum proportion of protected items, above 0 and below 1.
        alpha: significance, above 0 and below 1.
        adjust: whether alpha is corrected for the `k` tests.
        **kwargs: of `keras.layers.Layer`.

    Attributes:
        minimum: tuple of m(1), …, m(k).

    Example:
        >>> from tfrec_div.rerank import FAIR
        >>> layer = FAIR(k=4, p=0.5, adjust=False)
        >>> layer.minimum
        (0, 0, 0, 1)
        >>> layer({"scores": [[0.9, 0.8, 0.7, 0.6, 0.1]], "groups": [[0, 0, 0, 0, 1]]}).numpy()
        array([[0, 1, 2, 4]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 1.0,
        score_normalization: str = "minmax",
        p: float = 0.5,
        alpha: float = 0.1,
        adjust: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        for name, value in (("p", p), ("alpha", alpha)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"FAIR: {name} must lie above 0 and below 1; received {value!r}")
        self.p = float(p)
        self.alpha = float(alpha)
        self.adjust = bool(adjust)
        significance = adjusted_alpha(self.k, self.p, self.alpha) if adjust else self.alpha
        self._table = minimum_protected(max(self.k, _TABULATED), self.p, significance)
        self.minimum = tuple(int(number) for number in self._table[: self.k])

    @property
    def features(self) -> tuple[str, ...]:
        """The features of the candidates that must be among the inputs."""
        return ("groups",)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "p": self.p, "alpha": self.alpha, "adjust": self.adjust}

    def start(self, pool: Pool) -> Selection:
        """Two numbers a list: how many are selected, and how many of them are protected."""
        groups = pool.features["groups"]
        protected = groups == 1
        candidates = tf.shape(groups)[1] - pool.context
        # The small addition: a level such as 0.29 times 100 must not fall below 29.
        table = tf.constant(self._table, tf.float32)
        least = pool.diversity + 1e-6

        def gains(is_open: tf.Tensor, selected: tf.Tensor, among: tf.Tensor) -> tf.Tensor:
            asked = tf.gather(table, tf.minimum(selected, len(self._table) - 1))
            needed = (among < tf.floor(least * asked)) & tf.reduce_any(is_open & protected, 1, True)
            return tf.where(is_open & (protected | ~needed), pool.scores, float("-inf"))

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            is_open, selected, among = state
            group = tf.gather(groups, pick, batch_dims=1)[:, tf.newaxis]
            counts = (group >= 0) | (pick[:, tf.newaxis] < candidates)  # not the padding of a context
            selected += tf.cast(counts, tf.int32)
            among += tf.cast(group == 1, tf.float32)
            is_open &= pool.index != pick[:, tf.newaxis]
            return gains(is_open, selected, among), (is_open, selected, among)

        batch = tf.shape(pool.scores)[0]
        state = (pool.valid, tf.zeros([batch, 1], tf.int32), tf.zeros([batch, 1]))
        gain = gains(*state)
        return Selection(gain, gain, update, state)
