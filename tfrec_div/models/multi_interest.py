"""Retrieval by several interests of each user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.retriever import Retriever
from tfrec_div.precision import check_precision, precision_scope
from tfrec_div.tasks.masking import without_unmet
from tfrec_div.tasks.negatives import Negatives
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.tasks.sampling import NegativeSampling
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.interests import interest_layer
from tfrec_div.towers.item_tower import build_item_tower, encode_items, item_spec

FEATURES = ("id", "categories", "numbers")
FULL_SOFTMAX_LIMIT = 10_000
LABEL_ATTENTION = {"capsules": "soft", "attention": "hard"}


@keras.utils.register_keras_serializable(package="tfrec_div")
class MultiInterest(RetrievalModel):
    """Retrieval by several vectors of each user: an item's score is its greatest product with one of them.

    A user is what is in the history alone, whose items have the item tower's own vectors. In training the target
    chooses among the interests what is to be told from other items: softly, by a softmax over their products with it
    ("label-aware attention", MIND), or the one with the greatest product (ComiRec). So the reported loss, which knows
    the target, is not that of other models; the ranks are: they go by the scores.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        features: What the item tower uses: some of "id", "categories" and "numbers".
        interests: Vectors of a user.
        extractor: What makes them: "capsules" (`CapsuleInterests`, MIND), "attention" (`SelfAttentiveInterests`,
            ComiRec-SA), or a layer like those.
        label_attention: How the target chooses: "soft" or "hard"; None is that of the paper, and "hard" for a layer.
        sharpness: Factor of the products in the soft choice; the larger, the nearer to the hard one. (In the paper it
            is an exponent, which has no meaning for products below zero.)
        embedding_dim: Length of the vectors.
        loss: "full" (softmax over the catalogue), "in_batch" (over the batch's items, with logQ correction), or
            "auto": full up to 10,000 items, unless `negatives` are given.
        negatives: What a target is told from besides the items of the batch, see `TwoTower`.
        temperature: Divides the scores in the loss; above 0.
        dropout: Share of the interests' entries that training drops.
        max_history: Latest items of a history that a query holds.
        precision: Keras' policy of tower and extractor, see `TwoTower`.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = MultiInterest(data.schema, interests=2, embedding_dim=8)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> query = model.query_of(data, [0])
        >>> rows, scores = model.retrieve(query, k=3)
        >>> interest, made_of = model.why(query, rows)
        >>> interest.shape, made_of.shape[:2]
        (TensorShape([1, 3]), TensorShape([1, 3]))

    Li et al. (2019), Multi-interest network with dynamic routing for recommendation at Tmall (MIND); Cen et al.
    (2020), Controllable multi-interest framework for recommendation (ComiRec).
    """

    def __init__(
        self,
        schema: Schema,
        features: Sequence[str] = FEATURES,
        interests: int = 4,
        extractor: str | keras.layers.Layer = "attention",
        label_attention: str | None = None,
        sharpness: float = 2.0,
        embedding_dim: int = 64,
        loss: str = "auto",
        negatives: Sequence[Negatives] = (),
        temperature: float = 1.0,
        dropout: float = 0.2,
        max_history: int = 100,
        precision: str | None = None,
        **kwargs,
    ):
        precision = precision or keras.mixed_precision.global_policy().name
        check_precision(precision)
        super().__init__(**{"dtype": precision, **kwargs})
        if isinstance(features, str):
            raise ValueError(f"features: expected a list of names, got {features!r}")
        if unknown := sorted(set(features) - set(FEATURES)):
            raise ValueError(f"features: expected some of {list(FEATURES)}, got {unknown}")
        if loss not in ("auto", "full", "in_batch"):
            raise ValueError(f"loss: expected 'auto', 'full' or 'in_batch', got {loss!r}")
        if loss == "full" and negatives:
            raise ValueError("negatives: the loss 'full' has all items for negatives already; use 'in_batch'")
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim: expected at least 1, got {embedding_dim}")
        if label_attention not in (None, "soft", "hard"):
            raise ValueError(f"label_attention: expected 'soft', 'hard' or None, got {label_attention!r}")
        self.schema = schema
        self.max_history = max_history
        self.embedding_dim = embedding_dim
        self.interests = interests
        self.sharpness = sharpness
        by_default = LABEL_ATTENTION.get(extractor, "hard") if isinstance(extractor, str) else "hard"
        self.label_attention = label_attention or by_default
        self._arguments = {
            "features": tuple(features),
            "interests": interests,
            "extractor": extractor if isinstance(extractor, str) else None,
            "label_attention": label_attention,
            "sharpness": sharpness,
            "embedding_dim": embedding_dim,
            "loss": loss,
            "temperature": temperature,
            "dropout": dropout,
            "max_history": max_history,
            "precision": precision,
        }
        self.item_table = FeatureTable(schema.num_items, item_spec(schema), name="items")
        with precision_scope(precision):
            self.item_tower = build_item_tower(schema, embedding_dim, features)
            self.extractor = interest_layer(extractor, interests, embedding_dim)
            self._drop = RepeatableDropout(dropout, dtype="float32")
        # Without autocast: a probability of one in a million is zero in float16.
        per_item = {"shape": (schema.num_items,), "dtype": "float32", "experimental_autocast": False}
        self.item_bias = self.add_weight(name="item_bias", initializer="zeros", **per_item)
        self.item_probability = self.add_weight(
            name="item_probability", initializer="zeros", trainable=False, **per_item
        )
        full = loss == "full" or (loss == "auto" and schema.num_items <= FULL_SOFTMAX_LIMIT and not negatives)
        self.task = FullSoftmax(temperature) if full else InBatchSoftmax(temperature)
        # The bias is one more entry of an item's vector, and a one in an interest: the index knows products only.
        self.index = BruteForce(embedding_dim + 1, schema.num_items, dtype="float32")
        self.sampling = NegativeSampling(negatives, schema.num_users, schema.num_items, embedding_dim + 1)
        self._add_metrics()
        none = {"history": tf.fill([1, 1], -1), "history_weight": tf.zeros([1, 1])}
        self({"item_id": tf.zeros([1], tf.int32), **none})

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight` float alike;
                rows as in the schema.
            training: Whether dropout is active.
        """
        items, position = self._items_of(inputs, training)
        interests, _ = self._interests(inputs, items, position, training)
        return tf.reduce_max(_products(interests, tf.gather(items, position(inputs["item_id"]))), axis=1)

    def item_vectors(self, batch_size: int = 4096) -> tf.Tensor:
        """Encodes the whole catalogue, float [num_items, embedding_dim + 1]; the last entry is the bias."""
        rows = tf.range(self.schema.num_items)
        parts = [self._encode_items(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
        return tf.concat(parts, axis=0)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries against the vectors in the index, float [batch, interests, embedding_dim + 1].

        Args:
            query: `history` and `history_weight` as for a call of the model.
        """
        return self._interests(query, self.index.vectors, lambda rows: rows)[0]

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of every item in the index by its best interest, float [batch, items]."""
        interests = self.query_vectors(query)
        products = self.index.scores(tf.reshape(interests, [-1, self.index.dim]))
        shape = tf.stack([tf.shape(interests)[0], self.interests, tf.shape(products)[1]])
        return tf.reduce_max(tf.reshape(products, shape), axis=1)

    def retrieve(
        self, query: dict, k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows int32 [batch, k] and their scores; see `Retriever.retrieve`."""
        return Retriever.retrieve(self, query, k, exclude, include)

    def retrieve_with_signals(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what `retrieve` and `signals` do; see `Retriever.retrieve_with_signals`."""
        return Retriever.retrieve_with_signals(self, query, k, exclude, include)

    def interests_of(self, query: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a user's interests, and what each is made of.

        Args:
            query: `history` and `history_weight` as for a call of the model.

        Returns:
            Float [batch, interests, embedding_dim]; and float [batch, interests, steps], the share of each item of the
            history in each interest, 1 in sum.
        """
        interests, made_of = self._interests(query, self.index.vectors, lambda rows: rows)
        return interests[..., :-1], made_of

    def why(self, query: dict[str, tf.Tensor], rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Tells which interest recommends each item, and what that interest is made of.

        Args:
            query: `history` and `history_weight` as for a call of the model.
            rows: Integer [batch, n], items; -1 is taken for row 0.

        Returns:
            Integer [batch, n], the interest with the greatest product; and float [batch, n, steps], the share of each
            item of the history in it.
        """
        interests, made_of = self._interests(query, self.index.vectors, lambda rows: rows)
        items = tf.gather(self.index.vectors, tf.maximum(rows, 0))
        interest = tf.argmax(tf.einsum("bkd,bnd->bnk", interests, items), axis=2, output_type=tf.int32)
        return interest, tf.gather(made_of, interest, batch_dims=1)

    def _encode_items(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        vectors = tf.cast(self.item_tower(self.item_table(rows), training=training), tf.float32)
        return tf.concat([vectors, tf.gather(self.item_bias, rows)[:, tf.newaxis]], axis=1)

    def _items_of(self, inputs: dict, training: bool | None, more: Iterable[tf.Tensor] = ()):
        """Encodes the items that a batch needs, each once; returns them and where a row stands among them."""
        if isinstance(self.task, FullSoftmax):
            return self._encode_items(tf.range(self.schema.num_items), training), lambda rows: rows
        wanted = [inputs["item_id"], inputs["history"], *more]
        flat = tf.concat([tf.reshape(tf.maximum(rows, 0), [-1]) for rows in wanted], axis=0)
        rows = tf.unique(flat).y
        place = tf.scatter_nd(rows[:, tf.newaxis], tf.range(tf.size(rows)), [self.schema.num_items])
        return self._encode_items(rows, training), lambda wanted_rows: tf.gather(place, wanted_rows)

    def _interests(self, inputs: dict, items: tf.Tensor, position, training: bool | None = None):
        """Returns interests with a one for the bias [batch, interests, dim + 1], and what they are made of."""
        history = inputs["history"]
        vectors = tf.gather(items[:, : self.embedding_dim], position(tf.maximum(history, 0)))
        weights = tf.where(history >= 0, tf.cast(inputs["history_weight"], tf.float32), 0.0)
        found, made_of = self.extractor({"vectors": vectors, "weights": weights}, training=training)
        found = self._drop(tf.cast(found, tf.float32), training=training)
        return tf.concat([found, tf.ones_like(found[..., :1])], axis=-1), made_of

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: encoded features, and how often items occur.

        Items without an interaction in `data` count as unknown by id: their columns speak for them.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Not used: there is no frozen tower.
            progress: Not used.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        counts = data.interactions.item_counts()
        self.item_table.fill(encode_items(data.catalog, counts > 0))
        smoothed = (counts + 1.0) / (counts.sum() + len(counts))
        self.item_probability.assign(smoothed)
        self.item_bias.assign(np.log(smoothed) - np.log(smoothed).mean())

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.item_probability > 0))

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        return self.sampling.for_fit(self, batches)

    def choose(self, interests: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the vector that the targets choose, float [batch, dim].

        Args:
            interests: Float [batch, interests, dim].
            targets: Float [batch, dim], the vectors of the targets.
        """
        products = _products(interests, targets)
        if self.label_attention == "hard":
            return tf.gather(interests, tf.argmax(products, axis=1), batch_dims=1)
        return tf.einsum("bk,bkd->bd", tf.nn.softmax(self.sharpness * products), interests)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        drawn = self.sampling.draw(inputs) if training else {}
        items, position = self._items_of(inputs, training, drawn.values())
        targets, known, weight = inputs["item_id"], inputs["history"], inputs["weight"]
        vectors = tf.gather(items, position(targets))
        queries = self.choose(self._interests(inputs, items, position, training)[0], vectors)
        if isinstance(self.task, FullSoftmax):
            if training:
                met = self.item_table(tf.range(self.schema.num_items))["item_id"] > 0
                items = without_unmet(items, met, targets)
            return self.task(queries, items, targets, known, weight)

        def probability_of(rows):
            share = tf.gather(self.item_probability, rows)
            return self.sampling.probability(share, tf.size(targets)) if training else share

        more = {}
        if training:
            more = self.sampling.candidates(
                drawn, lambda rows: tf.gather(items, position(rows)), probability_of
            )
        loss = self.task(queries, vectors, targets, probability_of(targets), weight, known, **more)
        if training:
            self.sampling.remember(targets, vectors)
        return loss

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        serialize = keras.layers.serialize
        return {
            "name": self.name,
            "schema": self.schema.to_json(),
            **self._arguments,
            "extractor": self._arguments["extractor"] or serialize(self.extractor),
            "negatives": [serialize(kind) for kind in self.sampling.negatives],
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> MultiInterest:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        build = keras.layers.deserialize
        extractor = config["extractor"]
        if not isinstance(extractor, str):
            extractor = build(extractor, custom_objects)
        negatives = [build(kind, custom_objects) for kind in config["negatives"]]
        parts = {"schema": Schema.from_json(config["schema"]), "extractor": extractor, "negatives": negatives}
        return cls(**{**config, **parts})


def _products(interests: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Returns the products of interests [batch, interests, dim] with one item each [batch, dim]."""
    return tf.einsum("bkd,bd->bk", interests, items)
