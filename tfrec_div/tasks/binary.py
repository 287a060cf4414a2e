"""The loss of a yes or no for every item."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.masking import hit_columns
from tfrec_div.tasks.replicas import sum_replicas


class BinaryOverItems(keras.layers.Layer):
    """Binary cross entropy: yes for a query's target, no for all other items, or for a sample in their name.

    The loss of a query is -log p(target) - sum of log(1 - p(item)) over the others, p = sigmoid(score). Of `n`
    candidates drawn uniformly each stands for num_items / n items, so that the loss is the same in the mean.

    Args:
        num_items: Items of the catalogue.
        **kwargs: As for any Keras layer.

    Example:
        >>> task = BinaryOverItems(3)
        >>> no_scores = tf.zeros([1, 2]), tf.zeros([3, 2])
        >>> loss = task(no_scores[0], tf.zeros([1, 2]), tf.constant([1]), *no_scores[1:], tf.range(3))
        >>> round(float(loss), 4)  # three times log 2
        2.0794
    """

    def __init__(self, num_items: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_items = num_items

    def call(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        item_ids: tf.Tensor,
        candidates: tf.Tensor,
        candidate_ids: tf.Tensor,
        known: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean loss; under a strategy this replica's share of it, and the shares add up to the mean.

        Args:
            queries: Float [batch, dim].
            items: Float [batch, dim], the target of each query.
            item_ids: Integer [batch], rows of the targets.
            candidates: Float [n, dim], all items or some that were drawn uniformly.
            candidate_ids: Integer [n], their rows.
            known: Integer [batch, steps], rows that are no negatives (-1: padding).
            sample_weight: Float [batch].
        """
        taken = item_ids[:, tf.newaxis]
        if known is not None:
            taken = tf.concat([taken, known], axis=1)
        misses = tf.nn.softplus(tf.matmul(queries, candidates, transpose_b=True))
        misses = tf.where(hit_columns(candidate_ids, taken), 0.0, misses)
        each = self.num_items / tf.cast(tf.size(candidate_ids), tf.float32)
        loss = tf.nn.softplus(-tf.reduce_sum(queries * items, axis=1)) + each * tf.reduce_sum(misses, axis=1)
        total = tf.reduce_sum(loss if sample_weight is None else loss * sample_weight)
        return total / tf.cast(sum_replicas(tf.size(item_ids)), tf.float32)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_items": self.num_items}
