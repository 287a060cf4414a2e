"""What the losses of ranking lists have in common."""

from __future__ import annotations

from typing import NamedTuple

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.replicas import sum_replicas


class Lists(NamedTuple):
    """Candidates of a batch of queries, zero where nothing is known of one.

    Args:
        labels: Float32 [batch, n].
        scores: Float32 [batch, n].
        weights: Float32 [batch, n].
        known: Bool [batch, n], the candidates that count.
    """

    labels: tf.Tensor
    scores: tf.Tensor
    weights: tf.Tensor
    known: tf.Tensor


class RankingLoss(keras.layers.Layer):
    """Base of the losses on lists of candidates; a subclass implements `list_losses` and `has_lesson`.

    Every loss is finite, and so is its gradient, whatever a list looks like: empty, of one candidate, with equal
    labels. It computes in float32 under any precision policy.

    Args:
        **kwargs: As for any Keras layer.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = (
            True  # Keras would take the argument `mask` for the mask of a sequence and refuse it
        )

    def call(
        self,
        labels: tf.Tensor,
        scores: tf.Tensor,
        mask: tf.Tensor | None = None,
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the loss of each list, float32 [batch]; 0 for a list with nothing to learn.

        Args:
            labels: Float [batch, n], the graded relevance of the candidates, 0 for none; NaN where it is unknown:
                such a candidate does not count.
            scores: Float [batch, n], logits.
            mask: Bool [batch, n], which candidates are there; all by default. What stands elsewhere has no influence.
            weights: Float [batch, n] or [batch, 1], at least 0, of the candidates, inverse propensities for
                instance; 1 by default. Of a pair or list it is the weight of what is relevant in it.
        """
        lists = _clean(labels, scores, mask, weights)
        return tf.where(self.has_lesson(lists), self.list_losses(lists), 0.0)

    def mean(
        self,
        labels: tf.Tensor,
        scores: tf.Tensor,
        mask: tf.Tensor | None = None,
        weights: tf.Tensor | None = None,
        list_weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean over the lists that have something to learn; 0 when there are none.

        Under a strategy it is this replica's share of the mean, and the shares add up to it.

        Args:
            labels: As for a call.
            scores: Alike.
            mask: Alike.
            weights: Alike.
            list_weights: Float [batch], what the loss of each list is multiplied with.
        """
        losses = self(labels, scores, mask, weights)
        if list_weights is not None:
            losses *= tf.cast(list_weights, losses.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(losses), self.lessons(labels, scores, mask, weights))

    def lessons(
        self,
        labels: tf.Tensor,
        scores: tf.Tensor,
        mask: tf.Tensor | None = None,
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns how many lists have something to learn, on all replicas, float32; arguments as for a call."""
        lessons = self.has_lesson(_clean(labels, scores, mask, weights))
        return sum_replicas(tf.reduce_sum(tf.cast(lessons, tf.float32)))

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the loss of each list, float32 [batch], finite even where there is nothing to learn."""
        raise NotImplementedError

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have something to learn, bool [batch]."""
        raise NotImplementedError

    def compute_mask(self, inputs, mask=None):
        """Returns None: losses are not masked."""
        return None


class PointwiseLoss(RankingLoss):
    """Base of the losses that look at each candidate alone: their weighted sum, divided by how many there are."""

    def candidate_losses(self, labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each candidate, float32 [batch, n]."""
        raise NotImplementedError

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the mean over the candidates."""
        losses = lists.weights * self.candidate_losses(lists.labels, lists.scores)
        return mean_of(losses, lists.known)

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have a candidate of some weight."""
        return tf.reduce_any(lists.known & (lists.weights > 0), axis=1)


class PairwiseLoss(RankingLoss):
    """Base of the losses on pairs of candidates: their weighted sum, divided by how many pairs there are.

    A pair is a candidate and one of a lower label; its weight is that of the former.
    """

    def pair_losses(self, differences: tf.Tensor) -> tf.Tensor:
        """Returns the loss of pairs by how far the better candidate's score is above the other's."""
        raise NotImplementedError

    def list_losses(self, lists: Lists) -> tf.Tensor:
        """Returns the mean over the pairs."""
        pairs = better_of(lists)
        losses = pairs.own(lists.weights) * self.pair_losses(pairs.differences(lists.scores))
        ordered = pairs.ordered(lists)
        total = pairs.sum(tf.where(ordered, losses, 0.0))
        return tf.math.divide_no_nan(total, pairs.sum(tf.cast(ordered, losses.dtype)))

    def has_lesson(self, lists: Lists) -> tf.Tensor:
        """Tells which lists have candidates of different labels."""
        return has_order(lists)


class Pairs(NamedTuple):
    """Some candidates of a batch, each against all of its list: few of a list are relevant, so this is far less than
    all pairs.

    Args:
        place: Int64 [p, 2], list and column of each.
        batch: Int32 scalar, the number of lists.
    """

    place: tf.Tensor
    batch: tf.Tensor

    def own(self, values: tf.Tensor) -> tf.Tensor:
        """Returns their own values of [batch, n], as [p, 1]."""
        return tf.gather_nd(values, self.place)[:, tf.newaxis]

    def others(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the values of their lists, of [batch, n], as [p, n]."""
        # Unlike that of `tf.gather`, the gradient is dense.
        return tf.gather_nd(values, self.place[:, :1])

    def differences(self, values: tf.Tensor) -> tf.Tensor:
        """Returns how far their own values are above those of their lists, [p, n]."""
        return self.own(values) - self.others(values)

    def ordered(self, lists: Lists) -> tf.Tensor:
        """Tells of which candidates their own label is above, bool [p, n]."""
        return self.others(lists.known) & (self.own(lists.labels) > self.others(lists.labels))

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """Adds up values [p, n] by list, [batch]."""
        return tf.math.unsorted_segment_sum(tf.reduce_sum(values, axis=1), self.place[:, 0], self.batch)


def pairs_of(chosen: tf.Tensor) -> Pairs:
    """Returns the candidates that are chosen, bool [batch, n], against their lists."""
    return Pairs(tf.where(chosen), tf.shape(chosen)[0])


def better_of(lists: Lists) -> Pairs:
    """Returns the candidates whose label is above another's."""
    lowest = tf.reduce_min(tf.where(lists.known, lists.labels, float("inf")), axis=1, keepdims=True)
    return pairs_of(lists.known & (lists.labels > lowest))


def mean_of(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Means values [batch, n] over those that count, float32 [batch]; 0 where none does."""
    total = tf.reduce_sum(tf.where(counted, values, 0.0), axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(counted, values.dtype), axis=1))


def has_order(lists: Lists) -> tf.Tensor:
    """Tells which lists have a candidate of some weight whose label is above another's, bool [batch]."""
    counted = lists.known & (lists.weights > 0)
    highest = tf.reduce_max(tf.where(counted, lists.labels, -float("inf")), axis=1)
    lowest = tf.reduce_min(tf.where(lists.known, lists.labels, float("inf")), axis=1)
    return highest > lowest


def check_positive(name: str, value: float) -> float:
    """Returns a number above 0.

    Raises:
        ValueError: It is not.
    """
    if not value > 0:
        raise ValueError(f"{name}: expected above 0, got {value}")
    return value


def _clean(labels: tf.Tensor, scores: tf.Tensor, mask: tf.Tensor | None, weights: tf.Tensor | None) -> Lists:
    labels, scores = tf.cast(labels, tf.float32), tf.cast(scores, tf.float32)
    known = ~tf.math.is_nan(labels)
    if mask is not None:
        known &= tf.cast(mask, tf.bool)
    weights = tf.ones_like(labels) if weights is None else tf.cast(weights, tf.float32)
    # Chosen, not multiplied, so that NaN gets through neither here nor in the gradient.
    labels, scores, weights = (tf.where(known, values, 0.0) for values in (labels, scores, weights))
    return Lists(labels, scores, weights, known)
