"""Where the targets of queries stand among all items, as Keras metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.masking import mask_rows


class ExactRanks:
    """Rank metrics of a model. Keras does not see inside, so that they are not among the model's weights."""

    def __init__(self):
        self.metrics = rank_metrics()


def rank_metrics() -> list[keras.metrics.Metric]:
    """Returns new means of what `update_ranks` reports."""
    return [keras.metrics.Mean(name=name) for name in ("recall_at_10", "ndcg_at_10", "mrr")]


def update_ranks(
    metrics: Sequence[keras.metrics.Metric], scores: tf.Tensor, inputs: dict[str, tf.Tensor]
) -> None:
    """Ranks the target of each row among all items, by counting those with at least its score.

    Args:
        metrics: As `rank_metrics` returns them.
        scores: Float [batch, items].
        inputs: `item_id` int [batch], the targets, and the items that are out of the running: `exclude` int [batch, n]
            (-1: padding), or else `history` alike.

    Example:
        >>> metrics = rank_metrics()
        >>> query = {"item_id": tf.constant([1]), "history": tf.constant([[0, -1]])}
        >>> update_ranks(metrics, tf.constant([[9.0, 2.0, 3.0, 1.0]]), query)
        >>> {metric.name: round(float(metric.result()), 3) for metric in metrics}
        {'recall_at_10': 1.0, 'ndcg_at_10': 0.631, 'mrr': 0.5}
    """
    target = tf.gather(scores, inputs["item_id"], axis=1, batch_dims=1)
    # What the user knows already is out of the running, and so is the target itself.
    others = tf.concat([inputs.get("exclude", inputs["history"]), inputs["item_id"][:, tf.newaxis]], axis=1)
    ahead = mask_rows(scores, others) >= target[:, tf.newaxis]
    rank = 1.0 + tf.reduce_sum(tf.cast(ahead, tf.float32), axis=1)
    top = tf.cast(rank <= 10, tf.float32)
    values = (top, top * np.log(2.0) / tf.math.log(1.0 + rank), 1.0 / rank)
    for metric, value in zip(metrics, values, strict=True):
        metric.update_state(value)
