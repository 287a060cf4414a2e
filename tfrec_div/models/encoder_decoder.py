"""Retrieval by an encoder of behaviour and a decoder to a probability of every item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.draws import counted_step, step_seed
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.behavior_examples import Examples, Sequences, ask_masked, ask_what_comes, what_is_there
from tfrec_div.models.encoder_decoder_arguments import FULL_LIMIT, checked_arguments, frozen_text_encoder
from tfrec_div.models.encoder_decoder_data import adapt_encoder_decoder
from tfrec_div.models.encoder_decoder_loss import loss_over_all, loss_over_some, task_of
from tfrec_div.models.encoder_decoder_parts import decoder_of, encoder_of, texts_of
from tfrec_div.models.layers_in_config import deserialized, serialized
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.retriever import mask_scores
from tfrec_div.models.user_histories import UserHistories
from tfrec_div.precision import precision_scope
from tfrec_div.tasks.negatives import UniformNegatives
from tfrec_div.tasks.replicas import sum_replicas
from tfrec_div.tasks.sampling import NegativeSampling
from tfrec_div.towers.behavior_bag import BehaviorBag
from tfrec_div.towers.history.base import places
from tfrec_div.towers.text import TextEncoder


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
        given = checked_arguments(
            {
                "encoder": encoder,
                "mode": mode,
                "loss": loss,
                "sampling": sampling,
                "negatives": negatives,
                "text_dim": text_dim,
                "embedding_dim": embedding_dim,
                "num_blocks": num_blocks,
                "num_heads": num_heads,
                "hidden_units": hidden_units,
                "masked_share": masked_share,
                "dropout": dropout,
                "max_history": max_history,
                "batch_users": batch_users,
                "precision": precision or keras.mixed_precision.global_policy().name,
            }
        )
        super().__init__(**{"dtype": given["precision"], **kwargs})
        self._arguments, self.schema = given, schema
        self.max_history, self.embedding_dim = max_history, embedding_dim
        self.mode, self.is_binary = given["mode"], loss == "binary"
        self.text_encoder = frozen_text_encoder(text, schema)
        items = schema.num_items
        with precision_scope(given["precision"]):
            self.encoder = encoder_of(items, given)
            self.decoder = decoder_of(given)
        self.texts = texts_of(items, self.text_encoder, given)
        # Without autocast: a probability of one in a million is zero in float16.
        kept = {"dtype": "float32", "experimental_autocast": False, "initializer": "zeros"}
        per_item = {**kept, "shape": (items,)}
        self.item_bias = self.add_weight(name="item_bias", **per_item)
        self.item_probability = self.add_weight(name="item_probability", trainable=False, **per_item)
        # Which items training has met, and whether histories have an order; both of `adapt`.
        self.met = self.add_weight(name="met", trainable=False, **per_item)
        self.ordered = self.add_weight(name="ordered", shape=(), trainable=False, **kept)
        self.is_full = sampling == "full" or (sampling == "auto" and items <= FULL_LIMIT)
        self.task = task_of(items, self.is_binary, self.is_full)
        self.sampling = NegativeSampling(
            [] if self.is_full else [UniformNegatives(negatives)], schema.num_users, items, embedding_dim + 1
        )
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

    def last_layer(self, rows: tf.Tensor) -> tf.Tensor:
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
        queries = self.query_vectors(inputs, training)
        return tf.reduce_sum(queries * self.last_layer(inputs["item_id"]), axis=1)

    def query_vectors(self, query: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Encodes and decodes behaviour up to the last layer, float [batch, dim + 1].

        Args:
            query: `history` and `history_weight` as for a call of the model.
            training: Whether dropout is active.
        """
        rows, strength = what_is_there(query["history"], query["history_weight"])
        if isinstance(self.encoder, BehaviorBag):
            hidden = self.encoder({"vectors": self.tokens(rows), "weights": strength}, training=training)
            return self.decode(hidden, training)
        # What comes stands before the latest item, and is masked.
        rows = tf.pad(rows[:, : self.max_history], [[0, 0], [1, 0]], constant_values=-1)
        strength = tf.pad(strength[:, : self.max_history], [[0, 0], [1, 0]], constant_values=1.0)
        masked = tf.one_hot(tf.zeros_like(rows[:, 0]), tf.shape(rows)[1], True, False)
        return self.decode(self.states(Sequences(rows, strength), masked, training)[:, 0], training)

    def probabilities(self, query: dict[str, tf.Tensor], exclude=None, include=None) -> tf.Tensor:
        """Returns p(y | x), float [batch, items]: 1 in sum over the items that are allowed, 0 for others.

        With the loss "binary" it is the probability of each item by itself.

        Args:
            query: `history` and `history_weight` as for a call of the model.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        scores = mask_scores(self.scores(query), exclude, include)
        return tf.sigmoid(scores) if self.is_binary else tf.nn.softmax(scores)

    def states(self, steps: Sequences, masked: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns BERT's states of sequences some of whose steps are masked, float [batch, steps, dim]."""
        # Without an order all that is known is what is asked for and what is not.
        place = tf.where(self.ordered > 0, places(steps.strength > 0), tf.where(masked, 0, 1))
        inputs = {"vectors": self.tokens(steps.rows), "weights": steps.strength}
        return self.encoder({**inputs, "masked": masked, "places": place}, training=training)

    def decode(self, hidden: tf.Tensor, training: bool | None = None) -> tf.Tensor:
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
        adapt_encoder_decoder(self, data, cache_dir, progress)

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
            inputs = {**inputs, **{name: inputs[name][:, tf.newaxis] for name in ("item_id", "weight")}}
        if training and self.mode == "masked":
            seed = step_seed(0, self.step)
            self.step.assign_add(1)
            return ask_masked(self, inputs, self._arguments["masked_share"], seed)
        return ask_what_comes(self, inputs, training)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it.

        Args:
            inputs: As of `UserHistories`; or of `Batches`, with one target each.
            training: Whether dropout is active, tokens are masked and items are sampled.
        """
        asked = self.examples(inputs, training)
        if training:
            # The mean of a target, whatever the number of them that users have.
            count = tf.cast(sum_replicas(tf.size(asked.targets)), tf.float32)
            mean = sum_replicas(tf.reduce_sum(asked.weights)) / count
            asked = asked._replace(weights=asked.weights / tf.maximum(mean, 1e-6))
        if self.is_full:
            return loss_over_all(self, asked, training)
        return loss_over_some(self, asked, self.sampling.draw(inputs))

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; those of the text tower hold its architecture and vocabulary."""
        text = serialized(text=self.text_encoder)
        return {"name": self.name, "schema": self.schema.to_json(), **text, **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> EncoderDecoder:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        text = deserialized(config, ("text",), custom_objects)
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), **text})
