"""The losses of several tasks in one, each as much as its noise allows."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.replicas import num_replicas

# What the loss of a kind of task is multiplied with, besides its precision.
KINDS = {"regression": 0.5, "classification": 1.0}


@keras.utils.register_keras_serializable(package="tfrec_div")
class UncertaintyWeighting(keras.layers.Layer):
    """Adds up e^(−s) c L + s/2 over the tasks, where L is a task's loss and s its log variance, which learns.

    c is 1/2 for a "regression", whose L is a mean squared error: the sum is then the negative log likelihood of a
    normal distribution with the variance e^s, but for a constant. c is 1 for a "classification" (cross entropy,
    ranking losses), where it approximates that of a softmax whose scores are divided by e^s. A task's best s is the
    logarithm of its mean squared error, or of twice its loss: the sum may be negative, and losses of different sizes
    come to weigh alike.

    Args:
        kinds: "regression" or "classification" of each task, by its name.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = UncertaintyWeighting({"rating": "regression", "click": "classification"})
        >>> print(layer({"rating": tf.constant(0.5), "click": tf.constant(0.25)}).numpy())
        0.5

    Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses for scene geometry and
    semantics.
    """

    def __init__(self, kinds: Mapping[str, str], **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not kinds:
            raise ValueError("kinds: expected at least one task, got none")
        for task, kind in kinds.items():
            if kind not in KINDS:
                raise ValueError(f"kinds: expected {' or '.join(KINDS)} for {task!r}, got {kind!r}")
        self.kinds = dict(kinds)
        self.log_variances = {
            task: self.add_weight(name=f"log_variance_{task}", shape=(), initializer="zeros")
            for task in kinds
        }

    def call(
        self, losses: Mapping[str, tf.Tensor], present: Mapping[str, tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Returns the sum, float32; under a strategy this replica's share, and the shares add up to it.

        Args:
            losses: Scalars by task, this replica's share of each loss; every task of `kinds`.
            present: Bool scalars by task, alike on all replicas: whether the batch has anything to learn for it.
                The variance of a task without would shrink by itself. Tasks that are not named are present.

        Raises:
            ValueError: Losses of other tasks than `kinds` names.
        """
        if set(losses) != set(self.kinds):
            raise ValueError(f"losses: expected those of {sorted(self.kinds)}, got {sorted(losses)}")
        present = present or {}
        total = tf.zeros([])
        for task, kind in self.kinds.items():
            variance = self.log_variances[task]
            loss = tf.cast(losses[task], tf.float32)
            term = tf.exp(-variance) * KINDS[kind] * loss + 0.5 * variance / num_replicas()
            total += term if task not in present else tf.where(present[task], term, 0.0)
        return total

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "kinds": self.kinds}
