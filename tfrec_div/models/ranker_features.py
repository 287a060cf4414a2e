"""The vectors that a ranker makes of users, candidates and histories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.features import Category, Number, Timestamp
from tfrec_div.data.schema import Schema
from tfrec_div.towers.encoders import CodeEncoder
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.fusion import fusion_layer
from tfrec_div.towers.history_modalities import HistoryModalities
from tfrec_div.towers.item_tower import column_encoders, encode_columns, item_spec, known_codes
from tfrec_div.towers.query_tower import encode_users, user_spec
from tfrec_div.towers.target_attention import TargetAttention

FEATURES = ("user_id", "item_id", "users", "categories", "numbers")
HISTORIES = ("attention", "cross_modal", "mean")


class RankerFeatures(keras.layers.Layer):
    """Makes a vector of each feature of user and candidate, and one of the history as this candidate sees it.

    Whatever belongs to an item is made once for each item of a batch, and whatever belongs to a user once a list.

    Args:
        schema: Describes users and items.
        dim: Length of the vectors.
        features: Some of `FEATURES`.
        content: Length of each view of the items' content, by name.
        fusion: How the content's views become one vector; a name of `towers.fusion.FUSIONS`, or a layer.
        history: One of `HISTORIES`, or None.
        id_dropout: Share of the users, and of the items, that training takes for unknown ones.
        **kwargs: As for any Keras layer.
    """

    def __init__(
        self,
        schema: Schema,
        dim: int,
        features: Sequence[str],
        content: Mapping[str, int],
        fusion: str | keras.layers.Layer,
        history: str | None,
        id_dropout: float,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = dim
        self.content = tuple(content)
        users, items = {}, {}
        if "user_id" in features:
            # Zero at the start: a user whom training has not met adds nothing.
            users["user_id"] = CodeEncoder(
                schema.num_users, dim, dropout=id_dropout, initial_scale=0.0, name="user_id"
            )
        if "users" in features:
            users |= column_encoders(schema, "user", dim, (Category, Number, Timestamp))
        if "item_id" in features:
            items["item_id"] = CodeEncoder(schema.num_items, dim, dropout=id_dropout, name="item_id")
        if "categories" in features:
            items |= column_encoders(schema, "item", dim, (Category,))
        if "numbers" in features:
            items |= column_encoders(schema, "item", dim, (Number, Timestamp))
        self.users, self.items = users, items
        if not items and not content:
            raise ValueError(
                f"features: {list(features)} leaves the candidates without any feature of the schema"
            )
        self.user_table = FeatureTable(schema.num_users, user_spec(schema), name="users")
        self.item_table = FeatureTable(schema.num_items, item_spec(schema), name="items")
        self.projections = {name: keras.layers.Dense(dim, use_bias=False, name=name) for name in content}
        self.fusion: Any = fusion_layer(fusion, dim) if len(content) > 1 else None
        self.history = history
        self.knows_users = "user_id" in users
        readers: dict[str, Callable[..., keras.layers.Layer]] = {
            "attention": TargetAttention,
            "cross_modal": HistoryModalities,
            "mean": lambda **named: keras.layers.Dense(dim, use_bias=False, **named),
        }
        self.reader: Any = readers[history](name="history") if history else None
        if history == "cross_modal" and not content:
            raise ValueError("history: 'cross_modal' needs the content of the items, and there is none")

    def fill(self, data: Dataset, shown: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Reads users and items; who has no interaction in the data has no id, but for those of `shown`.

        Args:
            data: Whose users and items.
            shown: Rows of users, and of items (-1: none), that training meets all the same.
        """
        users = encode_users(data)
        met = data.interactions.item_counts() > 0
        if shown is not None:
            seen = np.isin(np.arange(data.schema.num_users), shown[0]) | (users["user_id"] > 0)
            users["user_id"] = known_codes(seen)
            met |= np.isin(np.arange(data.schema.num_items), shown[1])
        self.user_table.fill(users)
        self.item_table.fill({"item_id": known_codes(met), **encode_columns(data.catalog)})

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        rows: tf.Tensor,
        views: Mapping[str, tf.Variable],
        own: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the vectors, float [batch, n, fields, dim].

        Args:
            inputs: `user_id` [batch], `history` and `history_weight` [batch, steps].
            rows: Int [batch, n], candidates; -1 is padding.
            views: Tables [items + 1, length] of the items' content.
            own: Bool [batch, n, steps], which items of the history are the candidate itself.
            training: Whether dropout is active.
        """
        history = inputs["history"]
        shape, steps = tf.shape(rows), tf.shape(history)
        wanted = [tf.reshape(rows, [-1])]
        if self.history:
            wanted.append(tf.reshape(history, [-1]))
        each, place = tf.unique(tf.concat(wanted, axis=0))
        fields, modalities = self._of_items(each, views, training)
        place_of_rows = tf.reshape(place[: tf.size(rows)], shape)
        candidates = tf.gather(fields, place_of_rows)
        parts = [candidates]
        if self.history:
            place_of_history = tf.reshape(place[tf.size(rows) :], steps)
            there = history >= 0
            weight = tf.where(there, tf.cast(inputs["history_weight"], fields.dtype), 0)
            asked = modalities if self.history == "cross_modal" else tf.reduce_sum(fields, axis=1)
            past = tf.gather(asked, place_of_history)
            if self.history == "mean":
                found = self._mean(past, weight, tf.gather(asked, place_of_rows), own)
            else:
                found = self.reader(tf.gather(asked, place_of_rows), past, weight, ~own)
            parts.append(found[:, :, tf.newaxis, :])
        if self.users:
            user = self._of_users(inputs["user_id"], training)
            number, length = user.shape[1:]
            parts.append(tf.broadcast_to(user[:, tf.newaxis], [shape[0], shape[1], number, length]))
        return tf.concat(parts, axis=2)

    def _of_items(self, rows, views, training) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the fields [n, fields, dim] of items, and their modalities [n, modalities, dim]."""
        features = self.item_table(rows)
        fields = [_encoded(encoder, features[name], training) for name, encoder in self.items.items()]
        modalities = None
        if self.content:
            seen = [self.projections[name](tf.gather(views[name], rows + 1)) for name in self.content]
            modalities = tf.stack(seen, axis=1)
            there = tf.reduce_any(modalities != 0, axis=2)
            fields.append(self.fusion(modalities, modality_mask=there) if self.fusion else seen[0])
        return tf.stack(fields, axis=1), modalities

    def _of_users(self, users, training) -> tf.Tensor:
        features = self.user_table(users)
        return tf.stack([_encoded(one, features[name], training) for name, one in self.users.items()], axis=1)

    def _mean(self, past, weight, candidates, own) -> tf.Tensor:
        """Returns the weighted mean of each history without the candidate itself, times a matrix, [batch, n, dim]."""
        mine = tf.reduce_sum(tf.where(own, weight[:, tf.newaxis, :], tf.zeros([], weight.dtype)), axis=2)
        total = tf.reduce_sum(weight, axis=1, keepdims=True) - mine
        summed = tf.einsum("bs,bsd->bd", weight, past)[:, tf.newaxis] - mine[:, :, tf.newaxis] * candidates
        # Rounding leaves something of a history that held nothing but the candidate.
        there = total > 1e-3 * tf.maximum(mine, 1.0)
        mean = summed / tf.where(there, total, 1.0)[:, :, tf.newaxis]
        return self.reader(tf.where(there[:, :, tf.newaxis], mean, tf.zeros([], mean.dtype)))


def _encoded(encoder: keras.layers.Layer, feature: tf.Tensor, training: bool | None) -> tf.Tensor:
    return encoder(feature, training=training) if isinstance(encoder, CodeEncoder) else encoder(feature)
