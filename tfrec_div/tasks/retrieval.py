"""Losses that teach a query to find its item among others."""

from __future__ import annotations

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.tasks.masking import mask_rows


class InBatchSoftmax(keras.layers.Layer):
    """Softmax over the items of the batch, corrected for how often popular items turn up as negatives.

    Wraps `tfrs.tasks.Retrieval`, which returns a sum: here the loss is the mean per example. The scores are
    corrected by the log probability of an item's being in the batch (Yi et al., 2019), and an item that equals the
    target is no negative.

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
        super().__init__(**kwargs)
        self.temperature = temperature
        self._task = tfrs.tasks.Retrieval(temperature=temperature, remove_accidental_hits=True)

    def call(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        item_ids: tf.Tensor,
        item_probability: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean loss.

        Args:
            queries: Float [batch, dim].
            items: Float [batch, dim], the target of each query.
            item_ids: Integer [batch].
            item_probability: Float [batch], each target's share of the training interactions.
            sample_weight: Float [batch].
        """
        total = self._task(
            queries,
            items,
            candidate_ids=item_ids,
            candidate_sampling_probability=item_probability,
            sample_weight=sample_weight,
            compute_metrics=False,
        )
        return total / tf.cast(tf.shape(queries)[0], total.dtype)

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
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(
        self,
        queries: tf.Tensor,
        catalogue: tf.Tensor,
        targets: tf.Tensor,
        known: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the mean loss.

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
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
        return tf.reduce_mean(loss if sample_weight is None else loss * sample_weight)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
