"""Deep matrix factorisation: users and items by their rows and columns of the matrix of interactions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.draws import counted_step, step_seed
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.layers_in_config import deserialized, serialized
from tfrec_div.models.matrix_parts import item_columns, user_rows
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.tasks.cross_entropy import cross_entropy
from tfrec_div.tasks.masking import hit_columns
from tfrec_div.tasks.replicas import sum_replicas
from tfrec_div.towers.content_profile import ContentProfile
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.item_tower import encode_contents, is_trained
from tfrec_div.towers.sparse_mlp import SparseMLP
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.views import VectorView

LOSSES = ("softmax", "squared", "cross_entropy")
FULL_SOFTMAX_LIMIT = 10_000
# Items that are encoded at once.
BATCH = 4096


@keras.utils.register_keras_serializable(package="tfrec_div")
class DeepMF(RetrievalModel):
    """Factors of users and items, each made by an MLP of a row or a column of the matrix of interactions.

    A user's row is the history with its strengths, an item's column is who interacted with it and how strongly;
    f = user vector . item vector. There are no ids, so a user with a single interaction has a vector at once, and
    one with none has that of the empty row. In training, the user of an example is taken out of the target's column.

    With `text`, the mean of the history's frozen text vectors (weighted by strength, centred) is concatenated to the
    user's factors, and the item's text vector to the item's: the product is the sum of both, and an item that nobody
    has met is found by its text.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        embedding_dim: Length of the factors.
        hidden_units: Layers before them, on either side.
        loss: "softmax" (of the dot products, over all items; over the batch's with logQ correction beyond 10,000),
            "squared" (error of the dot product against the strength of the interaction, and 0 for random items) or
            "cross_entropy" (of the cosine, likewise: the paper's normalised one).
        text: Text encoder: "minilm", "tiny", the folder of a Transformers checkpoint, a `TextEncoder`, or None. It
            stays frozen.
        text_dim: Principal components of the text vectors that are used, at most.
        negatives: Random items an example, for the losses that take some.
        dropout: Share of the first layers' outputs that training drops.
        column_dropout: Share of the items that training takes for new ones at each step: without column and bias.
        max_history: Latest items of a history that a query holds.
        max_column: Users of a column that are kept, drawn at random.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = DeepMF(data.schema, embedding_dim=8)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> model.retrieve(model.query_of(data, [0]), k=3)[0].shape
        TensorShape([1, 3])

    Xue et al. (2017), Deep matrix factorization models for recommender systems.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 64,
        hidden_units: Sequence[int] = (128,),
        loss: str = "softmax",
        text: str | TextEncoder | None = None,
        text_dim: int = 64,
        negatives: int = 7,
        dropout: float = 0.2,
        column_dropout: float = 0.1,
        max_history: int = 300,
        max_column: int = 100,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if loss not in LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
        if negatives < 1:
            raise ValueError(f"negatives: expected at least 1, got {negatives}")
        if max_column < 1:
            raise ValueError(f"max_column: expected at least 1, got {max_column}")
        self.schema, self.max_history, self.task = schema, max_history, loss
        self.text_encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
        if self.text_encoder is not None and is_trained(self.text_encoder):
            raise ValueError("text: expected a frozen encoder, got one with trainable layers")
        if self.text_encoder is not None and not schema.features_of("item", "text"):
            raise ValueError("text: expected a schema whose items have a text, got one without")
        self._arguments = {
            "embedding_dim": embedding_dim,
            "hidden_units": tuple(hidden_units),
            "loss": loss,
            "text_dim": text_dim,
            "negatives": negatives,
            "dropout": dropout,
            "column_dropout": column_dropout,
            "max_history": max_history,
            "max_column": max_column,
        }
        units = (*hidden_units, embedding_dim)
        self.user_layers = SparseMLP(schema.num_items, units, dropout, seed=1, name="user_layers")
        self.item_layers = SparseMLP(schema.num_users, units, dropout, seed=2, name="item_layers")
        self.column_dropout = RepeatableDropout(column_dropout, whole_rows=True, seed=3, dtype="float32")
        self.profile = None
        if self.text_encoder is not None:
            view = VectorView(self.text_encoder.dim, text_dim, name="view_of_text")
            self.profile = ContentProfile({"text": view}, schema.num_items, name="content_profile")

        def kept(name: str, shape: tuple[int, ...], dtype: str = "float32", start="zeros"):
            return self.add_weight(name=name, shape=shape, dtype=dtype, initializer=start, trainable=False)

        nobody = keras.initializers.Constant(-1)
        self.column = kept("column", (schema.num_items, max_column), "int32", nobody)
        self.column_strength = kept("column_strength", (schema.num_items, max_column))
        self.item_probability = kept("item_probability", (schema.num_items,))
        self.item_bias = self.add_weight(
            name="item_bias", shape=(schema.num_items,), initializer="zeros", trainable=not self.is_cosine
        )
        self.step = counted_step(self)
        self._rows: tuple[tf.Tensor, tf.Tensor, tf.Tensor] | None = None
        self._log: Interactions | None = None
        width = embedding_dim + (self.profile.dim if self.profile else 0) + 1
        self.index = BruteForce(width, schema.num_items, dtype="float32")
        self._add_metrics()
        self.built = True

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have length 1, so that a score is a cosine."""
        return self.task == "cross_entropy"

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `user_id`, `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight`
                float alike; rows as in the schema. Where the user stands in the item's column, it is left out.
            training: Whether dropout is active.
        """
        items = self.embed(inputs["item_id"], without=inputs["user_id"], training=training)
        return tf.reduce_sum(self._queries(inputs, training) * items, axis=1)

    def embed(
        self, rows: tf.Tensor, without: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """Returns the vectors of items, float [batch, dim of the index]: factors, text and bias.

        Args:
            rows: Int [batch].
            without: Int [batch], a user that each column is read without; None: the columns are read as they are.
            training: Whether dropout is active.
        """
        users, strength = tf.gather(self.column, rows), tf.gather(self.column_strength, rows)
        if without is not None:
            strength = tf.where(users == without[:, tf.newaxis], 0.0, strength)
        bias = tf.gather(self.item_bias, rows)
        if training:
            keep = self.column_dropout(tf.ones_like(bias), training=True)
            strength, bias = strength * keep[:, tf.newaxis], bias * keep
        vectors = self.item_layers(users, strength, training=training)
        if self.profile is not None:
            vectors = tf.concat([vectors, self.profile(rows)], axis=1)
        if self.is_cosine:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        return tf.concat([vectors, bias[:, tf.newaxis]], axis=1)

    def _queries(self, query: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        history, strength = query["history"], query["history_weight"]
        vectors = self.user_layers(history, strength, training=training)
        if self.profile is not None:
            vectors = tf.concat([vectors, self.profile.query(history, tf.cast(strength, tf.float32))], axis=1)
        if self.is_cosine:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        return tf.concat([vectors, tf.ones_like(vectors[:, :1])], axis=1)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries against the vectors in the index, float [batch, dim]."""
        return self._queries(query)

    def item_vectors(self) -> tf.Tensor:
        """Encodes the whole catalogue, float [num_items, dim of the index]."""
        rows = tf.range(self.schema.num_items)
        return tf.concat([self.embed(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)], axis=0)

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: the columns of the items, and their texts.

        What was learned stays: the items' biases start at their popularity only in a model that has seen no data.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where the text vectors are kept; a folder of the user's cache by default.
            progress: Whether to show progress bars.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        if self.profile is not None:
            texts = encode_contents(self.text_encoder, data.catalog.texts(), cache_dir, progress)
            self.profile.fill({"text": texts}, data.interactions.item_counts() > 0)
        self._read_matrix(data.interactions)

    def _read_matrix(self, log: Interactions) -> None:
        column, strength = item_columns(log, self.column.shape[1])
        self.column.assign(column)
        self.column_strength.assign(strength)
        counts = log.item_counts()
        smoothed = (counts + 1.0) / (counts.sum() + len(counts))
        if self.task == "softmax" and not self.item_probability.numpy().any():
            self.item_bias.assign(np.log(smoothed) - np.log(smoothed).mean())
        self.item_probability.assign(smoothed)
        codes, entries, starts = (tf.constant(part) for part in user_rows(log))
        self._rows, self._log = (codes, entries, starts), log
        # What was traced knows the rows of before.
        self.train_function = self.test_function = None

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data in this process."""
        return self._rows is not None

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        if batches.dataset.schema != self.schema:
            raise ValueError("x: its schema is not the one that the model was made with")
        # Pairs of other data than those read before are to be looked up in their own matrix.
        if batches.dataset.interactions is not self._log:
            self._read_matrix(batches.dataset.interactions)
        return super()._for_fit(batches)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        queries = self._queries(inputs, training)
        targets = self.embed(inputs["item_id"], without=inputs["user_id"], training=training)
        hits = tf.reduce_sum(queries * targets, axis=1)
        if self.task == "softmax":
            loss = self._softmax(inputs, queries, hits, training)
        else:
            loss = self._pointwise(inputs, queries, hits, training)
        total = tf.reduce_sum(loss * inputs["weight"])
        return total / tf.cast(sum_replicas(tf.size(hits)), tf.float32)

    def _softmax(self, inputs, queries: tf.Tensor, hits: tf.Tensor, training: bool) -> tf.Tensor:
        rows, correction = tf.range(self.schema.num_items), 0.0
        if self.schema.num_items > FULL_SOFTMAX_LIMIT:
            rows = tf.unique(inputs["item_id"]).y
            correction = -tf.math.log(tf.maximum(tf.gather(self.item_probability, rows), 1e-30))
            hits -= tf.math.log(tf.maximum(tf.gather(self.item_probability, inputs["item_id"]), 1e-30))
        scores = tf.matmul(queries, self.embed(rows, training=training), transpose_b=True) + correction
        # Items that nobody has met are no negatives: all that could be learned of them is that nobody wants them.
        unmet = tf.gather(self.column_strength[:, 0], rows) == 0
        # In the columns of what the user has met stands the user, which no item has that is yet to be met.
        out = unmet | hit_columns(rows, self._known(inputs, training))
        scores = tf.concat([hits[:, tf.newaxis], tf.where(out, -float("inf"), scores)], axis=1)
        return cross_entropy(tf.zeros_like(inputs["item_id"]), scores)

    def _pointwise(self, inputs, queries: tf.Tensor, hits: tf.Tensor, training: bool) -> tf.Tensor:
        seed = step_seed(4, self.step)
        if training:
            self.step.assign_add(1)
        shape = [tf.size(hits), self._arguments["negatives"]]
        drawn = tf.random.stateless_uniform(shape, seed, maxval=self.schema.num_items, dtype=tf.int32)
        rows, place = tf.unique(tf.reshape(drawn, [-1]))
        vectors = tf.gather(self.embed(rows, training=training), tf.reshape(place, shape))
        misses = tf.einsum("bd,bnd->bn", queries, vectors)
        known = tf.concat([self._known(inputs, training), inputs["item_id"][:, tf.newaxis]], axis=1)
        new = tf.cast(
            ~tf.gather(hit_columns(rows, known), tf.reshape(place, shape), batch_dims=1), tf.float32
        )
        strength = self._strength(inputs, training)
        if self.task == "squared":
            return tf.square(strength - hits) + tf.reduce_sum(new * tf.square(misses), axis=1)
        hits, misses = (tf.clip_by_value(scores, 1e-6, 1 - 1e-6) for scores in (hits, misses))
        found = strength * tf.math.log(hits) + (1 - strength) * tf.math.log(1 - hits)
        return -found - tf.reduce_sum(new * tf.math.log(1 - misses), axis=1)

    @property
    def _matrix(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        assert self._rows is not None
        return self._rows

    def _known(self, inputs: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns the items that are no negatives, int [batch, n]: in training all that the user has met."""
        if not training:
            return tf.concat(
                [inputs.get("exclude", inputs["history"]), inputs["item_id"][:, tf.newaxis]], axis=1
            )
        codes, _, starts = self._matrix
        first, last = (tf.gather(starts, inputs["user_id"] + more) for more in (0, 1))
        met = tf.gather(codes, tf.ragged.range(first, last)) % self.schema.num_items
        return tf.cast(met.to_tensor(-1), tf.int32)

    def _strength(self, inputs: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns the entries of the matrix for the pairs of a batch, float [batch]; 1 outside of training."""
        if not training:
            return tf.ones_like(inputs["weight"])
        codes, strength, _ = self._matrix
        user, item = (tf.cast(inputs[name], tf.int64) for name in ("user_id", "item_id"))
        return tf.gather(strength, tf.searchsorted(codes, user * self.schema.num_items + item))

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        text = serialized(text=self.text_encoder)
        return {"name": self.name, "schema": self.schema.to_json(), **text, **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> DeepMF:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        text = deserialized(config, ("text",), custom_objects)
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), **text})
