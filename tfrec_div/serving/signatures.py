"""The functions that an export answers: strings and pictures in, item ids out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.models.ensemble import as_read_by
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.towers.content import content_vectors, mean_of_present
from tfrec_div.towers.raw_features import RawItemFeatures, id_table

Outputs = dict[str, tf.Tensor]


class ServingModule(tf.Module):
    """A recommender as functions on requests; what `tf.saved_model.save` takes.

    Args:
        recommender: What to serve.

    Attributes:
        functions: The concrete functions by name, the signatures of the export.
    """

    def __init__(self, recommender: Recommender):
        super().__init__(name="serving")
        retriever, catalog = recommender.retriever, recommender.catalog
        self._users = id_table(recommender.schema.user_ids)
        self._items = id_table(recommender.schema.item_ids)
        category = catalog.category_feature
        names = recommender.schema.vocabularies[f"item/{category}"] if category else ()
        self._categories = id_table(names)
        matrix = catalog.category_matrix() if names else np.zeros((len(catalog), 1), np.float32)
        self._category_matrix = tf.Variable(matrix, trainable=False, name="category_matrix")
        self._item_ids = tf.Variable(tf.constant([*catalog.ids, ""]), trainable=False, name="item_ids")
        self._encoders, self._content, raw = {}, {}, None
        if (model := retriever.content_model) is not None:
            read = {"text": model.text_encoder, "image": model.image_encoder}
            self._encoders = {name: encoder for name, encoder in read.items() if encoder is not None}
            centred_on = recommender.features.centred_on
            self._content = {
                name: _CentredContent(model.content(name), centred_on) for name in self._encoders
            }
            raw = RawItemFeatures(
                recommender.schema,
                read["text"],
                read["image"],
                model.text_fields,
                parts=model.reads_sequences,
            )
        self._tables = [] if raw is None else raw.tables
        # The Keras objects stay out of the module's sight: their variables are all that the functions need, and
        # Keras' own tracing of every layer would double the export.
        ranker = [] if recommender.ranker is None else recommender.ranker.weights
        self._weights = [*recommender.variables_in_use, *retriever.weights, *ranker]
        self.functions = {
            name: function.get_concrete_function()
            for name, function in self._functions(recommender, raw).items()
        }

    def _functions(self, recommender: Recommender, raw: RawItemFeatures | None) -> dict[str, Any]:
        retriever = recommender.retriever
        text = tf.TensorSpec([None], tf.string, name="text")
        image = tf.TensorSpec([None], tf.string, name="image")
        user = tf.TensorSpec([None], tf.string, name="user_id")
        item = tf.TensorSpec([None], tf.string, name="item_id")
        items = tf.TensorSpec([None, None], tf.string, name="item_ids")
        k_of = tf.TensorSpec([None], tf.int32, name="k")
        level = tf.TensorSpec([None], tf.float32, name="diversity")
        strings = [
            tf.TensorSpec([None, None], tf.string, name=name)
            for name in ("history", "exclude", "include_categories", "exclude_categories")
        ]

        @tf.function(input_signature=[user])
        def serving_default(user_id):
            query, seen = recommender.known_query(self._users.lookup(user_id))
            k = min(recommender.k, len(recommender.catalog))
            return self._answer(*recommender.page(query, k, exclude=seen))

        @tf.function(input_signature=[user, strings[0], k_of, level, *strings[1:]])
        def recommend(user_id, history, k, diversity, exclude, include_categories, exclude_categories):
            query, seen = recommender.known_query(self._users.lookup(user_id), self._items.lookup(history))
            unwanted = tf.concat([seen, self._items.lookup(exclude)], axis=1)
            allowed = self._allowed(include_categories, exclude_categories)
            longest = _longest(k, len(recommender.catalog))
            return self._answer(*recommender.page(query, longest, diversity, unwanted, allowed), k)

        @tf.function(input_signature=[text, image, k_of, level])
        def recommend_cold(text, image, k, diversity):
            nobody = tf.fill(tf.shape(text), -1)
            query, _ = recommender.known_query(nobody)
            scores = retriever.scores(as_read_by(retriever, query))
            given = {"text": text, "image": image}
            similar, known = [], []
            for name, content in self._content.items():
                vectors = self._encoders[name](given[name])
                similar.append(content.similarity(vectors))
                known.append(tf.reduce_any(vectors != 0, axis=1, keepdims=True))
            described = tf.reduce_any(tf.concat(known, axis=1), axis=1, keepdims=True)
            scores = tf.where(described, tf.add_n(similar), scores)
            longest = _longest(k, len(recommender.catalog))
            best, rows = tf.math.top_k(scores, _candidates(recommender, longest))
            # A ranker knows users and not descriptions: it orders the page for new users alone.
            of_users = recommender.rank_candidates(query, rows, best)
            rows, best = (
                tf.where(described, found, other) for found, other in zip((rows, best), of_users, strict=True)
            )
            return self._answer(*recommender.rerank(rows, best, longest, diversity), k)

        @tf.function(input_signature=[user, items])
        def rank(user_id, item_ids):
            query, _ = recommender.known_query(self._users.lookup(user_id))
            return {"scores": recommender.score_rows(query, self._items.lookup(item_ids))}

        @tf.function(input_signature=[item, k_of])
        def similar_items(item_id, k):
            row = self._items.lookup(item_id)
            scores = retriever.similar(tf.maximum(row, 0))
            itself = tf.range(tf.shape(scores)[1])[tf.newaxis, :] == row[:, tf.newaxis]
            scores = tf.where(itself | (row < 0)[:, tf.newaxis], -float("inf"), scores)
            best, rows = tf.math.top_k(scores, _longest(k, len(recommender.catalog)))
            rows = tf.where(best > -float("inf"), rows, -1)
            return self._answer(rows, tf.where(rows >= 0, best, 0.0), k)

        functions = {
            "serving_default": serving_default,
            "recommend": recommend,
            "similar_items": similar_items,
            "rank": rank,
        }
        if self._content:
            functions["recommend_cold"] = recommend_cold
        if raw is not None and retriever.content_model is not None:
            functions["embed_items"] = _embed_items(retriever.content_model, raw)
        return functions

    def _answer(self, rows: tf.Tensor, scores: tf.Tensor, k: tf.Tensor | None = None) -> Outputs:
        """Names the items of a page; what is beyond a request's own k is padding."""
        if k is not None:
            inside = tf.range(tf.shape(rows)[1])[tf.newaxis, :] < k[:, tf.newaxis]
            rows, scores = tf.where(inside, rows, -1), tf.where(inside, scores, 0.0)
        valid = rows >= 0
        last = tf.shape(self._item_ids)[0] - 1
        item_ids = tf.gather(self._item_ids, tf.where(valid, rows, last))
        return {"item_ids": item_ids, "scores": scores, "valid": valid}

    def _allowed(self, include: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        """Returns which items a request's categories allow, bool [batch, items]; empty strings ask for nothing."""
        has_wanted = self._has_any(self._categories.lookup(include))
        asks = tf.reduce_any(include != "", axis=1, keepdims=True)
        return (has_wanted | ~asks) & ~self._has_any(self._categories.lookup(exclude))

    def _has_any(self, codes: tf.Tensor) -> tf.Tensor:
        chosen = tf.reduce_sum(tf.one_hot(codes, tf.shape(self._category_matrix)[1]), axis=1)
        return tf.matmul(chosen, self._category_matrix, transpose_b=True) > 0


class _CentredContent(tf.Module):
    """The catalogue's vectors of one tower, for cosines with the centred vector of a request."""

    def __init__(self, vectors: np.ndarray, centred_on: int):
        super().__init__()
        self.mean = tf.Variable(mean_of_present(vectors[:centred_on]), trainable=False)
        centred = content_vectors({"content": vectors}, centred_on=centred_on)
        self.vectors = tf.Variable(centred, trainable=False)

    def similarity(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns cosines [batch, items]; 0 for a zero vector."""
        centred = tf.where(tf.reduce_any(vectors != 0, axis=1, keepdims=True), vectors - self.mean, 0.0)
        return tf.matmul(tf.math.l2_normalize(centred, axis=1), self.vectors, transpose_b=True)


def _embed_items(model: TwoTower, raw: RawItemFeatures):
    @tf.function(input_signature=[raw.signature()])
    def embed_items(features):
        encoded = raw(features)
        # An item that training has not met goes by its content, as it does in the index.
        encoded["item_id"] = tf.gather(model.item_table.values["item_id"], encoded["item_id"])
        return {"embeddings": model.embed(encoded)}

    return embed_items


def _longest(k: tf.Tensor, num_items: int) -> tf.Tensor:
    return tf.clip_by_value(tf.reduce_max(tf.concat([k, [1]], axis=0)), 1, num_items)


def _candidates(recommender: Recommender, k: tf.Tensor) -> tf.Tensor:
    return tf.minimum(tf.maximum(k, recommender.num_candidates), len(recommender.catalog))
