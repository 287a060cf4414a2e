"""Sliding spectrum decomposition."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.greedy import Selection, State, keep_closed, new_table, put
from tfrec_div.rerank.kernel_reranker import KernelReranker
from tfrec_div.rerank.kernels import Kernel
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.reductions import total
from tfrec_div.rerank.rows import Rows
from tfrec_div.rerank.scores import normalize_scores

_TINY = 1e-12


@keras.utils.register_keras_serializable(package="tfrec_div")
class SSD(KernelReranker):
    """Sliding spectrum decomposition, in its stabilised form SSD* (Huang et al., 2021).

    A pick is novel as far as it lies outside the space spanned by the items in the window: `(1 − diversity) · z +
    diversity · gamma · ‖r‖`, z the standardised relevance, r what is left of the item's row after projection on
    the orthogonal basis of the window. The first pick of a page without context is the best score. The picks
    are those of `pyversity.ssd`.

    The bases of a window stay orthogonal when the oldest leaves, so the length of r follows from the products
    with the bases, and no residual matrix is kept. This is not the same as being independent of the window's
    items alone: that is `DPP(window=…)`.

    Inputs, output and other arguments: see `KernelReranker`.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`; with `standardize`, `"none"`, `"minmax"` and `"zscore"` are the same.
        kernel: a product of rows: `"cosine"`, `"dot"`, features, or a mixture of these.
        window: number of selected items that count, at least 1; None: the whole page and its context.
        gamma: scale of the novelty, above 0.
        append_bias: whether a 1 is put behind each row (section 5.3 there).
        standardize: whether the relevance of a list gets mean 0 and standard deviation 1.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import SSD
        >>> layer = SSD(k=2, diversity=0.9)
        >>> layer({"scores": [[0.9, 0.8, 0.7]], "vectors": [[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        kernel: str | Kernel = "cosine",
        window: int | None = None,
        gamma: float = 1.0,
        append_bias: bool = True,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, kernel, **kwargs)
        if window is not None and (not float(window).is_integer() or window < 1):
            raise ValueError(f"SSD: window must be a whole number of at least 1; received {window!r}")
        if not 0.0 < gamma < float("inf"):
            raise ValueError(f"SSD: gamma must be above 0 and finite; received {gamma!r}")
        if not self.kernel.linear:
            raise ValueError(
                f"SSD: kernel must be a product of rows, such as 'cosine'; received {self.kernel!r}"
            )
        self.window = None if window is None else int(window)
        self.gamma = float(gamma)
        self.append_bias = append_bias
        self.standardize = standardize

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {
            "window": self.window,
            "gamma": self.gamma,
            "append_bias": self.append_bias,
            "standardize": self.standardize,
        }
        return {**super().get_config(), **own}

    def start(self, pool: Pool) -> Selection:
        """First pick by score; then one product with all rows a pick."""
        relevance = (
            normalize_scores(pool.relevance, pool.valid, "zscore") if self.standardize else pool.relevance
        )
        offset = (1.0 - pool.diversity) * relevance
        scale = self.gamma * pool.diversity
        if not self.kernel.linear_in(pool):
            raise ValueError(
                f"SSD: kernel must be a product of rows; {self.kernel!r} reads codes from the inputs"
            )
        rows = self.kernel.rows(pool)
        if self.append_bias:
            rows = rows.map(lambda block: tf.concat([block, tf.ones_like(block[..., :1])], axis=-1))
        left = tf.square(rows.norms())
        slots = pool.steps if self.window is None else tf.minimum(self.window, pool.steps)
        batch, columns = tf.unstack(tf.shape(pool.scores))

        def gains(left: tf.Tensor) -> tf.Tensor:
            return offset + scale * tf.sqrt(tf.maximum(left, 0.0))

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            left, basis, *explained = state
            row = rows.take(pick)
            held = Rows.of(basis)
            new = row - held.mix(held.dot(row))
            new *= tf.math.rsqrt(tf.maximum(total(tf.square(new)), _TINY))
            if self.append_bias and not (isinstance(pool.context, int) and pool.context == 0):
                # The padding of a context has nothing but the bias, and explains none of it.
                padding = tf.reduce_all(row[:, :-1] == 0.0, axis=1, keepdims=True) & (step < pool.context)
                new = tf.where(padding, 0.0, new)
            part = tf.square(rows.dot(new))
            left -= part
            if explained:  # what the basis that leaves the window explained is novel again
                left += tf.gather(explained[0], step % slots, axis=1)
                explained = [put(explained[0], step % slots, part)]
            return keep_closed(gain, gains(left)), (left, put(basis, step % slots, new), *explained)

        state: State = (left, new_table(pool, slots, rows.dim))
        if self.window is not None:
            state = (left, tf.zeros([batch, slots, rows.dim]), tf.zeros([batch, slots, columns]))
        gain = tf.where(pool.valid, gains(left), float("-inf"))
        return Selection(pool.scores, gain, update, state, self.window)
