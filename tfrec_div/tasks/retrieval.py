"""Losses that teach a query to find its item among others."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.cross_entropy import cross_entropy
from tfrec_div.tasks.masking import column_of, hit_columns, mask_rows
from tfrec_div.tasks.negatives import Candidates
from tfrec_div.tasks.replicas import gather_replicas, sum_replicas


class InBatchSoftmax(keras.layers.Layer):
    """Softmax over the items of the batch, corrected for how often popular items turn up as negatives.

    Scores are corrected by the log probability of an item's being drawn (Yi et al., 2019). Neither an item that
    equals the target nor one that the user knows is a negative. The batch is the global one: under a `tf.distribute`
    strategy the items of all replicas are candidates. An item that stands in the batch several times is scored once
    and counted several times.

    Unlike `tfrs.tasks.Retrieval` it returns a mean, computes in float32 under any precision policy, and takes
    probabilities as small as they are (TFRS clips them at one in a million).

    Args:
        temperature: Divides the scores; above 0.
        **kwargs: As for any Keras layer.

    Example:
        >>> queries, items = tf.eye(2) * 10, tf.eye(2)
        >>> loss = InBatchSoftmax()(queries, items, item_ids=tf.constant([3, 7]))
        >>> bool(loss < 1e-3)
        True
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.temperature = _check_temperature(temperature)

    def call(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        item_ids: tf.Tensor,
        item_probability: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        known: tf.Tensor | None = None,
        shared: Candidates | None = None,
        memory: Candidates | None = None,
        own: Candidates | None = None,
    ) -> tf.Tensor:
        """Returns the mean loss; under a strategy this replica's share of it, and the shares add up to the mean.

        Args:
            queries: Float [batch, dim].
            items: Float [batch, dim], the target of each query.
            item_ids: Integer [batch], rows of the targets.
            item_probability: Float [batch], how likely each target is to be drawn as a negative, up to a factor.
            sample_weight: Float [batch].
            known: Integer [batch, steps], rows that the user knows (-1: padding).
            shared: More negatives for all queries, the same on every replica; vectors as the item tower makes them now.
            memory: Negatives for all queries whose vectors are older; row -1 is an empty place.
            own: Negatives of each query, `[batch, n]`; row -1 is padding.
        """
        labels, scores = self._shared_scores(queries, items, item_ids, item_probability, known, shared)
        taken = (
            item_ids[:, tf.newaxis] if known is None else tf.concat([item_ids[:, tf.newaxis], known], axis=1)
        )
        parts = [scores]
        if memory is not None:
            old = self._correct(tf.matmul(queries, memory.vectors, transpose_b=True), memory.probability)
            empty = (memory.rows < 0)[tf.newaxis, :]
            parts.append(tf.where(empty | hit_columns(memory.rows, taken), -float("inf"), old))
        if own is not None:
            mine = self._correct(tf.einsum("bd,bnd->bn", queries, own.vectors), own.probability)
            hit = tf.reduce_any(own.rows[:, :, tf.newaxis] == taken[:, tf.newaxis, :], axis=2)
            parts.append(tf.where(hit | (own.rows < 0), -float("inf"), mine))
        return _mean_cross_entropy(labels, tf.concat(parts, axis=1), sample_weight)

    def _shared_scores(self, queries, items, item_ids, item_probability, known, shared):
        """Returns the target's column [batch] and scores [batch, columns], a column for each distinct item."""
        rows, vectors = gather_replicas(item_ids), gather_replicas(items)
        probability = None if item_probability is None else gather_replicas(item_probability)
        if shared is not None:
            rows, vectors = tf.concat([rows, shared.rows], 0), tf.concat([vectors, shared.vectors], 0)
            if probability is not None:
                probability = tf.concat([probability, shared.probability], 0)
        columns, column, count = tf.unique_with_counts(rows)
        first = tf.math.unsorted_segment_min(tf.range(tf.size(rows)), column, tf.size(columns))
        copies = tf.math.log(tf.cast(count, queries.dtype))
        # What is added to a column is one more entry of its vector: the product adds it on the way.
        offset = copies if probability is None else copies - _log_probability(tf.gather(probability, first))
        scores = tf.matmul(
            tf.concat([queries / self.temperature, tf.ones_like(queries[:, :1])], axis=1),
            tf.concat([tf.cast(tf.gather(vectors, first), queries.dtype), offset[:, tf.newaxis]], axis=1),
            transpose_b=True,
        )
        labels = column_of(columns, item_ids)
        # The copies of the target itself are no negatives: its column counts once.
        place = tf.stack([tf.range(tf.size(labels)), labels], axis=1)
        change = -tf.gather(copies, labels)
        if known is not None:
            # Most of a history is padding, which is left out before anything is looked up.
            there = tf.where(known >= 0)
            query, found = tf.cast(there[:, 0], tf.int32), column_of(columns, tf.gather_nd(known, there))
            hit = tf.where((found >= 0) & (found != tf.gather(labels, query)))[:, 0]
            hit_place = tf.stack([tf.gather(query, hit), tf.gather(found, hit)], axis=1)
            place = tf.concat([place, hit_place], axis=0)
            change = tf.concat([change, tf.fill(tf.shape(hit), -float("inf"))], axis=0)
        return labels, tf.tensor_scatter_nd_add(scores, place, change)

    def _correct(self, scores: tf.Tensor, probability: tf.Tensor | None) -> tf.Tensor:
        scores = scores / self.temperature
        return scores if probability is None else scores - _log_probability(probability)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


class FullSoftmax(keras.layers.Layer):
    """Softmax over the whole catalogue, for catalogues small enough to be scored at every step.

    Args:
        temperature: Divides the scores; above 0.
        **kwargs: As for any Keras layer.

    Example:
        >>> catalogue = tf.eye(3)
        >>> print(FullSoftmax()(tf.zeros([1, 3]), catalogue, targets=tf.constant([2])).numpy())
        1.0986123
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.temperature = _check_temperature(temperature)

    def call(
        self,
        queries: tf.Tensor,
        catalogue: tf.Tensor,
        targets: tf.Tensor,
        known: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean loss; under a strategy this replica's share of it, and the shares add up to the mean.

        Args:
            queries: Float [batch, dim].
            catalogue: Float [items, dim].
            targets: Integer [batch], the row of each query's item.
            known: Integer [batch, steps], rows that the query was made from (-1: padding). They are no negatives,
                since a recommender does not return them.
            sample_weight: Float [batch].
        """
        scores = tf.matmul(queries, catalogue, transpose_b=True) / self.temperature
        if known is not None:
            scores = mask_rows(scores, tf.where(known == targets[:, tf.newaxis], -1, known))
        return _mean_cross_entropy(targets, scores, sample_weight)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


def _check_temperature(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"temperature: expected above 0, got {temperature}")
    return temperature


def _log_probability(probability: tf.Tensor) -> tf.Tensor:
    # A probability of zero (an item that training never met) must not make the score infinite.
    return tf.math.log(tf.maximum(probability, 1e-30))


def _mean_cross_entropy(labels: tf.Tensor, scores: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    loss = cross_entropy(labels, scores)
    total = tf.reduce_sum(loss if weight is None else loss * weight)
    return total / tf.cast(sum_replicas(tf.shape(labels)[0]), total.dtype)
