"""Diversify NumPy arrays in one call."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.rerank.inputs import check_inputs
from tfrec_div.rerank.methods import reranker_class


def diversify(
    scores: np.ndarray,
    vectors: np.ndarray,
    k: int = 10,
    diversity: float | np.ndarray = 0.3,
    method: str = "mmr",
    score_normalization: str = "minmax",
    candidate_mask: np.ndarray | None = None,
    **options: Any,
) -> np.ndarray:
    """Pick `k` of the candidates of one list or of a batch of lists, relevant and diverse.

    The first call for a method, `k` and its options traces a graph (about half a second); the next are fast.

    Args:
        scores: `[candidates]` or `[batch, candidates]`, higher is better.
        vectors: `[candidates, dim]` or `[batch, candidates, dim]`; only their directions matter; zeros are
            missing.
        k: number of picks.
        diversity: level in [0, 1], a number or one per list.
        method: a name in `tfrec_div.rerank.METHODS`.
        score_normalization: `"minmax"`, `"zscore"`, `"rank"` or `"none"`; see `Reranker`.
        candidate_mask: bool in the shape of the scores; false leaves a candidate out.
        **options: further arguments of the method's class.

    Returns:
        Positions int32 `[k]` or `[batch, k]`, best first, padded with −1.

    Raises:
        ValueError: an unknown method, a shape that does not fit, a NaN.

    Example:
        >>> from tfrec_div.rerank import diversify
        >>> diversify([0.9, 0.8, 0.7], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], k=2, diversity=0.5)
        array([0, 2], dtype=int32)
    """
    scores, vectors = np.asarray(scores, np.float32), np.asarray(vectors, np.float32)
    mask = np.ones(scores.shape, bool) if candidate_mask is None else np.asarray(candidate_mask, bool)
    one_list = scores.ndim == 1
    if one_list:
        scores, vectors, mask = scores[np.newaxis], vectors[np.newaxis], mask[np.newaxis]
    inputs = {
        "scores": scores,
        "vectors": vectors,
        "candidate_mask": mask,
        "diversity": np.float32(diversity),
    }
    layer = _layer(method, k, score_normalization, tuple(sorted(options.items())))
    # Checked here, where the values are at hand: in the graph they are not.
    inputs = check_inputs("diversify", inputs, ("scores", "vectors"), ("candidate_mask", "diversity"))
    if scores.shape[1] == 0:
        picks = np.full([len(scores), k], -1, np.int32)
    else:
        inputs["diversity"] = tf.broadcast_to(inputs["diversity"], [len(scores)])
        picks = layer(inputs).numpy()
    return picks[0] if one_list else picks


@functools.lru_cache(maxsize=64)
def _layer(method: str, k: int, score_normalization: str, options: tuple[tuple[str, Any], ...]) -> Any:
    layer = reranker_class(method)(k=k, score_normalization=score_normalization, **dict(options))
    signature = {
        "scores": tf.TensorSpec([None, None], tf.float32),
        "vectors": tf.TensorSpec([None, None, None], tf.float32),
        "candidate_mask": tf.TensorSpec([None, None], tf.bool),
        "diversity": tf.TensorSpec([None], tf.float32),
    }
    return tf.function(layer.call, input_signature=[signature], autograph=False)
