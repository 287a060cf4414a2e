"""A retriever and a ranker whose numbers are known."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.schema import Schema
from tfrec_div.models.ranking_model import RankingModel
from tfrec_div.models.retriever import Retriever


@keras.utils.register_keras_serializable(package="tfrec_div_tests")
class Fixed(Retriever):
    """A score for each item, whoever asks."""

    def __init__(self, schema, values=None, max_history=3, **kwargs):
        super().__init__(**kwargs)
        self.schema = Schema.from_json(schema) if isinstance(schema, dict) else schema
        self.max_history = max_history
        self.values = self.add_weight(name="values", shape=(self.schema.num_items,), trainable=False)
        if values is not None:
            self.values.assign(values)
        self.built = True

    def scores(self, query):
        assert query["history"].shape[1] is None or query["history"].shape[1] <= self.max_history
        return tf.tile(self.values[tf.newaxis], [tf.shape(query["history"])[0], 1])

    def similar(self, rows):
        return tf.zeros([tf.shape(rows)[0], self.schema.num_items])

    def with_items(self, data):
        new = data.schema.num_items - self.schema.num_items
        return Fixed(data.schema, np.append(self.values.numpy(), np.zeros(new)), self.max_history)

    def get_config(self):
        return {"schema": self.schema.to_json(), "max_history": self.max_history}


@keras.utils.register_keras_serializable(package="tfrec_div_tests")
class Table(RankingModel):
    """A probability for each item, 0.01 more for each item of the user's history that it reads."""

    def __init__(self, schema, values=None, max_history=3, signal_names=("score",), **kwargs):
        super().__init__(**kwargs)
        self.schema = Schema.from_json(schema) if isinstance(schema, dict) else schema
        self.max_history, self.signal_names = max_history, tuple(signal_names)
        self.values = self.add_weight(name="values", shape=(self.schema.num_items,), trainable=False)
        if values is not None:
            self.values.assign(values)
        self.built = True

    def predictions(self, query, rows, signals):
        length = tf.reduce_sum(tf.cast(query["history"] >= 0, tf.float32), axis=1, keepdims=True)
        relevance = tf.gather(self.values, tf.maximum(rows, 0)) + 0.01 * length
        # Nothing but a check that signals are there: it adds 0.
        relevance += 0.0 * tf.reduce_sum(signals[:, :, : len(self.signal_names)], axis=2)
        return {"relevance": relevance, "rating": 1.0 + 4.0 * relevance}

    def get_config(self):
        return {
            "schema": self.schema.to_json(),
            "max_history": self.max_history,
            "signal_names": self.signal_names,
        }


@keras.utils.register_keras_serializable(package="tfrec_div_tests")
class GrowingTable(Table):
    """The same, for more items as well: new ones get 0.9."""

    def with_items(self, data):
        new = data.schema.num_items - self.schema.num_items
        return GrowingTable(data.schema, np.append(self.values.numpy(), np.full(new, 0.9)), self.max_history)
