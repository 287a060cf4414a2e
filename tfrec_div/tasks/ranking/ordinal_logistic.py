"""Likelihood of each candidate's grade under proportional odds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import PointwiseLoss

# Two thresholds that meet would make a grade impossible.
_LEAST_GAP = 1e-3


@keras.utils.register_keras_serializable(package="tfrec_div")
class OrdinalLogistic(PointwiseLoss):
    """Mean over the candidates of −ln P(y), where P(y ≥ k) = σ(s − θₖ) with thresholds θ₁ < θ₂ < ….

    One score tells all grades apart: the thresholds are the same for all candidates. Labels are grades 0, 1, …,
    `grades` − 1; others count as the nearest grade.

    Args:
        grades: Number of grades, at least 2.
        thresholds: `grades` − 1 increasing numbers that θ starts with. By default all grades are equally likely at a
            score of 0.
        learn_thresholds: Whether θ learns; it stays in order.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = OrdinalLogistic(3, thresholds=[-1.0, 1.0])
        >>> print(loss.probabilities(tf.constant([0.0])).numpy().round(3))
        [[0.269 0.462 0.269]]
        >>> print(loss(tf.constant([[1.0]]), tf.constant([[0.0]])).numpy().round(3))
        [0.772]

    McCullagh (1980), Regression models for ordinal data; Rennie and Srebro (2005), Loss functions for preference
    levels.
    """

    def __init__(
        self,
        grades: int = 5,
        thresholds: Sequence[float] | None = None,
        learn_thresholds: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if grades < 2:
            raise ValueError(f"grades: expected at least 2, got {grades}")
        if thresholds is None:
            start = np.array([math.log(k / (grades - k)) for k in range(1, grades)])
        else:
            start = np.asarray(thresholds, np.float64)
            if start.shape != (grades - 1,) or not (np.diff(start) > _LEAST_GAP).all():
                raise ValueError(
                    f"thresholds: expected {grades - 1} increasing numbers, at least {_LEAST_GAP} apart, got "
                    f"{list(thresholds)}"
                )
        self.grades, self.learn_thresholds = grades, learn_thresholds
        self._given = None if thresholds is None else [float(value) for value in thresholds]
        self._first = self._weight("first", start[:1])
        # The inverse of softplus, so that gaps are positive whatever is learned.
        self._gaps = self._weight("gaps", np.log(np.expm1(np.diff(start) - _LEAST_GAP)))

    def _weight(self, name: str, value: np.ndarray) -> tf.Variable:
        initializer = keras.initializers.Constant(value.tolist())
        return self.add_weight(
            name=name, shape=value.shape, initializer=initializer, trainable=self.learn_thresholds
        )

    @property
    def thresholds(self) -> tf.Tensor:
        """θ, float32 [grades − 1]."""
        return tf.cumsum(tf.concat([self._first, self._widths()], axis=0))

    def candidate_losses(self, labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns the negative log likelihood, float32 [batch, n]."""
        grade = tf.cast(tf.clip_by_value(tf.round(labels), 0.0, self.grades - 1.0), tf.int32)
        edge = tf.zeros([1])
        theta = self.thresholds
        over, under = scores - tf.gather(tf.concat([edge, theta], 0), grade), scores
        under -= tf.gather(tf.concat([theta, edge], 0), grade)
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)), where a − b is the distance of two thresholds: no difference of
        # nearly equal numbers.
        inner = tf.concat([edge, -tf.math.log(-tf.math.expm1(-self._widths())), edge], axis=0)
        below = tf.where(grade > 0, tf.nn.softplus(-over), 0.0)
        above = tf.where(grade < self.grades - 1, tf.nn.softplus(under), 0.0)
        return below + above + tf.gather(inner, grade)

    def probabilities(self, scores: tf.Tensor) -> tf.Tensor:
        """Returns the probability of each grade, float32 [..., grades], for scores float [...]."""
        scores = tf.cast(scores, tf.float32)[..., tf.newaxis]
        at_least = tf.sigmoid(scores - self.thresholds)
        return tf.concat([tf.ones_like(scores), at_least], -1) - tf.concat(
            [at_least, tf.zeros_like(scores)], -1
        )

    def _widths(self) -> tf.Tensor:
        return tf.nn.softplus(self._gaps) + _LEAST_GAP

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {
            "grades": self.grades,
            "thresholds": self._given,
            "learn_thresholds": self.learn_thresholds,
        }
        return {**super().get_config(), **config}
