"""One temperature for all logits."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.calibration.base import Calibration


@keras.utils.register_keras_serializable(package="tfrec_div")
class TemperatureScaling(Calibration):
    """Probability σ(z/T), or σ(z/T + b) with a bias (Platt scaling), of the greatest likelihood.

    Labels of 1 and 0 count as (n₁ + 1)/(n₁ + 2) and 1/(n₀ + 2), of n₁ and n₀ examples, as Platt has it: logits that
    tell all examples apart do not become certainties, and a class without examples is not impossible.

    Args:
        bias: Whether there is a bias. A ranking loss leaves the height of the scores open, which only a bias mends.
        **kwargs: As for any Keras layer; it computes in float32 unless `dtype` says otherwise.

    Example:
        >>> layer = TemperatureScaling()
        >>> logits, labels = np.repeat([2.0, -2.0], 1000), np.tile(np.r_[np.ones(73), np.zeros(27)], 20)
        >>> labels[1000:] = 1 - labels[1000:]
        >>> print(layer.fit(logits, labels)(tf.constant([2.0, 4.0])).numpy().round(2))
        [0.73 0.88]

    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks; Platt (1999), Probabilistic
    outputs for support vector machines and comparisons to regularized likelihood methods.
    """

    def __init__(self, bias: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.bias = bias
        self._scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self._shift = self.add_weight(name="shift", shape=(), initializer="zeros", trainable=False)

    @property
    def temperature(self) -> float:
        """T."""
        return 1.0 / float(self._scale)

    def calibrated_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns z/T + b."""
        return logits * self._scale + self._shift

    def solve(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Minimises the cross entropy."""
        unit = float(np.sqrt(np.average(logits**2, weights=weights))) or 1.0
        inputs = np.stack([logits / unit, np.ones(len(logits))], axis=1)[:, : 1 + self.bias]
        positive, negative = weights @ labels, weights @ (1.0 - labels)
        target = labels * (positive + 1.0) / (positive + 2.0) + (1.0 - labels) / (negative + 2.0)
        share = weights / weights.sum()

        def cost(factors: np.ndarray) -> tuple[float, np.ndarray]:
            calibrated = inputs @ factors
            value = share @ (np.logaddexp(0.0, calibrated) - target * calibrated)
            return value, (share * (special.expit(calibrated) - target)) @ inputs

        # So far above 0 that the order stays, in single precision, even where the labels speak against it.
        bounds = [(1e-3, None), (None, None)][: 1 + self.bias]
        start = np.array([1.0, 0.0])[: 1 + self.bias]
        options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000}
        best = optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        self._scale.assign(best[0] / unit)
        self._shift.assign(best[1] if self.bias else 0.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "bias": self.bias}
