"""A closed-form autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.new_items import check_larger
from tfrec_div.data.schema import Schema
from tfrec_div.models.arguments import check_number, training_data
from tfrec_div.models.autoencoder import Autoencoder
from tfrec_div.models.closed_form import PairCounts, solve_exactly, solve_locally
from tfrec_div.models.grown_weights import copy_grown_weights

EXACT_LIMIT = 20_000
NEIGHBORS = 100
# Validation finds 100 to 200 at 40 interactions an item. That larger data want more, but not in proportion, is assumed.
L2_FACTOR = 25.0
# What the most popular item has on top of its score: the order where the history says nothing.
POPULARITY = 1e-3


@keras.utils.register_keras_serializable(package="tfrec_div")
class EASE(Autoencoder):
    """Retrieval by a linear model of each item on all others, solved at once and exactly.

    The score of an item is the sum of the weights that the items of the history have for it. The weights minimise the
    squared error of telling each item of the training histories from the others, where no item may tell itself; there
    is no gradient, no epoch and no seed. It is the model to beat where users have histories of some length.

    The histories' own order and strength count, in training and in queries: strong interactions more than weak ones,
    the latest items of a history more than old ones, items that stand near each other more than distant ones, and what
    comes before an item more than what comes after it. Without times and strengths (or
    with the arguments 0, None, None and 0.5) that is the model of the paper. Each interaction of an item that comes
    several times counts.

    Exact up to 20,000 items: some 3 items³ multiplications and, at the peak, four matrices of items² numbers (see
    docs/autoencoders.md). Beyond, each item is predicted from `neighbors` others.

    A history that is empty, or says nothing of any item, gets the most popular items. All items that training has not
    met have one and the same score, 0.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        l2: Weight of the squares of the weights, above 0. None: 25 times the root of the mean over the items met of
            their interactions' squared weights, such as 160 for 40 interactions an item and 560 for 500.
        strength_power: An interaction counts with its strength (`Interactions.strength`, `history_weight` in
            queries) to this power: 0 for all alike.
        half_life: Items of a query's history after which what lies further back counts half; None: all alike.
        floor: What the weight of an old item of a history falls to, a share in [0, 1].
        pair_half_life: Places in a training history after which a pair counts half; None: all alike.
        pair_floor: What the weight of a distant pair falls to, a share in [0, 1].
        forward: Share of what comes before an item in what is to predict it, in [0, 1]; the rest is what comes after.
        neighbors: Items that each item is predicted from, the best ones by themselves: weights are then as many as
            items times neighbors. None: all items up to 20,000 of them, else 100.
        max_history: Latest items of a history that a query holds; in training the greatest distance of a pair.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = EASE(data.schema, l2=10.0)
        >>> model.compile()
        >>> history = model.fit(data.batches(64))
        >>> rows, scores = model.retrieve(model.query_of(data, [0]), k=3)
        >>> rows.shape
        TensorShape([1, 3])

    Steck (2019), Embarrassingly shallow autoencoders for sparse data; for the neighbours Steck (2019), Markov random
    fields for collaborative filtering.
    """

    def __init__(
        self,
        schema: Schema,
        l2: float | None = None,
        strength_power: float = 0.25,
        half_life: float | None = 10.0,
        floor: float = 0.1,
        pair_half_life: float | None = 20.0,
        pair_floor: float = 0.2,
        forward: float = 0.65,
        neighbors: int | None = None,
        max_history: int = 300,
        **kwargs,
    ):
        super().__init__(schema, max_history, **kwargs)
        for name, value in (("l2", l2), ("half_life", half_life), ("pair_half_life", pair_half_life)):
            check_number(name, value, lambda number: number > 0, "above 0, or None", optional=True)
        check_number("strength_power", strength_power, lambda number: number >= 0, "0 or more")
        for name, value in (("floor", floor), ("pair_floor", pair_floor), ("forward", forward)):
            check_number(name, value, lambda number: 0 <= number <= 1, "in [0, 1]")
        expected = "at least 1, or None"
        check_number("neighbors", neighbors, lambda number: number >= 1, expected, whole=True, optional=True)
        self._arguments: dict[str, Any] = {
            "l2": l2,
            "strength_power": strength_power,
            "half_life": half_life,
            "floor": floor,
            "pair_half_life": pair_half_life,
            "pair_floor": pair_floor,
            "forward": forward,
            "neighbors": neighbors,
            "max_history": max_history,
        }
        items = schema.num_items
        if neighbors is None and items > EXACT_LIMIT:
            neighbors = NEIGHBORS
        self.neighbors = neighbors if neighbors is None else min(neighbors, max(items - 1, 1))

        def weight(name, shape, dtype="float32"):
            return self.add_weight(
                name=name,
                shape=shape,
                dtype=dtype,
                initializer="zeros",
                trainable=False,
                experimental_autocast=False,
            )

        if self.neighbors is None:
            self.item_weights = weight("item_weights", (items, items))
        else:
            # A sparse matrix by rows, with room for as many as there can be.
            size = items * self.neighbors
            self.item_weights = weight("item_weights", (size,))
            self.predicted = weight("predicted", (size,), "int32")
            self.row_splits = weight("row_splits", (items + 1,), "int64")
        self.popularity = weight("popularity", (items,))
        # Whether the training histories have an order, so that recency means something.
        self.ordered = weight("ordered", ())
        self._add_metrics()
        self.build()

    # ------------------------------------------------------------------ scores

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of every item of the catalogue, float [batch, items].

        Args:
            query: `history` int [batch, steps] and `history_weight` float alike; see `Retriever`.
        """
        history = tf.convert_to_tensor(query["history"])
        strength = tf.cast(query["history_weight"], tf.float32)
        weight = tf.where(strength > 0, strength ** self._arguments["strength_power"], 0.0)
        weight *= self._recency(tf.shape(history)[1])
        return self._products(history, weight) + POPULARITY * self.popularity

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the weights of `rows` int [batch] for every item, float [batch, items]."""
        rows = tf.reshape(rows, [-1, 1])
        return self._products(rows, tf.ones(tf.shape(rows)))

    def _recency(self, steps: tf.Tensor) -> tf.Tensor:
        half_life, floor = self._arguments["half_life"], self._arguments["floor"]
        if half_life is None:
            return tf.ones([steps])
        decay = floor + (1 - floor) * 2.0 ** (-tf.cast(tf.range(steps), tf.float32) / half_life)
        return tf.where(self.ordered > 0, decay, 1.0)

    def _products(self, rows: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Returns the sum of the weights of `rows` int [batch, n] (-1: none), each times `weight` alike."""
        batch, items = tf.shape(rows, tf.int64)[0], self.schema.num_items
        place = tf.where(rows >= 0)
        query, row = place[:, 0], tf.cast(tf.gather_nd(rows, place), tf.int64)
        weight = tf.gather_nd(weight, place)
        if self.neighbors is None:
            # Reads the rows where they are: looking them up would copy them, 80 KB each at 20,000 items.
            shape = tf.stack([batch, tf.constant(items, tf.int64)])
            sparse = tf.SparseTensor(tf.stack([query, row], axis=1), weight, shape)
            return tf.sparse.sparse_dense_matmul(sparse, self.item_weights)
        starts, ends = tf.gather(self.row_splits, row), tf.gather(self.row_splits, row + 1)
        entries = tf.ragged.range(starts, ends)
        owner = entries.value_rowids()
        cell = tf.gather(query, owner) * items + tf.cast(tf.gather(self.predicted, entries.values), tf.int64)
        values = tf.gather(weight, owner) * tf.gather(self.item_weights, entries.values)
        return tf.reshape(tf.math.unsorted_segment_sum(values, cell, batch * items), [batch, items])

    # ------------------------------------------------------------------ training

    def fit(self, x=None, *, epochs: int = 1, verbose="auto", callbacks=None, **kwargs):
        """Solves the model; one pass, whatever the epochs.

        Args:
            x: `Batches` or a `Dataset`: its interactions are the training data.
            epochs: Not used.
            verbose: 0 for no progress bars.
            callbacks: As for `keras.Model.fit`; they see one epoch.
            **kwargs: `validation_data` as for `evaluate`; other arguments of `keras.Model.fit` are passed over.

        Returns:
            Keras' `History`; its `loss` is the share of the squares of the training data that the model leaves
            unexplained.
        """
        data = training_data(x, self.schema)
        steps = keras.callbacks.CallbackList(
            callbacks, add_history=True, model=self, epochs=1, steps=1, verbose=0
        )
        steps.on_train_begin()
        steps.on_epoch_begin(0)
        logs = {"loss": self._solve(data, progress=verbose not in (0, "0"))}
        if (held := kwargs.get("validation_data")) is not None:
            found = self.evaluate(held, verbose=0, return_dict=True)
            logs |= {f"val_{name}": value for name, value in found.items()}
        steps.on_epoch_end(0, logs)
        steps.on_train_end(logs)
        return self.history

    def _solve(self, data: Dataset, progress: bool) -> float:
        given, log = self._arguments, data.interactions
        strength = log.strength()
        log, strength = log.take(strength > 0), strength[strength > 0]
        ordered = log.timestamp is not None
        weight = strength ** given["strength_power"]
        l2 = given["l2"]
        if l2 is None:
            l2 = L2_FACTOR * float(np.sqrt((weight**2).sum() / max(len(np.unique(log.item)), 1)))
        counts = PairCounts(
            log,
            weight,
            self.max_history,
            given["pair_half_life"] if ordered else None,
            given["pair_floor"],
            given["forward"] if ordered else 0.5,
        )
        progress = progress and self.schema.num_items * self.schema.num_items + len(log) > 10_000_000
        if self.neighbors is None:
            weights, loss = solve_exactly(counts, l2, progress)
            self.item_weights.assign(weights)
        else:
            predicted, weights, splits, loss = solve_locally(counts, l2, self.neighbors, progress)
            spare = self.item_weights.shape[0] - len(weights)
            self.item_weights.assign(np.pad(weights, (0, spare)))
            self.predicted.assign(np.pad(predicted, (0, spare)))
            self.row_splits.assign(splits)
        popular = log.item_counts()
        self.popularity.assign(popular / max(popular.max(), 1))
        self.ordered.assign(float(ordered))
        return loss

    def with_items(self, data: Dataset) -> EASE:
        """Returns the same model for more items, which have the score of those that training has not met.

        Args:
            data: Whose items are the model's, and new ones after them.
        """
        check_larger(self.schema, data.schema)
        if self.neighbors is None and data.schema.num_items > EXACT_LIMIT:
            raise ValueError(
                f"items: beyond {EXACT_LIMIT} of them in all, EASE has neighbors: train it on data that has them"
            )
        config = {**self.get_config(), "schema": data.schema.to_json(), "neighbors": self.neighbors}
        larger = self.from_config(config)
        copy_grown_weights(self, larger)
        if self.neighbors is not None:
            new = data.schema.num_items - self.schema.num_items
            larger.row_splits.assign(np.pad(self.row_splits.numpy(), (0, new), mode="edge"))
        return larger

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"name": self.name, "schema": self.schema.to_json(), **self._arguments}
