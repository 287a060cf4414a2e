"""Scores of different models on one scale."""

from __future__ import annotations

from tfrec_div._keras import tf


def comparable(scores: tf.Tensor) -> tf.Tensor:
    """Returns asinh((scores - mean) / deviation) of scores float [batch, items]; zeros where all are equal.

    Example:
        >>> comparable(tf.constant([[1.0, 3.0], [5.0, 5.0]])).numpy().astype(float).round(4).tolist()
        [[-0.8814, 0.8814], [0.0, 0.0]]
    """
    mean, variance = tf.nn.moments(scores, axes=[1], keepdims=True)
    # Sums of equal numbers leave a deviation of their last digits, which is none.
    tiny = 1e-6 * tf.reduce_max(tf.abs(scores), axis=1, keepdims=True)
    deviation = tf.sqrt(variance)
    return tf.asinh(tf.math.divide_no_nan(scores - mean, tf.where(deviation > tiny, deviation, 0.0)))
