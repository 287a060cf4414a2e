"""What is known of a user and a candidate together, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.features import MAX_VALUES
from tfrec_div.data.schema import Schema
from tfrec_div.models.rating_model import RatingModel

# Latest items of a history that are told apart from the whole.
RECENT = 10
# Deviations that a standardised number is from the mean at most.
FARTHEST = 5.0


@keras.utils.register_keras_serializable(package="tfrec_div")
class CrossFeatures(keras.layers.Layer):
    """Tells of each candidate: the signals and their ranks, how popular it is, and how like the history it is.

    The numbers are, in the order of `names`: each signal and the logarithm of its rank among the candidates; the
    logarithm of the popularity and of the length of the history; for each category of the items the share of the
    history (of all, and of the latest 10) that the candidate's values have; for each of the content views the cosine
    with the mean of the history, and the largest one with an item of it; and with a rating model the rating it
    foretells, and its rank. A candidate that is in the history itself is left out of it for its own numbers.

    Args:
        schema: Describes users and items.
        signals: Names of the retriever's signals.
        content: Length of each view of the items' content, by name.
        rater: Foretells ratings; the layer calls it and owns nothing of it.
        **kwargs: As for any Keras layer.
    """

    def __init__(
        self,
        schema: Schema,
        signals: Sequence[str],
        content: Mapping[str, int],
        rater: RatingModel | None = None,
        **kwargs,
    ):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.content = dict(content)
        self._rater = [rater] if rater is not None else []
        self._codes = {
            feature.name: _codes(schema, feature) for feature in schema.features_of("item", "category")
        }

        def table(name: str, *shape: int, dtype: str = "float32") -> tf.Variable:
            return self.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

        # The first row answers for the row -1.
        rows = schema.num_items + 1
        self.popularity = table("log_popularity", rows)
        self.codes = {
            name: table(f"codes_of_{name}", rows, n, dtype="int32") for name, (n, _) in self._codes.items()
        }
        self.views = {name: table(f"view_of_{name}", rows, dim) for name, dim in self.content.items()}
        of_signals = [*signals, *(["predicted_rating"] if rater is not None else [])]
        self.names = (
            *(f"{kind}{name}" for kind in ("", "log_rank_of_") for name in of_signals),
            "log_popularity",
            "log_history",
            *(f"share_of_{name}{part}" for name in self.codes for part in ("", "_recently")),
            *(f"{kind}_{name}" for name in self.content for kind in ("mean", "nearest")),
        )
        self.mean = table("mean", len(self.names))
        self.scale = table("scale", len(self.names))

    def fill(self, counts: np.ndarray, codes: Mapping[str, np.ndarray]) -> None:
        """Reads the catalogue.

        Args:
            counts: Int [items], how often each item occurs.
            codes: Codes int [items, values] of each category.
        """
        self.set_counts(counts)
        for name, variable in self.codes.items():
            given = codes[name]
            variable.assign(np.pad(given, [(1, 0), (0, variable.shape[1] - given.shape[1])]))

    def set_counts(self, counts: np.ndarray) -> None:
        """Takes over how often each item occurs, int [items]; popularities are relative to the most popular one."""
        log = np.log1p(np.asarray(counts, np.float64))
        self.popularity.assign(np.append(0.0, log / max(log.max(initial=0.0), 1e-6)))

    def adapt(self, numbers: np.ndarray) -> None:
        """Learns what brings numbers float [n, numbers] to mean 0 and deviation 1; those that are all alike, to 0."""
        deviation = np.asarray(numbers, np.float64).std(axis=0)
        self.mean.assign(np.mean(numbers, axis=0, dtype=np.float64))
        self.scale.assign(np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0))

    def standardised(self, numbers: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        """Returns numbers [batch, n, numbers] with mean 0 and deviation 1; zeros where bool [batch, n] says no.

        None is further out than 5: where the users of the training hardly differ, one without a history would be
        hundreds of deviations off, which products of features square.
        """
        found = tf.clip_by_value((numbers - self.mean) * self.scale, -FARTHEST, FARTHEST)
        return tf.where(there[:, :, tf.newaxis], found, 0.0)

    def call(
        self, inputs: Mapping[str, tf.Tensor], rows: tf.Tensor, signals: tf.Tensor, own: tf.Tensor
    ) -> tf.Tensor:
        """Returns the numbers, float32 [batch, n, numbers].

        Args:
            inputs: `user_id` [batch], `history` and `history_weight` [batch, steps].
            rows: Int [batch, n], candidates; -1 is padding.
            signals: Float [batch, n, signals].
            own: Bool [batch, n, steps], which items of the history are the candidate itself.
        """
        weight = tf.where(inputs["history"] >= 0, tf.cast(inputs["history_weight"], tf.float32), 0.0)
        signals = tf.cast(signals, tf.float32)
        if self._rater:
            rating = self.rating(inputs["user_id"], rows)
            low, high = tf.unstack(self._rater[0].scale)
            place = tf.math.divide_no_nan(2.0 * rating - low - high, high - low)
            signals = tf.concat([signals, place[:, :, tf.newaxis]], axis=2)
        popularity = tf.gather(self.popularity, rows + 1)
        length = tf.math.log1p(tf.reduce_sum(tf.cast(weight > 0, tf.float32), axis=1, keepdims=True))
        plain = [popularity, tf.broadcast_to(length, tf.shape(popularity))]
        recent = weight * tf.cast(tf.range(tf.shape(weight)[1]) < RECENT, tf.float32)
        for name in self.codes:
            of_history = tf.gather(self.codes[name], inputs["history"] + 1)
            of_rows = tf.gather(self.codes[name], rows + 1)
            plain += [self._shares(name, of_history, of_rows, part, own) for part in (weight, recent)]
        for name in self.content:
            plain += self._cosines(self.views[name], inputs["history"], rows, weight, own)
        return tf.concat([signals, log_ranks(signals, rows >= 0), tf.stack(plain, axis=2)], axis=2)

    def rating(self, users: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the rating model's ratings of candidates, float32 [batch, n]."""
        users = tf.broadcast_to(users[:, tf.newaxis], tf.shape(rows))
        return self._rater[0]({"user_id": users, "item_id": rows})

    def _shares(self, name, of_history, of_rows, weight, own) -> tf.Tensor:
        """Returns the mean share in the history of the values that each candidate has, float [batch, n]."""
        batch, values = tf.shape(of_history)[0], self._codes[name][1] + 1
        there = tf.cast(of_history > 0, tf.float32)
        # Every item gives its weight in equal parts to its values.
        each = weight[:, :, tf.newaxis] * tf.math.divide_no_nan(there, tf.reduce_sum(there, 2, keepdims=True))
        place = of_history + values * tf.range(batch)[:, tf.newaxis, tf.newaxis]
        sums = tf.math.unsorted_segment_sum(tf.reshape(each, [-1]), tf.reshape(place, [-1]), batch * values)
        has = tf.cast(of_rows > 0, tf.float32)
        count = tf.reduce_sum(has, axis=2)
        found = tf.reduce_sum(
            has * tf.gather(tf.reshape(sums, [batch, values]), of_rows, batch_dims=1), axis=2
        )
        # What the candidate itself has given to its values is all of its weight.
        mine = tf.einsum("bs,bns->bn", weight, tf.cast(own, tf.float32)) * tf.cast(count > 0, tf.float32)
        # Not the whole less its own: rounding would leave something of a history that holds nothing else.
        total = tf.einsum("bs,bns->bn", weight, tf.cast(~own, tf.float32))
        return tf.math.divide_no_nan(tf.math.divide_no_nan(tf.maximum(found - mine, 0.0), count), total)

    def _cosines(self, view: tf.Variable, history, rows, weight, own) -> list[tf.Tensor]:
        past = tf.math.l2_normalize(tf.gather(view, history + 1), axis=2)
        now = tf.math.l2_normalize(tf.gather(view, rows + 1), axis=2)
        cosines = tf.matmul(now, past, transpose_b=True)
        apart = tf.where(own, 0.0, weight[:, tf.newaxis, :])
        mean = tf.math.divide_no_nan(tf.reduce_sum(cosines * apart, axis=2), tf.reduce_sum(apart, axis=2))
        nearest = tf.reduce_max(tf.where(apart > 0, cosines, -1.0), axis=2)
        return [mean, tf.where(tf.reduce_any(apart > 0, axis=2), nearest, 0.0)]


def _codes(schema: Schema, feature: Any) -> tuple[int, int]:
    """Returns how many codes an item has at most, and how many there are."""
    return MAX_VALUES if feature.multivalued else 1, len(schema.vocabularies[f"item/{feature.name}"])


def log_ranks(values: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the place, from 1, of each value in its list, float [batch, n, k]; equals share one.

    Args:
        values: Float [batch, n, k].
        there: Bool [batch, n]; the others come after all that are there.

    Example:
        >>> values, there = tf.constant([[[0.5], [2.0], [9.0]]]), tf.constant([[True, True, False]])
        >>> print(log_ranks(values, there).numpy().ravel().round(3))
        [0.693 0.    1.099]
    """
    values = tf.transpose(tf.where(there[:, :, tf.newaxis], values, values.dtype.min), [0, 2, 1])
    flat = tf.reshape(values, [-1, tf.shape(values)[2]])
    # How many are not greater, in the order from the least.
    below = tf.searchsorted(tf.sort(flat, axis=1), flat, side="right")
    ranks = tf.reshape(tf.shape(values)[2] - below, tf.shape(values))
    return tf.math.log1p(tf.cast(tf.transpose(ranks, [0, 2, 1]), tf.float32))
