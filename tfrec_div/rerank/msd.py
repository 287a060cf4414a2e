"""Maximal sum of distances."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.greedy import Selection, State
from tfrec_div.rerank.kernel_reranker import KernelReranker
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class MSD(KernelReranker):
    """Maximal sum of distances, also max-sum diversification (Gollapudi and Sharma, 2009).

    The first pick is the best score. Every other pick maximises
    `(1 − diversity) · relevance + diversity · sum over the picks of (1 − similarity)`.
    With `score_normalization="none"` the picks are those of `pyversity.msd`. The sum grows with the page, so
    relevance weighs less from pick to pick; it is what the mean distance of the list asks for.

    Inputs, output and arguments: see `KernelReranker`. At `diversity` 1 only the first pick depends on the
    scores.

    Example:
        >>> from tfrec_div.rerank import MSD
        >>> layer = MSD(k=2, diversity=0.5)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def start(self, pool: Pool) -> Selection:
        """First pick by score; then one product with all rows a pick.

        A pick adds the same 1 to the sum of every candidate: it changes no order and is left out.
        """
        offset = (1.0 - pool.diversity) * pool.relevance
        similarity = self.kernel.of(pool, pool.diversity)

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            return gain - similarity.to(pick), state

        return Selection(pool.scores, tf.where(pool.valid, offset, float("-inf")), update)
