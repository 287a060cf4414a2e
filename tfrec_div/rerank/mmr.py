"""Maximal marginal relevance."""

from __future__ import annotations

from typing import ClassVar

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.base import Pool, Reranker, close
from tfrec_div.rerank.kernels import dot_rows, row_norms, scaled_unit_rows, take_row


@keras.utils.register_keras_serializable(package="tfrec_div")
class MMR(Reranker):
    """Maximal marginal relevance (Carbonell and Goldstein, 1998).

    The first pick is the best score. Every other pick maximises
    `(1 − diversity) · relevance − diversity · max over the picks of max(cosine, 0)`.
    With `score_normalization="none"` the picks are those of `pyversity.mmr`.

    Inputs, output and arguments: see `Reranker`; needs `vectors`. At `diversity` 1 only the first pick
    depends on the scores.

    Example:
        >>> from tfrec_div.rerank import MMR
        >>> layer = MMR(k=2, diversity=0.5)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    requires: ClassVar[tuple[str, ...]] = ("vectors",)

    def start(self, pool: Pool) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """First pick by score; the state is the weighted relevance, the rows and the penalty so far."""
        vectors = pool.inputs["vectors"]
        # Rows of length sqrt(diversity): their products are the weighted similarities.
        rows = scaled_unit_rows(vectors, row_norms(vectors), tf.sqrt(pool.diversity))
        offset = tf.where(pool.valid, (1.0 - pool.diversity) * pool.relevance, float("-inf"))
        return pool.scores, (offset, rows, tf.zeros_like(pool.scores))

    def update(
        self, pool: Pool, state: tuple[tf.Tensor, ...], pick: tf.Tensor, step: int | tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """One row, one product with all rows, one running maximum."""
        offset, rows, penalty = state
        offset = close(offset, pick)
        penalty = tf.maximum(penalty, dot_rows(take_row(rows, pick), rows))
        return offset - penalty, (offset, rows, penalty)
