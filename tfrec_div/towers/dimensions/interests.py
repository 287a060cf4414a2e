"""What a user is interested in along several dimensions, read off the items of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.interactions import Interactions
from tfrec_div.towers.views import View

# Items that are encoded at once when a catalogue is read, and users when their histories are.
BATCH = 4096
USERS = 256
# What is usual is read from so many users at most.
SAMPLE = 20_000
# Latest items of a history that are read to learn what is usual among users.
STEPS = 300
# Above, a product with a matrix of users and items costs more than to look up the items of the histories.
MANY_ITEMS = 10_000
# Pairs of items by which a user's concentration is drawn to none at all: those of five items.
PRIOR_PAIRS = 20.0


class UserInterests(NamedTuple):
    """The interests of a batch of users.

    Args:
        vectors: Float [batch, dim], the interest of each dimension, end to end.
        concentration: Float [batch, dimensions], how much more alike the items of the user's history are in a
            dimension than those of the average user, in standard deviations over the users.
        present: Boolean [batch, dimensions], whether any item of the history has the dimension.
    """

    vectors: tf.Tensor
    concentration: tf.Tensor
    present: tf.Tensor


@keras.utils.register_keras_serializable(package="tfrec_div")
class DimensionInterests(keras.layers.Layer):
    """Keeps the views of all items in several dimensions, and makes of a history an interest vector in each.

    A dimension has one or more views, each the encoding of one feature; with m views each is divided by the root of
    m, so that a dimension weighs the same however many it has. The interest in a dimension has the direction of the
    sum of the views of the history's items that have the dimension, each times its strength; and in all dimensions one
    length, the root of the strengths' sum: the more there is to go by, the surer. So what a dimension counts for is
    left to be said by weights. Its concentration is the mean product of the views of two different items of the
    history, after the mean of what all users take is subtracted: it is high when the user keeps to what is alike in
    this dimension, and drawn to zero for a short history. Nothing here is trained: `fill` reads it from the data.

    Args:
        dimensions: By the name of each dimension its views, by the name of the feature that they read.
        num_items: Rows of the catalogue.
        half_lives: By the name of a dimension, steps back after which an item of the history counts half; others
            never forget.
        **kwargs: As for any Keras layer.

    Example:
        >>> from tfrec_div.towers.views import CodeView
        >>> interests = DimensionInterests({"brand": {"brand": CodeView(2, 8)}}, num_items=2)
        >>> interests.encode_items({"brand": np.array([[1], [2]])}, met=np.array([True, True]))
        >>> user = interests(tf.constant([[0, -1]]), tf.constant([[1.0, 0.0]]))
        >>> scores = tf.matmul(user.vectors, interests.views_of(tf.constant([0, 1])), transpose_b=True)
        >>> bool(scores[0, 0] > scores[0, 1]), bool(user.present[0, 0])
        (True, True)
    """

    def __init__(
        self,
        dimensions: Mapping[str, Mapping[str, View]],
        num_items: int,
        half_lives: Mapping[str, float] | None = None,
        **kwargs,
    ):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.views = {name: dict(views) for name, views in dimensions.items()}
        if not self.views or not all(self.views.values()):
            raise ValueError(f"dimensions: expected at least one view in each, got {self.views}")
        self.num_items = num_items
        self.half_lives = dict(half_lives or {})
        lengths = [sum(view.dim for view in views.values()) for views in self.views.values()]
        self.dim = sum(lengths)
        self.names = tuple(self.views)
        # Which dimension an entry belongs to: a product with it gives every entry its dimension's value.
        self.belongs = np.repeat(np.eye(len(lengths), dtype=np.float32), lengths, axis=0)
        self._places = {name: np.array(self.names) == name for name in self.names}
        # Row 0 of what is kept of items stays zero and answers for the row -1.
        rows, count = num_items + 1, len(lengths)
        self.items = self._table("items", (rows, self.dim))
        self.has = self._table("has", (rows, count))
        self.spread = self._table("spread", (rows, count))
        self.usual = self._table("usual", (self.dim,))
        self.mean = self._table("mean", (count,))
        self.scale = self._table("scale", (count,), "ones")

    def _table(self, name: str, shape: tuple[int, ...], initializer: str = "zeros") -> tf.Variable:
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    # ------------------------------------------------------------------ reading the data

    def fill(self, features: Mapping[str, np.ndarray], events: Interactions) -> None:
        """Reads the catalogue, and from the histories what is usual among the users.

        Args:
            features: An array [items, ...] for each feature that the views read.
            events: Training interactions.
        """
        counts = np.bincount(events.item, weights=events.strength(), minlength=self.num_items)
        self.encode_items(features, events.item_counts() > 0, counts)
        users = np.flatnonzero(events.user_counts() > 1).astype(np.int32)
        if len(users) > SAMPLE:
            users = np.sort(np.random.default_rng(0).choice(users, SAMPLE, replace=False))
        self.mean.assign(tf.zeros_like(self.mean))
        self.scale.assign(tf.ones_like(self.scale))
        found, known = [], []
        for start in range(0, len(users), USERS):
            some = self(*map(tf.constant, events.latest(users[start : start + USERS], STEPS)))
            found.append(some.concentration.numpy())
            known.append(some.present.numpy())
        if not found:
            return
        values = np.where(np.concatenate(known), np.concatenate(found), np.nan)
        known_at_all = ~np.isnan(values).all(axis=0)
        mean, scale = np.zeros(len(self.names)), np.ones(len(self.names))
        mean[known_at_all] = np.nanmean(values[:, known_at_all], axis=0)
        scale[known_at_all] = np.nanstd(values[:, known_at_all], axis=0)
        self.mean.assign(mean)
        self.scale.assign(np.where(scale > 1e-6, scale, 1.0))

    def encode_items(
        self, features: Mapping[str, np.ndarray], met: np.ndarray, counts: np.ndarray | None = None
    ) -> None:
        """Encodes the catalogue.

        Args:
            features: An array [items, ...] for each feature that the views read.
            met: Boolean [items], the items that training meets; the views learn from them.
            counts: Float [items], how much is taken of each item, for what is usual; equal by default.
        """
        for views in self.views.values():
            for name, view in views.items():
                view.adapt(features[name][met])
        read = [name for views in self.views.values() for name in views]
        blocks = [
            self.encode({name: features[name][i : i + BATCH] for name in read})
            for i in range(0, self.num_items, BATCH)
        ]
        vectors, has = (np.concatenate([b[part].numpy() for b in blocks]) for part in (0, 1))
        counts = np.ones(self.num_items) if counts is None else counts
        taken = counts[:, np.newaxis] * (has @ self.belongs.T)
        usual = (taken * vectors).sum(axis=0) / np.maximum(taken.sum(axis=0), 1e-9)
        spread = (np.square(vectors - usual) @ self.belongs) * has
        for table, values in ((self.items, vectors), (self.has, has), (self.spread, spread)):
            table.assign(np.concatenate([np.zeros_like(values[:1]), values]).astype(np.float32))
        self.usual.assign(usual)

    def encode(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes items by their features, `[batch, ...]` each; one that is not given is missing.

        Returns:
            The views of all dimensions end to end, float [batch, dim], and which dimensions an item has, 0 or 1,
            float [batch, dimensions].
        """
        vectors, has = [], []
        size = next(tf.shape(value)[0] for value in features.values())
        for views in self.views.values():
            there = tf.zeros([size], tf.bool)
            for name, view in views.items():
                if name not in features:
                    vectors.append(tf.zeros([size, view.dim]))
                    continue
                feature = tf.convert_to_tensor(features[name])
                vectors.append(view(feature) / np.sqrt(len(views)))
                there |= view.present(feature)
            has.append(tf.cast(there, tf.float32))
        return tf.concat(vectors, axis=1), tf.stack(has, axis=1)

    # ------------------------------------------------------------------ in the graph

    def views_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the views of the catalogue's rows int [...], float [..., dim]; zeros for -1."""
        return tf.gather(self.items, rows + 1)

    def call(self, history: tf.Tensor, strength: tf.Tensor) -> UserInterests:
        """Returns the interests of users.

        Args:
            history: Int [batch, steps], rows, the latest first; -1 is padding.
            strength: Float [batch, steps], 0 for padding.
        """
        pooled, total, own, squares = self._sums(history, strength)
        steps = tf.range(tf.shape(history)[1], dtype=tf.float32)
        for name, half_life in self.half_lives.items():
            sums = self._sums(history, strength * tf.pow(0.5, steps / half_life))
            place = tf.constant(self._places[name])
            entry = tf.constant(self.belongs[:, self.names.index(name)] > 0)
            pooled = tf.where(entry, sums[0], pooled)
            total, own, squares = (
                tf.where(place, new, old) for new, old in zip(sums[1:], (total, own, squares), strict=True)
            )
        lengths = tf.sqrt(tf.matmul(tf.square(pooled), tf.constant(self.belongs)))
        vectors = pooled * self.by_entry(tf.math.divide_no_nan(1.0, lengths))
        vectors *= tf.sqrt(tf.reduce_sum(strength, axis=1, keepdims=True))
        # The square of a sum is the products of all pairs, those of an item with itself among them.
        pairs = (
            tf.matmul(tf.square(pooled - self.by_entry(total) * self.usual), tf.constant(self.belongs)) - own
        )
        concentration = pairs / (tf.square(total) - squares + PRIOR_PAIRS)
        return UserInterests(vectors, (concentration - self.mean) / self.scale, total > 0)

    def _sums(self, history: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the sums over a history of the views, and by dimension of weights, squares of lengths, and squares.

        An item counts in the dimensions that it has: weight x view, weight, weight^2 x distance^2 of its view from what
        is usual, and weight^2.
        """
        first, squared = tf.concat([self.items, self.has], axis=1), tf.concat([self.spread, self.has], axis=1)
        if self.num_items <= MANY_ITEMS:
            # As products with matrices of users and items: far quicker than to look up every view of every history.
            batch, steps = tf.unstack(tf.shape(history))
            users = tf.repeat(tf.range(batch), steps)
            place = tf.stack([users, tf.reshape(history + 1, [-1])], axis=1)
            shape = [batch, self.num_items + 1]
            taken = [tf.scatter_nd(place, tf.reshape(w, [-1]), shape) for w in (weight, tf.square(weight))]
            first, squared = tf.matmul(taken[0], first), tf.matmul(taken[1], squared)
        else:
            first = tf.einsum("bs,bsd->bd", weight, tf.gather(first, history + 1))
            squared = tf.einsum("bs,bsd->bd", tf.square(weight), tf.gather(squared, history + 1))
        return *tf.split(first, [self.dim, -1], axis=1), *tf.split(squared, 2, axis=1)

    def by_entry(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values [..., dimensions] at each entry of the vectors, [..., dim]."""
        return tf.matmul(values, tf.constant(self.belongs), transpose_b=True)

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        dimensions = {
            name: {feature: keras.layers.serialize(view) for feature, view in views.items()}
            for name, views in self.views.items()
        }
        config = {"dimensions": dimensions, "num_items": self.num_items, "half_lives": self.half_lives}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> DimensionInterests:
        """Makes the layer of what `get_config` returned."""
        build = keras.layers.deserialize
        dimensions = {
            name: {feature: build(view, custom_objects) for feature, view in views.items()}
            for name, views in config["dimensions"].items()
        }
        return cls(**{**config, "dimensions": dimensions})
