"""What models share that know a user by the history alone."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.schema import Schema
from tfrec_div.models.arguments import check_number
from tfrec_div.models.retriever import Retriever
from tfrec_div.tasks.masking import mask_rows


class Autoencoder(Retriever):
    """Base of the models that complete a history: items in, a score of every item out.

    Users that training has not met are no different from others. `evaluate` takes batches with a context and goes by
    exact ranks over all items.

    A subclass calls `_add_metrics()` at the end of its constructor, and implements `scores`, `similar` and `fit`.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        max_history: Latest items of a history that a query holds.
        **kwargs: As for any Keras model.
    """

    def __init__(self, schema: Schema, max_history: int, **kwargs):
        super().__init__(**kwargs)
        check_number("max_history", max_history, lambda number: number >= 1, "at least 1", whole=True)
        self.schema = schema
        self.max_history = max_history

    def _add_metrics(self) -> None:
        self._ranks = [keras.metrics.Mean(name=name) for name in ("recall_at_10", "ndcg_at_10", "mrr")]

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights."""
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight` float alike.
            training: Not used.
        """
        return tf.gather(self.scores(inputs), inputs["item_id"], axis=1, batch_dims=1)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as any Keras model, by exact ranks over all items.

        Args:
            x: `Batches` with a context, or a `tf.data.Dataset` of such dictionaries.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.
        """
        if isinstance(x, Batches):
            x = x.as_dataset(epochs=1)
        return super().evaluate(x, *args, **kwargs)

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Ranks the target of each row among all items, by counting those with at least its score."""
        scores = self.scores(inputs)
        target = tf.gather(scores, inputs["item_id"], axis=1, batch_dims=1)
        others = tf.concat(
            [inputs.get("exclude", inputs["history"]), inputs["item_id"][:, tf.newaxis]], axis=1
        )
        ahead = mask_rows(scores, others) >= target[:, tf.newaxis]
        rank = 1.0 + tf.reduce_sum(tf.cast(ahead, tf.float32), axis=1)
        top = tf.cast(rank <= 10, tf.float32)
        values = (top, top * np.log(2.0) / tf.math.log(1.0 + rank), 1.0 / rank)
        for metric, value in zip(self._ranks, values, strict=True):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self._ranks}

    @property
    def metrics(self) -> list:
        """The rank metrics, reset at each evaluation."""
        return self._ranks

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        return cls(**{**config, "schema": Schema.from_json(config["schema"])})
