"""Maximal sum of distances."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.exchange import exchange
from tfrec_div.rerank.greedy import Selection, State
from tfrec_div.rerank.kernel_reranker import KernelReranker
from tfrec_div.rerank.kernels import Kernel
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class MSD(KernelReranker):
    """Maximal sum of distances, also max-sum diversification (Gollapudi and Sharma, 2009).

    The first pick is the best score. Every other pick maximises
    `(1 − diversity) · relevance + diversity · sum over the picks of (1 − similarity)`.
    With `score_normalization="none"` the picks are those of `pyversity.msd`. The sum grows with the page, so
    relevance weighs less from pick to pick; it is what the mean distance of the list asks for.

    Picks one after the other reach at least half of the largest sum in theory, and miss most of it where diversity
    counts much, since the best score stays. With `exchanges`, picked items are then exchanged for others, one at a
    time, while that raises the sum over the page (Borodin, Lee and Ye, 2012). The best score may go, a shorter `k`
    is no prefix, and the order of the picks means little: `order="score"` belongs with it. They do not go with
    constraints or pinned items.

    Inputs, output and other arguments: see `KernelReranker`. At `diversity` 1 only the first pick depends on the
    scores, and with exchanges none has to.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        kernel: see `KernelReranker`.
        exchanges: how many exchanges at most, at least 0.
        **kwargs: `order` and `constraints`, and those of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import MSD
        >>> layer = MSD(k=2, diversity=0.5)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        kernel: str | Kernel = "cosine",
        exchanges: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, kernel, **kwargs)
        if isinstance(exchanges, bool) or int(exchanges) != exchanges or exchanges < 0:
            raise ValueError(f"MSD: exchanges must be a whole number of at least 0; received {exchanges!r}")
        if exchanges and self.constraints:
            raise ValueError(
                f"MSD: exchanges do not keep constraints; expected exchanges=0 with them, received {exchanges}"
            )
        self.exchanges = int(exchanges)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "exchanges": self.exchanges}

    def page(self, inputs: dict[str, Any], picks: int | tf.Tensor) -> tf.Tensor:
        """See `Reranker`."""
        if self.exchanges and "pinned" in inputs:
            raise ValueError(
                "MSD: exchanges do not keep the places that inputs['pinned'] name; expected exchanges=0 with them, "
                f"received {self.exchanges}"
            )
        return super().page(inputs, picks)

    def start(self, pool: Pool) -> Selection:
        """First pick by score; then one product with all rows a pick.

        A pick adds the same 1 to the sum of every candidate: it changes no order and is left out.
        """
        offset = (1.0 - pool.diversity) * pool.relevance
        similarity = self.kernel.of(pool, pool.diversity)

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            return gain - similarity.to(pick), state

        def finish(picks: tf.Tensor) -> tf.Tensor:
            return exchange(pool, offset, similarity, picks, self.exchanges)

        gain = tf.where(pool.valid, offset, float("-inf"))
        return Selection(pool.scores, gain, update, finish=finish if self.exchanges else None)
