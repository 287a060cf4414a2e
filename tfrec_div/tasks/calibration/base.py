"""What the calibrations of a model's logits have in common."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf


class Calibration(keras.layers.Layer):
    """Base of the layers that turn logits into probabilities that hold, and keep their order.

    `fit` learns from examples that the model has not met; until then a call is the sigmoid. What was learned is in
    variables, so that it is saved with the model. A subclass implements `solve` and `calibrated_logits`.

    Args:
        **kwargs: As for any Keras layer; it computes in float32 unless `dtype` says otherwise.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns probabilities in [0, 1], float32 alike, for logits of any shape."""
        return tf.sigmoid(self.calibrated_logits(tf.cast(logits, self.compute_dtype)))

    def fit(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Calibration:
        """Learns from examples.

        Args:
            logits: `[n]`, what the model says.
            labels: `[n]` in [0, 1], what came of it.
            weights: `[n]`, at least 0; 1 by default.

        Returns:
            The layer.

        Raises:
            ValueError: Shapes that differ, values out of range, or no example of any weight.
        """
        logits = np.asarray(logits, np.float64)
        labels = np.asarray(labels, np.float64)
        weights = np.ones(logits.shape) if weights is None else np.asarray(weights, np.float64)
        if logits.ndim != 1 or labels.shape != logits.shape or weights.shape != logits.shape:
            raise ValueError(
                "logits, labels and weights: expected one axis of the same length, got "
                f"{list(logits.shape)}, {list(labels.shape)} and {list(weights.shape)}"
            )
        if not np.isfinite(logits).all():
            raise ValueError(f"logits: expected finite numbers, got {logits[~np.isfinite(logits)][0]}")
        if not ((labels >= 0) & (labels <= 1)).all():
            raise ValueError(f"labels: expected 0 to 1, got {labels[~((labels >= 0) & (labels <= 1))][0]}")
        if not ((weights >= 0) & np.isfinite(weights)).all() or not weights.any():
            raise ValueError("weights: expected at least 0, and one above, got others or no example")
        used = weights > 0
        self.solve(logits[used], labels[used], weights[used])
        return self

    def calibrated_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logits of the calibrated probabilities."""
        raise NotImplementedError

    def solve(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Sets the variables from float64 `[n]` examples of weights above 0."""
        raise NotImplementedError
