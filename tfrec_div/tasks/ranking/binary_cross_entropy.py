"""Cross entropy of each candidate: is it relevant or not."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking.base import Lists, PointwiseLoss, mean_of

WEIGHTED = ("candidates", "labels")


@keras.utils.register_keras_serializable(package="tfrec_div")
class BinaryCrossEntropy(PointwiseLoss):
    """Mean over the candidates of −y ln σ(s) − (1 − y) ln(1 − σ(s)), so that σ(s) becomes a probability.

    Labels above 1 count as 1; those between are probabilities.

    Args:
        weighted: What weights multiply: "candidates" (their losses) or "labels". With inverse propensities only the
            latter makes σ(s) the probability of relevance, in the mean over clicks (Saito et al., 2020): a click that
            is weighted 2 is two relevant candidates less one irrelevant, so the loss may be negative.
        **kwargs: As for any Keras layer.

    Example:
        >>> loss = BinaryCrossEntropy()
        >>> print(loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])).numpy().round(4))
        [0.8043]

    Saito, Yaginuma, Nishino, Sakata and Nakata (2020), Unbiased recommender learning from missing-not-at-random
    implicit feedback.
    """

    def __init__(self, weighted: str = "candidates", **kwargs):
        super().__init__(**kwargs)
        if weighted not in WEIGHTED:
            raise ValueError(f"weighted: expected one of {', '.join(WEIGHTED)}, got {weighted!r}")
        self.weighted = weighted

    def candidate_losses(self, labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns the cross entropy, float32 [batch, n]."""
        return tf.nn.softplus(scores) - tf.minimum(labels, 1.0) * scores

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the mean over the candidates."""
        if self.weighted == "candidates":
            return super().list_losses(lists)
        labels = lists.weights * tf.minimum(lists.labels, 1.0)
        return mean_of(tf.nn.softplus(lists.scores) - labels * lists.scores, lists.known)

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have a candidate that counts."""
        return super().has_lesson(lists) if self.weighted == "candidates" else tf.reduce_any(lists.known, 1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "weighted": self.weighted}
