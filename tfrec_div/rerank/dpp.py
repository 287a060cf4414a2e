"""Greedy determinantal point process."""

from __future__ import annotations

from typing import Any, ClassVar

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.greedy import Selection, State, new_table, put
from tfrec_div.rerank.kernel_reranker import KernelReranker
from tfrec_div.rerank.kernels import Dot, Kernel
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.reductions import highest
from tfrec_div.rerank.rows import Rows
from tfrec_div.rerank.scores import normalize_scores

# A candidate whose squared distance to the span of the picks is below this share of its squared length lies
# in the span: what is left is float32 rounding.
_IN_SPAN = 1e-5
_TINY = 1e-30


@keras.utils.register_keras_serializable(package="tfrec_div")
class DPP(KernelReranker):
    """Greedy maximum of a determinantal point process (Chen, Zhang and Zhou, 2018).

    The kernel is `L = diag(w) · similarities · diag(w)` with `w = exp((1 − diversity) · scale · z)`, z the
    standardised relevance; every pick maximises the log-determinant. The picks are those of `pyversity.dpp`.
    Since the relevance is standardised, `"none"`, `"minmax"` and `"zscore"` give the same picks; `"rank"`
    does not.

    The dial: `diversity` 1 leaves relevance out (it starts with the lowest position); towards 0 relevance
    weighs up to `exp(2 · scale · z)`, which is not yet the order of the scores. At 0 exactly the order of
    the scores is returned, by the contract of all re-rankers: a jump.

    When no candidate adds to the determinant any more (`k` beyond the rank of the vectors), the remaining
    places are filled in the order of the scores. A missing vector (zeros) is orthogonal to all others.

    With a `window`, a pick is independent of the last `window − 1` picks only: the most probable next item of a
    process over the items in sight (section 4.2 there). The conditioning is exact: what leaves the window
    leaves the determinant.

    Inputs, output and other arguments: see `KernelReranker`. A pick costs one product with all candidates and
    one with the orthogonal basis of the picks; no kernel matrix is made.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        kernel: see `KernelReranker`; positive semi-definite, as all kernels here are.
        scale: how much relevance weighs, at least 0.
        window: number of neighbouring items, the new one included, that are to be diverse, at least 2; None: the
            whole page and its context.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import DPP
        >>> layer = DPP(k=2, diversity=0.9)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    may_run_out: ClassVar[bool] = True

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        kernel: str | Kernel = "cosine",
        scale: float = 1.0,
        window: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, kernel, **kwargs)
        if not 0.0 <= scale < float("inf"):
            raise ValueError(f"DPP: scale must be at least 0 and finite; received {scale!r}")
        if window is not None and (not float(window).is_integer() or window < 2):
            raise ValueError(f"DPP: window must be a whole number of at least 2; received {window!r}")
        self.scale = float(scale)
        self.window = None if window is None else int(window)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "scale": self.scale, "window": self.window}

    def start(self, pool: Pool) -> Selection:
        """The quality weights; then the determinant by the way that suits the kernel and the window."""
        z = normalize_scores(pool.relevance, pool.valid, "zscore")
        # Weights up to 1: a common factor changes no pick, and exp(2z) would overflow for an outlier.
        z -= highest(tf.where(pool.valid, z, float("-inf")))
        weights = tf.exp((1.0 - pool.diversity) * self.scale * tf.where(pool.valid, z, 0.0))
        if self.kernel.linear_in(pool) and self.window is None and not isinstance(self.kernel, Dot):
            return self._by_basis(pool, weights)
        return self._by_kernel_rows(pool, weights)

    def _by_basis(self, pool: Pool, weights: tf.Tensor) -> Selection:
        """Gram–Schmidt in the space of the rows: one product with all rows a pick."""
        rows = self.kernel.rows(pool).times(weights)
        # A missing row has length 0 and is taken for orthogonal to all others.
        left = tf.square(weights)
        least = _IN_SPAN * left

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            left, basis = state
            row = rows.take(pick)
            # The length on record and not the length of the residual: that is the Cholesky recursion, with
            # its stability.
            length = tf.sqrt(tf.maximum(tf.gather(left, pick[:, tf.newaxis], batch_dims=1), _TINY))
            held = Rows.of(basis)
            new = (row - held.mix(held.dot(row))) / length
            left -= tf.square(rows.dot(new))
            return tf.where((gain > float("-inf")) & (left > least), left, float("-inf")), (
                left,
                put(basis, step, new),
            )

        gain = tf.where(pool.valid, left, float("-inf"))
        return Selection(gain, gain, update, (left, new_table(pool, pool.steps, rows.dim)))

    def _by_kernel_rows(self, pool: Pool, weights: tf.Tensor) -> Selection:
        """A small system of equations a pick, in the kernel rows of the items in the window."""
        similarity = self.kernel.of(pool)
        own = tf.square(weights) * self.kernel.own(pool)
        least = _IN_SPAN * own
        slots = pool.steps if self.window is None else tf.minimum(self.window - 1, pool.steps)
        batch, columns = tf.unstack(tf.shape(pool.scores))

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            kernel_rows, held, is_open = state
            weight = tf.gather(weights, pick[:, tf.newaxis], batch_dims=1)
            # A missing item has no similarity, not even to itself, but it has its own weight.
            row = tf.where(pool.index == pick[:, tf.newaxis], own, weight * weights * similarity.to(pick))
            kernel_rows, held = (
                put(kernel_rows, step % slots, row),
                put(held, step % slots, pick[:, tf.newaxis]),
            )
            among = tf.gather(kernel_rows, tf.maximum(held[:, :, 0], 0), axis=2, batch_dims=1)
            filled = tf.cast(held >= 0, tf.float32)
            among *= filled * tf.linalg.matrix_transpose(filled)
            diagonal = tf.where(held[:, :, 0] >= 0, (1.0 + _IN_SPAN / 10.0) * tf.linalg.diag_part(among), 1.0)
            factor = tf.linalg.cholesky(tf.linalg.set_diag(among, tf.maximum(diagonal, _TINY)))
            explained = tf.linalg.triangular_solve(factor, kernel_rows)
            left = own - tf.reduce_sum(tf.square(explained), axis=1)
            is_open &= pool.index != pick[:, tf.newaxis]
            return tf.where(is_open & (left > least), left, float("-inf")), (kernel_rows, held, is_open)

        gain = tf.where(pool.valid, own, float("-inf"))
        state = (tf.zeros([batch, slots, columns]), tf.fill([batch, slots, 1], -1), pool.valid)
        return Selection(gain, gain, update, state, None if self.window is None else self.window - 1)
