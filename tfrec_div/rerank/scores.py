"""Scores on a common scale, so that a level of diversity means the same for every model."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.rerank.reductions import highest, lowest, total

SCORE_NORMALIZATIONS = ("none", "minmax", "zscore", "rank")

# Half of the largest float32: the range of clipped scores still is a float32.
_LARGEST = 1.7e38


def normalize_scores(scores: tf.Tensor, valid: tf.Tensor, method: str = "minmax") -> tf.Tensor:
    """Bring the scores of each list to a common scale; only valid candidates take part.

    Args:
        scores: `[..., candidates]` float32. Infinite scores count as the largest float.
        valid: `[..., candidates]` bool, the candidates that may be picked.
        method: `"none"` leaves them; `"minmax"` maps the worst to 0 and the best to 1; `"zscore"` gives mean
            0 and (population) standard deviation 1; `"rank"` is 1 for the best, 0 for the worst, evenly
            spaced, equal scores sharing the better place. A list of equal scores becomes all zeros ("rank":
            all ones).

    Returns:
        `[..., candidates]` float32, finite; 0 at candidates that are not valid.

    Raises:
        ValueError: an unknown method.

    Example:
        >>> import tensorflow as tf
        >>> from tfrec_div.rerank.scores import normalize_scores
        >>> normalize_scores(tf.constant([[10.0, 30.0, 20.0]]), tf.constant([[True, True, True]])).numpy()
        array([[0. , 1. , 0.5]], dtype=float32)
    """
    if method not in SCORE_NORMALIZATIONS:
        raise ValueError(
            f"score_normalization must be one of {', '.join(SCORE_NORMALIZATIONS)}; received {method!r}"
        )
    finite = tf.where(valid, tf.clip_by_value(scores, -_LARGEST, _LARGEST), 0.0)
    if method == "none":
        return finite
    count = total(tf.cast(valid, finite.dtype))
    if method == "rank":
        ascending = tf.sort(tf.where(valid, finite, float("inf")), axis=-1)
        not_better = tf.cast(tf.searchsorted(ascending, finite, side="right"), finite.dtype)
        return tf.where(valid, 1.0 - tf.math.divide_no_nan(count - not_better, count - 1.0), 0.0)
    low = lowest(tf.where(valid, finite, _LARGEST))
    high = highest(tf.where(valid, finite, -_LARGEST))
    unit = tf.where(valid, tf.math.divide_no_nan(finite - low, high - low), 0.0)
    if method == "minmax":
        return unit
    # Of the unit scores: the squares of large scores would overflow, those of small ones vanish.
    mean = tf.math.divide_no_nan(total(unit), count)
    centred = tf.where(valid, unit - mean, 0.0)
    variance = tf.math.divide_no_nan(total(tf.square(centred)), count)
    return tf.math.divide_no_nan(centred, tf.sqrt(variance))
