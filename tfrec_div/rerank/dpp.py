"""Greedy determinantal point process."""

from __future__ import annotations

from typing import Any, ClassVar

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.base import Pool, Reranker
from tfrec_div.rerank.kernels import dot_rows, mix_rows, row_norms, scaled_unit_rows, take_row
from tfrec_div.rerank.scores import normalize_scores

# A candidate whose squared distance to the span of the picks is below this share of its squared length lies
# in the span: what is left is float32 rounding.
_IN_SPAN = 1e-5
_TINY = 1e-30


@keras.utils.register_keras_serializable(package="tfrec_div")
class DPP(Reranker):
    """Greedy maximum of a determinantal point process (Chen, Zhang and Zhou, 2018).

    The kernel is `L = diag(w) · cosines · diag(w)` with `w = exp((1 − diversity) · scale · z)`, z the
    standardised relevance; every pick maximises the log-determinant. The picks are those of `pyversity.dpp`.
    Since the relevance is standardised, `"none"`, `"minmax"` and `"zscore"` give the same picks; `"rank"`
    does not.

    The dial: `diversity` 1 leaves relevance out (it starts with the lowest position); towards 0 relevance
    weighs up to `exp(2 · scale · z)`, which is not yet the order of the scores. At 0 exactly the order of
    the scores is returned, by the contract of all re-rankers: a jump.

    When no candidate adds to the determinant any more (`k` beyond the rank of the vectors), the remaining
    places are filled in the order of the scores. A missing vector (zeros) is orthogonal to all others.

    Inputs, output and other arguments: see `Reranker`; needs `vectors`. A pick costs one product with all
    candidates and one with the orthogonal basis of the picks; no kernel matrix is made.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        scale: how much relevance weighs, at least 0.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import DPP
        >>> layer = DPP(k=2, diversity=0.9)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    requires: ClassVar[tuple[str, ...]] = ("vectors",)

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        if not scale >= 0.0:
            raise ValueError(f"DPP: scale must be at least 0; received {scale!r}")
        self.scale = float(scale)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "scale": self.scale}

    def start(self, pool: Pool) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Squared weights; the state is the rows, what is left of them, the least that counts, the basis."""
        z = normalize_scores(pool.relevance, pool.valid, "zscore")
        # Weights up to 1: a common factor changes no pick, and exp(2z) would overflow for an outlier.
        z -= tf.reduce_max(tf.where(pool.valid, z, float("-inf")), axis=2, keepdims=True)
        weights = tf.exp((1.0 - pool.diversity) * self.scale * tf.where(pool.valid, z, 0.0))
        vectors = pool.inputs["vectors"]
        rows = scaled_unit_rows(vectors, row_norms(vectors), tf.transpose(weights, [0, 2, 1]))
        left = tf.square(weights)
        least = tf.where(pool.valid, _IN_SPAN * left, float("inf"))
        shape = tf.shape(rows)
        basis = tf.zeros([shape[0], 0 if pool.unrolled else pool.picks, shape[2]])
        return _open(left, least), (rows, left, least, basis)

    def update(
        self, pool: Pool, state: tuple[tf.Tensor, ...], pick: tf.Tensor, step: int | tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Gram–Schmidt in the space of the vectors, then one product with all rows."""
        rows, left, least, basis = state
        row = take_row(rows, pick)
        # The length on record and not the length of the residual: that is the Cholesky recursion, with its
        # stability.
        length = tf.sqrt(tf.maximum(tf.gather(left, pick, axis=2, batch_dims=1), _TINY))
        new = (row - mix_rows(dot_rows(row, basis), basis)) / length
        left -= tf.square(dot_rows(new, rows))
        least += tf.one_hot(pick, tf.shape(least)[2], on_value=float("inf"), off_value=0.0)
        if pool.unrolled:
            basis = tf.concat([basis, new], axis=1)
        else:
            basis = tf.where(tf.range(pool.picks)[:, tf.newaxis] == step, new, basis)
        return _open(left, least), (rows, left, least, basis)


def _open(left: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    return tf.where(left > least, left, float("-inf"))
