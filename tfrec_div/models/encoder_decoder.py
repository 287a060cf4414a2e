"""Retrieval by an encoder of behaviour and a decoder to a probability of every item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.draws import counted_step, step_seed
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.arguments import check_number
from tfrec_div.models.behavior_examples import (
    Examples,
    Sequences,
    balanced,
    draw_masked,
    what_is_there,
    whole_sequences,
)
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.retriever import mask_scores
from tfrec_div.models.user_histories import UserHistories, users_to_learn_from
from tfrec_div.precision import check_precision, precision_scope
from tfrec_div.tasks.binary import BinaryOverItems
from tfrec_div.tasks.masking import without_unmet
from tfrec_div.tasks.negatives import UniformNegatives
from tfrec_div.tasks.replicas import sum_replicas
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.tasks.sampling import NegativeSampling
from tfrec_div.towers.behavior_bag import BehaviorBag
from tfrec_div.towers.behavior_sequence import BehaviorSequence
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.history.base import places
from tfrec_div.towers.item_tower import encode_contents, is_trained
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.token_texts import TokenTexts

CHOICES = {
    "encoder": ("bert", "mlp"),
    "mode": ("next", "masked"),
    "loss": ("softmax", "binary"),
    "sampling": ("auto", "full", "sampled"),
}
FULL_LIMIT = 10_000


@keras.utils.register_keras_serializable(package="tfrec_div")
class EncoderDecoder(RetrievalModel):
    """Retrieval by p(y | x) = softmax(MLP(h)), h = Encoder(x): behaviour in, a probability of every item out.

    Behaviour is a sequence of item tokens with the kind of each event (viewed, saved, bought: see `BehaviorSequence`)
    and its position from the latest; BERT reads it, and its state at a masked token that stands for what comes is h.
    The MLP's last layer are the item tokens' own vectors, and a bias. There is no user id: users that training has
    not met are no different from others. Without timestamps all positions are the same.

    `fit` takes `Dataset.batches(...)` as other models do. An epoch has as many steps as there are batches, and each
    step draws `batch_users` users, whose histories end at a random cut.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        encoder: "bert", or "mlp": an MLP on the bag of behaviour, which is pooled at several paces of forgetting, see
            `PooledHistoryEncoder`.
        mode: What training asks: "next", what comes after the cut; or "masked", some tokens that are masked anywhere
            in the sequence, as in BERT4Rec, which the encoder "mlp" cannot tell from each other. None is "masked" with
            BERT, which learns more from a step by it.
        loss: "softmax", the log loss of the target among the items; or "binary", a yes or no for each item.
        sampling: Items in the loss: "full", all; "sampled", those of the batch and random ones with logQ correction
            (the loss "binary": random ones alone); "auto", full up to 10,000 items.
        negatives: Random items of a step, where items are sampled.
        text: Frozen text tower, whose vectors of an item's text are a part of its token: "minilm", "tiny", the folder
            of a Transformers checkpoint, a `TextEncoder`, or None.
        text_dim: Principal components of the text vectors that are kept.
        embedding_dim: Length of a token's vector.
        num_blocks: Blocks of BERT.
        num_heads: Heads of its attention, which divide `embedding_dim`.
        hidden_units: Layers of the MLP before its last one.
        masked_share: Share of the tokens that are masked, with the mode "masked".
        dropout: Share of entries that training drops.
        max_history: Latest items of a history that are read; a step costs at least as much as there are.
        batch_users: Users a step.
        precision: Keras' policy of the encoder and the decoder, see `TwoTower`.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = EncoderDecoder(data.schema, embedding_dim=8, batch_users=16)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> p = model.probabilities(model.query_of(data, [0]))
        >>> p.shape, round(float(tf.reduce_sum(p)), 4)
        (TensorShape([1, 15]), 1.0)

    Sun et al. (2019), BERT4Rec; on its losses Klenitskiy and Vasilev (2023), Turning dross into gold loss: is BERT4Rec
    really better than SASRec?
    """

    def __init__(
        self,
        schema: Schema,
        encoder: str = "bert",
        mode: str | None = None,
        loss: str = "softmax",
        sampling: str = "auto",
        negatives: int = 1024,
        text: str | TextEncoder | None = None,
        text_dim: int = 64,
        embedding_dim: int = 64,
        num_blocks: int = 2,
        num_heads: int = 2,
        hidden_units: Sequence[int] = (128,),
        masked_share: float = 0.2,
        dropout: float = 0.1,
        max_history: int = 50,
        batch_users: int = 128,
        precision: str | None = None,
        **kwargs,
    ):
        precision = precision or keras.mixed_precision.global_policy().name
        check_precision(precision)
        super().__init__(**{"dtype": precision, **kwargs})
        if mode is None:
            mode = "next" if encoder == "mlp" else "masked"
        given = {"encoder": encoder, "mode": mode, "loss": loss, "sampling": sampling}
        for name, value in given.items():
            if value not in CHOICES[name]:
                raise ValueError(f"{name}: expected one of {list(CHOICES[name])}, got {value!r}")
        if mode == "masked" and encoder == "mlp":
            raise ValueError(
                "mode: expected 'next' with the encoder 'mlp', which has no positions, got 'masked'"
            )
        counts = {
            "negatives": negatives,
            "text_dim": text_dim,
            "embedding_dim": embedding_dim,
            "num_blocks": num_blocks,
            "num_heads": num_heads,
            "max_history": max_history,
            "batch_users": batch_users,
        }
        for name, number in counts.items():
            check_number(name, number, lambda value: value >= 1, "at least 1", whole=True)
        for number in hidden_units:
            check_number("hidden_units", number, lambda value: value >= 1, "at least 1 each", whole=True)
        check_number("masked_share", masked_share, lambda value: 0 < value < 1, "a share in (0, 1)")
        check_number("dropout", dropout, lambda value: 0 <= value < 1, "a share in [0, 1)")
        self.schema, self.max_history, self.embedding_dim = schema, max_history, embedding_dim
        self.mode = mode
        self.text_encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
        if self.text_encoder is not None and is_trained(self.text_encoder):
            raise ValueError("text: expected a frozen encoder, got one with trainable layers")
        if self.text_encoder is not None and not schema.features_of("item", "text"):
            raise ValueError("text: expected a schema whose items have a text, got one without")
        self._arguments: dict[str, Any] = {
            **given,
            **counts,
            "hidden_units": tuple(hidden_units),
            "masked_share": masked_share,
            "dropout": dropout,
            "precision": precision,
        }
        items = schema.num_items
        self.encoder: BehaviorSequence | BehaviorBag
        with precision_scope(precision):
            if encoder == "bert":
                # One more step for the token that stands for what comes.
                sizes = (embedding_dim, num_blocks, num_heads, dropout, max_history + 1)
                self.encoder = BehaviorSequence(items, *sizes, name="encoder")
            else:
                self.encoder = BehaviorBag(items, embedding_dim, dropout, name="encoder")
            self.decoder = _decoder(embedding_dim, hidden_units, dropout)
        self.texts = None
        if self.text_encoder is not None:
            self.texts = TokenTexts(items, self.text_encoder.dim, text_dim, embedding_dim, name="texts")
        # Without autocast: a probability of one in a million is zero in float16.
        kept = {"dtype": "float32", "experimental_autocast": False, "initializer": "zeros"}
        per_item = {"shape": (items,), **kept}
        self.item_bias = self.add_weight(name="item_bias", **per_item)
        self.item_probability = self.add_weight(name="item_probability", trainable=False, **per_item)
        # Which items training has met, and whether histories have an order; both of `adapt`.
        self.met = self.add_weight(name="met", trainable=False, **per_item)
        self.ordered = self.add_weight(name="ordered", shape=(), trainable=False, **kept)
        self.is_full = sampling == "full" or (sampling == "auto" and items <= FULL_LIMIT)
        self.task: keras.layers.Layer
        if loss == "binary":
            self.task = BinaryOverItems(items)
        else:
            self.task = FullSoftmax() if self.is_full else InBatchSoftmax()
        drawn = [] if self.is_full else [UniformNegatives(negatives)]
        self.sampling = NegativeSampling(drawn, schema.num_users, items, embedding_dim + 1)
        self.step = counted_step(self)
        self.index = BruteForce(embedding_dim + 1, items, dtype="float32")
        self._add_metrics()
        nobody = {"history": tf.fill([1, 1], -1), "history_weight": tf.zeros([1, 1])}
        self({"item_id": tf.zeros([1], tf.int32), **nobody})

    # ------------------------------------------------------------------ tokens

    def tokens(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of items int [...], float [..., dim]: zeros for -1.

        What training has not met has that of its text, or else zeros.
        """
        row = tf.maximum(rows, 0)
        met = (rows >= 0) & (tf.gather(self.met, row) > 0)
        # From the variable itself, so that a gradient knows its rows.
        vectors = tf.cast(tf.gather(self.encoder.tokens, row), tf.float32)
        vectors = tf.where(met[..., tf.newaxis], vectors, 0.0)
        return vectors if self.texts is None else vectors + self.texts(rows)

    def _outputs(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the decoder's last layer for items int [n], float [n, dim + 1]; the last entry is the bias."""
        return tf.concat([self.tokens(rows), tf.gather(self.item_bias, rows)[:, tf.newaxis]], axis=1)

    def item_vectors(self) -> tf.Tensor:
        """Returns the decoder's last layer, float [items, dim + 1]; the last entry is the bias."""
        # Not by `tokens`: where all rows are needed, their gradient is dense.
        vectors = tf.cast(self.encoder.tokens[: self.schema.num_items], tf.float32) * self.met[:, tf.newaxis]
        if self.texts is not None:
            vectors += self.texts(tf.range(self.schema.num_items))
        return tf.concat([vectors, self.item_bias[:, tf.newaxis]], axis=1)

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight` float alike;
                rows as in the schema.
            training: Whether dropout is active.
        """
        items = self._outputs(inputs["item_id"])
        return tf.reduce_sum(self._queries(inputs, training) * items, axis=1)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes and decodes behaviour up to the last layer, float [batch, dim + 1].

        Args:
            query: `history` and `history_weight` as for a call of the model.
        """
        return self._queries(query)

    def probabilities(self, query: dict[str, tf.Tensor], exclude=None, include=None) -> tf.Tensor:
        """Returns p(y | x), float [batch, items]: 1 in sum over the items that are allowed, 0 for others.

        With the loss "binary" it is the probability of each item by itself.

        Args:
            query: `history` and `history_weight` as for a call of the model.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        scores = mask_scores(self.scores(query), exclude, include)
        return tf.sigmoid(scores) if self._arguments["loss"] == "binary" else tf.nn.softmax(scores)

    def _queries(self, query: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        rows, strength = what_is_there(query["history"], query["history_weight"])
        if isinstance(self.encoder, BehaviorBag):
            hidden = self.encoder({"vectors": self.tokens(rows), "weights": strength}, training=training)
            return self._decode(hidden, training)
        # What comes stands before the latest item, and is masked.
        rows = tf.pad(rows[:, : self.max_history], [[0, 0], [1, 0]], constant_values=-1)
        strength = tf.pad(strength[:, : self.max_history], [[0, 0], [1, 0]], constant_values=1.0)
        masked = tf.one_hot(tf.zeros_like(rows[:, 0]), tf.shape(rows)[1], True, False)
        return self._decode(self._states(Sequences(rows, strength), masked, training)[:, 0], training)

    def _states(self, steps: Sequences, masked: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns BERT's states of sequences some of whose steps are masked, float [batch, steps, dim]."""
        # Without an order all that is known is what is asked for and what is not.
        place = tf.where(self.ordered > 0, places(steps.strength > 0), tf.where(masked, 0, 1))
        inputs = {"vectors": self.tokens(steps.rows), "weights": steps.strength}
        return self.encoder({**inputs, "masked": masked, "places": place}, training=training)

    def _decode(self, hidden: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns what the MLP makes of hidden states [n, dim], and a one for the bias, float [n, dim + 1]."""
        decoded = tf.cast(self.decoder(hidden, training=training), tf.float32)
        return tf.concat([decoded, tf.ones_like(decoded[:, :1])], axis=1)

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: how often items occur, and their texts.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where the text vectors are kept; a folder of the user's cache by default.
            progress: Whether to show progress bars.

        Raises:
            DataError: If no user has done enough to learn from.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        users_to_learn_from(data, ahead=True)
        counts = data.interactions.item_counts()
        if self.texts is not None:
            found = encode_contents(self.text_encoder, data.catalog.texts(), cache_dir, progress)
            self.texts.fill(found, counts > 0)
        smoothed = (counts + 1.0) / (counts.sum() + len(counts))
        logs = np.log(smoothed)
        # A yes or no for each item starts as likely as it is; a softmax goes by differences alone.
        self.item_bias.assign(logs if self._arguments["loss"] == "binary" else logs - logs.mean())
        self.item_probability.assign(smoothed)
        self.met.assign(counts > 0)
        self.ordered.assign(float(data.interactions.timestamp is not None))

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.met > 0))

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        return UserHistories.of(batches, self._arguments["batch_users"], ahead=True), []

    def examples(self, inputs: dict[str, tf.Tensor], training: bool = False) -> Examples:
        """Returns what a step asks: in training with the mode "masked" masked tokens, else what comes after a history.

        Args:
            inputs: As of `UserHistories`; or of `Batches`, with one target each.
            training: Whether tokens are masked, with that mode, and dropout is active.
        """
        if inputs["item_id"].shape.rank == 1:
            single = {name: inputs[name][:, tf.newaxis] for name in ("item_id", "weight")}
            inputs = {**inputs, **single}
        if training and self.mode == "masked":
            return self._masked(inputs)
        targets = inputs["item_id"]
        at = tf.where(targets >= 0)
        return Examples(
            tf.gather(self._queries(inputs, training), at[:, 0]),
            tf.gather_nd(targets, at),
            tf.gather_nd(balanced(inputs["weight"], targets >= 0), at),
            tf.gather(inputs["history"], at[:, 0]),
        )

    def _masked(self, inputs: dict[str, tf.Tensor]) -> Examples:
        """Masks tokens of the whole sequence, what comes after the cut included."""
        steps = whole_sequences(inputs, self.max_history + 1)
        seed = step_seed(0, self.step)
        self.step.assign_add(1)
        masked = draw_masked(steps.strength > 0, self._arguments["masked_share"], seed)
        at = tf.where(masked)
        states = self._states(steps, masked, training=True)
        return Examples(
            self._decode(tf.gather_nd(states, at), training=True),
            tf.gather_nd(steps.rows, at),
            tf.gather_nd(balanced(steps.strength, masked), at),
            tf.gather(tf.where(masked, -1, steps.rows), at[:, 0]),
        )

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it.

        Args:
            inputs: As of `UserHistories`; or of `Batches`, with one target each.
            training: Whether dropout is active, tokens are masked and items are sampled.
        """
        queries, targets, weight, known = self.examples(inputs, training)
        if training:
            # The mean of a target, whatever the number of them that users have.
            mean = sum_replicas(tf.reduce_sum(weight)) / tf.cast(sum_replicas(tf.size(targets)), tf.float32)
            weight /= tf.maximum(mean, 1e-6)
        if self.is_full:
            catalogue, rows = self.item_vectors(), tf.range(self.schema.num_items)
            if training:
                catalogue = without_unmet(catalogue, self.met > 0, targets)
            if isinstance(self.task, FullSoftmax):
                return self.task(queries, catalogue, targets, known, weight)
            return self.task(queries, tf.gather(catalogue, targets), targets, catalogue, rows, known, weight)
        return self._sampled_loss(inputs, queries, targets, weight, known)

    def _negatives(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of random items; those that training has not met are as good as not drawn."""
        vectors = self._outputs(rows)
        bias = tf.where(tf.gather(self.met, rows) > 0, vectors[:, -1], -1e9)
        return tf.concat([vectors[:, :-1], bias[:, tf.newaxis]], axis=1)

    def _sampled_loss(self, inputs, queries, targets, weight, known) -> tf.Tensor:
        vectors = self._outputs(targets)
        drawn = self.sampling.draw(inputs)
        if isinstance(self.task, BinaryOverItems):
            rows = drawn["shared"]
            return self.task(queries, vectors, targets, self._negatives(rows), rows, known, weight)

        def probability_of(rows):
            share = tf.gather(self.item_probability, rows)
            return self.sampling.probability(share, tf.size(targets))

        more = self.sampling.candidates(drawn, self._negatives, probability_of)
        return self.task(queries, vectors, targets, probability_of(targets), weight, known, **more)

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; those of the text tower hold its architecture and vocabulary."""
        text = keras.layers.serialize(self.text_encoder) if self.text_encoder else None
        return {"name": self.name, "schema": self.schema.to_json(), "text": text, **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> EncoderDecoder:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        text = keras.layers.deserialize(config["text"], custom_objects) if config["text"] else None
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), "text": text})


def _decoder(dim: int, hidden_units: Sequence[int], dropout: float) -> keras.Sequential:
    """Returns the MLP but for its last layer, which are the items' vectors."""
    layers: list[keras.layers.Layer] = [keras.layers.Dense(units, "gelu") for units in hidden_units]
    drop = RepeatableDropout(dropout, seed=6)
    decoder = keras.Sequential([*layers, keras.layers.Dense(dim), drop], name="decoder")
    decoder.build([None, dim])
    return decoder
