"""Retrieval by a user's interests along several dimensions, fused by attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.dimension_readings import DimensionReadings
from tfrec_div.models.layers_in_config import deserialized, serialized
from tfrec_div.precision import precision_scope
from tfrec_div.tasks.masking import without_unmet
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.towers.dimensions.attention import DimensionAttention
from tfrec_div.towers.dimensions.features import (
    COLLABORATIVE,
    RECENCY,
    dimension_features,
    dimension_spec,
    dimension_views,
)
from tfrec_div.towers.dimensions.interests import DimensionInterests
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.encoders import CodeEncoder
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.history import PooledHistoryEncoder
from tfrec_div.towers.image import ImageEncoder, image_encoder_of
from tfrec_div.towers.item_tower import is_trained
from tfrec_div.towers.text import TextEncoder

FULL_SOFTMAX_LIMIT = 10_000
# Of the learning rate, for the few numbers that weigh the dimensions.
GAIN_RATE = 10.0
# Of the scores by one dimension at the start.
START_SCALE = 0.3


@keras.utils.register_keras_serializable(package="tfrec_div")
class InterestFusion(DimensionReadings):
    """Retrieval by a user's interests in content, look, sentiment, recency, price, brand, category and ids.

    Each dimension has an encoder of its own, which views all items, and an interest vector p_d of the user, made of
    the views of the history's items (see `dimension_views` and `DimensionInterests`). Attention a_d(u) by the user's
    own history fuses them into one vector z = [a_1 p_1, ..., a_n p_n], whose product with an item's views is the sum of
    a_d(u) <p_d(u), v_d(i)>. Training maximises the sum of log P(y|z), a softmax over the items. What a dimension
    counts for is read off by `dimension_weights`, and what it adds to one score by `contributions`.

    The dimension "collaborative" has learned vectors for vectors and goes by its own pools of the history; the other
    dimensions have only a gain and an attention to learn, and learn them as if they were alone, since beside ids they
    look useless for the items of the training data, and that they are not for others. A new item has all but the
    collaborative dimension. What an item lacks counts as what is average; what a user lacks is left out of the
    attention, whose weights add up to 1 over what is there.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        dimensions: Names of those to use; None is all that the schema and the encoders give.
        text: Frozen text tower: "minilm", "tiny", the folder of a Transformers checkpoint, a `TextEncoder`, or None.
        image: Frozen image tower: "resnet50" (ImageNet weights), an `ImageEncoder`, or None.
        embedding_dim: Length of the collaborative vectors, and of a view at most.
        loss: "full" (softmax over the catalogue), "in_batch" (over the batch's items, with logQ correction), or
            "auto": full up to 10,000 items.
        dropout: Share of the entries of the collaborative interest that training drops.
        max_history: Latest items of a history that a query holds.
        half_lives: Of the collaborative pools, see `PooledHistoryEncoder`.
        recency_half_life: Steps back after which an item of the history counts half for the interest in recency.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = InterestFusion(data.schema, embedding_dim=8)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> names, weights = model.dimension_weights(data, [0])
        >>> names
        ('recency', 'categories', 'price', 'brand', 'collaborative')
        >>> round(float(weights.sum()), 3)
        1.0

    Attention over a user's interests: Zhou et al. (2018), Deep interest network for click-through rate prediction.
    """

    def __init__(
        self,
        schema: Schema,
        dimensions: Sequence[str] | None = None,
        text: str | TextEncoder | None = None,
        image: str | ImageEncoder | None = None,
        embedding_dim: int = 64,
        loss: str = "auto",
        dropout: float = 0.2,
        max_history: int = 300,
        half_lives: Sequence[float] = (4.0, 16.0),
        recency_half_life: float = 16.0,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if loss not in ("auto", "full", "in_batch"):
            raise ValueError(f"loss: expected 'auto', 'full' or 'in_batch', got {loss!r}")
        if isinstance(dimensions, str):
            raise ValueError(f"dimensions: expected a list of names, got {dimensions!r}")
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim: expected at least 1, got {embedding_dim}")
        if not recency_half_life > 0:
            raise ValueError(f"recency_half_life: expected above 0, got {recency_half_life}")
        self.schema = schema
        self.text_encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
        self.image_encoder = image_encoder_of(image)
        for name, encoder in (("text", self.text_encoder), ("image", self.image_encoder)):
            if is_trained(encoder):
                raise ValueError(f"{name}: expected a frozen tower, got one that is trained")
        if self.text_encoder is not None and not (
            schema.features_of("item", "text") or "review" in schema.interaction_columns
        ):
            raise ValueError(
                "text: expected a schema whose items have a text or whose users write reviews, got one without"
            )
        encoders = self.text_encoder, self.image_encoder
        there = dimension_views(schema, embedding_dim, *encoders)
        known = (*there, COLLABORATIVE)
        self.dimensions = known if dimensions is None else tuple(d for d in known if d in dimensions)
        unknown = [name for name in dimensions or () if name not in known]
        if unknown or not self.dimensions:
            raise ValueError(f"dimensions: expected some of {list(known)}, got {list(dimensions or ())}")
        self._arguments = {
            "dimensions": self.dimensions,
            "embedding_dim": embedding_dim,
            "loss": loss,
            "dropout": dropout,
            "max_history": max_history,
            "half_lives": tuple(half_lives),
            "recency_half_life": recency_half_life,
        }
        self.max_history = max_history
        self.embedding_dim = embedding_dim
        self.item_table = FeatureTable(
            schema.num_items, dimension_spec(schema, *encoders), name="items", dtype="float32"
        )
        views = {name: parts for name, parts in there.items() if name in self.dimensions}
        self.interests: DimensionInterests | None = None
        self.attention: DimensionAttention | None = None
        self.ids: CodeEncoder | None = None
        self.own_interest: PooledHistoryEncoder | None = None
        # A factor of all scores but the collaborative ones, and the share that these leave to them.
        scalar = {"shape": (), "dtype": "float32"}
        if views:
            slow = {RECENCY: recency_half_life} if RECENCY in views else {}
            self.interests = DimensionInterests(views, schema.num_items, slow, name="interests")
            self.attention = DimensionAttention(len(views), name="attention")
            start = keras.initializers.Constant(np.log(START_SCALE * len(views)))
            self.log_scale = self.add_weight(name="log_scale", initializer=start, **scalar)
        if COLLABORATIVE in self.dimensions:
            # The other layers are float32 by themselves.
            with precision_scope("float32"):
                self.ids = CodeEncoder(schema.num_items, embedding_dim, name="ids")
                self.own_interest = PooledHistoryEncoder(embedding_dim, half_lives, name="collaborative")
                self.drop = RepeatableDropout(dropout)
            self.gate = self.add_weight(name="gate", initializer="zeros", trainable=bool(views), **scalar)
        per_item = {"shape": (schema.num_items,), "initializer": "zeros", "dtype": "float32"}
        self.item_bias = self.add_weight(name="item_bias", **per_item)
        self.item_probability = self.add_weight(name="item_probability", trainable=False, **per_item)
        full = loss == "full" or (loss == "auto" and schema.num_items <= FULL_SOFTMAX_LIMIT)
        self.task = FullSoftmax() if full else InBatchSoftmax()
        self._content_dim = self.interests.dim if self.interests else 0
        width = self._content_dim + (embedding_dim if self.ids else 0) + 1
        # The bias is one more entry of an item's vector, and a one in the query: the index knows products only.
        self.index = BruteForce(width, schema.num_items, dtype="float32")
        self._add_metrics()
        nobody = {"user_id": tf.zeros([1], tf.int32), "item_id": tf.zeros([1], tf.int32)}
        self({**nobody, "history": tf.fill([1, 1], -1), "history_weight": tf.zeros([1, 1])})

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `user_id`, `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight`
                float alike; rows as in the schema.
            training: Whether dropout is active.
        """
        items, position = self._items_of(inputs)
        queries, _ = self._queries(inputs, items, position, training)
        return tf.reduce_sum(queries * tf.gather(items, position(inputs["item_id"])), axis=-1)

    def item_vectors(self, batch_size: int = 4096) -> tf.Tensor:
        """Encodes the whole catalogue, float [num_items, dim]: views, collaborative vector and bias."""
        rows = tf.range(self.schema.num_items)
        parts = [self._encode_items(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
        return tf.concat(parts, axis=0)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries against the vectors in the index: the fused interests z and a one, float [batch, dim].

        Args:
            query: `user_id`, `history`, `history_weight` as for a call of the model.
        """
        return self._queries(query, self.index.vectors, lambda rows: rows)[0]

    def _encode_items(self, rows: tf.Tensor) -> tf.Tensor:
        parts = [] if self.interests is None else [self.interests.views_of(rows)]
        if self.ids is not None:
            parts.append(tf.cast(self.ids(self._codes(rows)), tf.float32))
        return tf.concat([*parts, tf.gather(self.item_bias, rows)[:, tf.newaxis]], axis=1)

    def _codes(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the codes of the items' ids, 0 for one that training has not met."""
        return tf.gather(self.item_table.values["item_id"], rows + 1)

    def _items_of(self, inputs: dict):
        """Encodes the items that a batch needs, each once; returns them and where a row stands among them."""
        if isinstance(self.task, FullSoftmax):
            return self._encode_items(tf.range(self.schema.num_items)), lambda rows: rows
        wanted = [inputs["item_id"], tf.reshape(tf.maximum(inputs["history"], 0), [-1])]
        rows = tf.unique(tf.concat(wanted, axis=0)).y
        place = tf.scatter_nd(rows[:, tf.newaxis], tf.range(tf.size(rows)), [self.schema.num_items])
        return self._encode_items(rows), lambda wanted_rows: tf.gather(place, wanted_rows)

    def _queries(
        self, inputs: dict, items: tf.Tensor, position, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the queries, and those by all dimensions but the collaborative one if there are both kinds."""
        history = inputs["history"]
        strength = tf.where(history >= 0, tf.cast(inputs["history_weight"], tf.float32), 0.0)
        one = tf.ones_like(strength[:, :1]) if strength.shape[1] else tf.ones([tf.shape(strength)[0], 1])
        if self.interests is None or self.attention is None:
            return tf.concat([self._own(history, strength, items, position, training), one], axis=1), None
        users = self.interests(history, strength)
        weights = self.attention(users.concentration, users.present)
        content = tf.exp(self.log_scale) * users.vectors * self.interests.by_entry(weights)
        if self.ids is None:
            return tf.concat([content, one], axis=1), None
        share = self._share(history, strength, weights)
        own = self._own(history, strength, items, position, training)
        # The ids learn what the other dimensions leave to say; these learn by themselves, see `compute_loss`.
        parts = [(1.0 - share) * tf.stop_gradient(content), share * own, one]
        return tf.concat(parts, axis=1), tf.concat([content, tf.zeros_like(own), one], axis=1)

    def _own(self, history, strength, items, position, training) -> tf.Tensor:
        """Returns the collaborative interest, float [batch, embedding_dim]."""
        assert self.own_interest is not None
        vectors = tf.gather(items[:, self._content_dim : -1], position(tf.maximum(history, 0)))
        # A new item has no vector here, so it must not count among those that have one.
        heard = tf.where(self._codes(history) > 0, strength, 0.0)
        return self.drop(self.own_interest({"vectors": vectors, "weights": heard}), training=training)

    def _share(self, history: tf.Tensor, strength: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weight of the collaborative dimension, float [batch, 1]: 0 without it, 1 with nothing else."""
        met = tf.reduce_any((self._codes(history) > 0) & (strength > 0), axis=1, keepdims=True)
        others = tf.reduce_any(weights > 0, axis=1, keepdims=True)
        return tf.where(met, tf.where(others, tf.sigmoid(self.gate), 1.0), 0.0)

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: views of the items, what is usual, and popularity.

        `fit` does it by itself on the first batches that it sees.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where the frozen towers' vectors are kept; a folder of the user's cache by default.
            progress: Whether to show progress bars.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        features = dimension_features(data, self.text_encoder, self.image_encoder, cache_dir, progress)
        self.item_table.fill(features)
        if self.interests is not None:
            self.interests.fill(features, data.interactions)
        counts = data.interactions.item_counts()
        smoothed = (counts + 1.0) / (counts.sum() + len(counts))
        self.item_probability.assign(smoothed)
        self.item_bias.assign(np.log(smoothed) - np.log(smoothed).mean())

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.item_probability > 0))

    def _rates(self) -> dict[str, float]:
        few = [] if self.attention is None else [*self.attention.weights, self.log_scale]
        few += [] if self.ids is None else [self.gate]
        return {**super()._rates(), **{weight.name: GAIN_RATE for weight in few}}

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        items, position = self._items_of(inputs)
        queries, alone = self._queries(inputs, items, position, training)
        targets, known, weight = inputs["item_id"], inputs["history"], inputs["weight"]
        if isinstance(self.task, FullSoftmax):
            if training:
                met = self._codes(tf.range(self.schema.num_items)) > 0
                items = without_unmet(items, met, targets)
            vectors = items

            def loss_of(queries, vectors):
                return self.task(queries, vectors, targets, known, weight)
        else:
            vectors = tf.gather(items, position(targets))
            probability = tf.gather(self.item_probability, targets)

            def loss_of(queries, vectors):
                return self.task(queries, vectors, targets, probability, weight, known)

        loss = loss_of(queries, vectors)
        if alone is None or not training:
            return loss
        by_itself = loss_of(alone, tf.stop_gradient(vectors))
        # The brackets make the sum the loss itself, to the last digit.
        return loss + (by_itself - tf.stop_gradient(by_itself))

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; those of the towers hold their architecture and vocabulary."""
        towers = serialized(text=self.text_encoder, image=self.image_encoder)
        return {"name": self.name, "schema": self.schema.to_json(), **towers, **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> InterestFusion:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        towers = deserialized(config, ("text", "image"), custom_objects)
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), **towers})
