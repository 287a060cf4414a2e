"""Puts a retriever's candidates in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.models.cross_features import CrossFeatures
from tfrec_div.models.learns_from_lists import LearnsFromLists
from tfrec_div.models.ranker_arguments import (
    check_content,
    check_lists,
    check_ranker,
    content_vectors_of,
    copy_rater,
)
from tfrec_div.models.ranker_features import FEATURES, RankerFeatures
from tfrec_div.models.ranker_tasks import RankerTasks
from tfrec_div.models.ranking_lists import RankingLists
from tfrec_div.models.rating_model import RatingModel
from tfrec_div.models.retriever import Retriever
from tfrec_div.precision import check_precision, precision_scope
from tfrec_div.tasks.ranking import RankingLoss
from tfrec_div.towers.interactions import Interaction, interaction_layer
from tfrec_div.towers.views import VectorView

# Length that a view of the content has at most.
VIEW = 64


@keras.utils.register_keras_serializable(package="tfrec_div")
class Ranker(LearnsFromLists):
    """Orders the candidates of a retriever by a network that reads user, candidate and history together.

    The score of a candidate is the retriever's, times a learned factor, and what the network adds. Its last layer
    starts at zero, so that an untrained ranker keeps the retriever's order, and training has to tell only what the
    retriever does not know. A ranker is trained on what a retriever that knows less finds (see `ranking_lists`), and
    serves behind one that was trained on everything (see `refreshed`).

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        signal_names: What the retriever tells of its candidates; see `Retriever.signal_names`. The first is the score.
        interaction: How the features act on each other: "dcn", "deepfm", "dlrm", "wide_deep", or a layer; see
            `towers.interactions`.
        history: How the history is read: "attention" (of the candidate to its items), "cross_modal" (of the
            candidate's text and picture to those of its items), "mean", or None.
        features: Some of "user_id", "item_id", "users" (user columns), "categories" and "numbers" (of items). What the
            schema does not have is passed over.
        content: A retriever whose content model has encoded texts and pictures; or the length of such vectors by
            name ("text", "image"), which `set_content` brings; or None.
        fusion: How text and picture of a candidate become one vector: a name of `towers.fusion.FUSIONS` ("concat",
            "gated", "bilinear"; "cross_modal" for attention to each other).
        rater: Foretells ratings, and knows what the retriever knows. The ranker keeps a copy.
        tasks: "relevance", which is always there, and any of "rating" and events of the interactions ("purchase").
        loss: What is learned of relevance: a name of `tasks.ranking.RANKING_LOSSES`, or a loss.
        embedding_dim: Length of the vectors of the features.
        hidden_units: Layers of the interaction's deep network.
        dropout: Share of the entries of each hidden layer that training drops.
        id_dropout: Share of the users, and of the items, that training takes for unknown ones.
        residual: Whether the retriever's score (and the rater's rating) is where the network starts from.
        max_history: Latest items of a history that are read.
        precision: Keras' policy of the network; None is the global one. Scores are float32.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div import EASE, make_synthetic
        >>> from tfrec_div.models.ranking_lists import ranking_lists
        >>> before, after = make_synthetic(num_users=20, num_items=30, images=False).split("temporal")
        >>> model = EASE(before.schema)
        >>> _ = model.fit(before.batches(64))
        >>> lists = ranking_lists(model, before, after, num_candidates=10)
        >>> ranker = Ranker(before.schema, embedding_dim=8, hidden_units=(8,))
        >>> history = ranker.fit(lists, epochs=1, verbose=0)
        >>> query = model.query_of(before, [0, 1])
        >>> rows, _ = model.retrieve(query, k=10)
        >>> ranker.rank(query, rows, model.signals(query, rows)).shape
        TensorShape([2, 10])
    """

    def __init__(
        self,
        schema: Schema,
        signal_names: Sequence[str] = ("score",),
        interaction: str | Interaction = "dcn",
        history: str | None = "attention",
        features: Sequence[str] = FEATURES,
        content: Retriever | Mapping[str, int] | None = None,
        fusion: str | keras.layers.Layer = "concat",
        rater: RatingModel | None = None,
        tasks: Sequence[str] = ("relevance",),
        loss: str | RankingLoss = "list_softmax",
        embedding_dim: int = 16,
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.2,
        id_dropout: float = 0.0,
        residual: bool = True,
        max_history: int = 50,
        precision: str | None = None,
        **kwargs,
    ):
        precision = precision or keras.mixed_precision.global_policy().name
        check_precision(precision)
        super().__init__(**{"dtype": precision, **kwargs})
        vectors, lengths = {}, content or {}
        if isinstance(content, Retriever):
            vectors = content_vectors_of(content)
            lengths = {name: part.shape[1] for name, part in vectors.items()}
        check_ranker(schema, features, history, tasks, signal_names, max_history, rater)
        self.schema, self.signal_names, self.max_history = schema, tuple(signal_names), max_history
        self.tasks, self.residual = tuple(tasks), residual
        self._arguments = {
            "signal_names": self.signal_names,
            "interaction": interaction if isinstance(interaction, str) else None,
            "history": history,
            "features": tuple(features),
            "content": dict(lengths),
            "fusion": fusion if isinstance(fusion, str) else None,
            "tasks": self.tasks,
            "loss": loss if isinstance(loss, str) else None,
            "embedding_dim": embedding_dim,
            "hidden_units": tuple(hidden_units),
            "dropout": dropout,
            "id_dropout": id_dropout,
            "residual": residual,
            "max_history": max_history,
            "precision": precision,
        }
        self.rater = None if rater is None else copy_rater(rater)
        self.views = {name: VectorView(length, VIEW, name=f"{name}_view") for name, length in lengths.items()}
        kept = {name: view.dim for name, view in self.views.items()}
        self.cross = CrossFeatures(schema, self.signal_names, kept, self.rater, name="cross")
        with precision_scope(precision):
            self.features = RankerFeatures(
                schema, embedding_dim, features, kept, fusion, history, id_dropout, name="features"
            )
            self.interaction = interaction_layer(interaction, hidden_units, dropout)
            self.outputs_of = RankerTasks(tasks, loss, name="tasks")

        def number(
            name: str, value: float, trainable: bool = False, shape: tuple[int, ...] = ()
        ) -> tf.Variable:
            start = keras.initializers.Constant(value)
            return self.add_weight(
                name=name, shape=shape, initializer=start, trainable=trainable, dtype="float32"
            )

        # Softplus of it is the factor of the retriever's score: 1 at the start.
        self.score_weight = number("score_weight", float(np.log(np.e - 1)), trainable=residual)
        self.rating_mean = number("rating_mean", 0.0)
        self.rating_scale = number("rating_scale", 0.0, shape=(2,))
        self._add_calibrations()
        self._add_metrics()
        rows = tf.zeros([1, 1], tf.int32)
        query = {"user_id": rows[0], "history": rows, "history_weight": tf.zeros([1, 1])}
        signals = tf.zeros([1, 1, len(self.signal_names)])
        self.foreseen({**query, "candidates": rows, "signals": signals})
        self.built = True
        if vectors:
            self.set_content(vectors)

    # ------------------------------------------------------------------ what is read once

    def set_content(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Takes over the content of the items, along its principal components.

        Args:
            vectors: Float [items, length] by name, zero where missing.

        Raises:
            ValueError: Other names or shapes than `content` says.
        """
        check_content(
            vectors, {name: (self.schema.num_items, view.input_dim) for name, view in self.views.items()}
        )
        for name, view in self.views.items():
            view.adapt(vectors[name])
            rows = view(tf.constant(vectors[name], tf.float32)).numpy()
            self.cross.views[name].assign(np.concatenate([np.zeros_like(rows[:1]), rows]))

    def adapt(self, lists: RankingLists) -> None:
        """Reads users, items and popularity, and brings the numbers to mean 0 and deviation 1; `fit` does it by itself.

        Args:
            lists: What the ranker is to be trained on.
        """
        self.check(lists, training=True)
        data = lists.history
        self.features.fill(data, (lists.user, lists.candidates) if lists.shown else None)
        encoded = data.catalog.encoded()
        self.cross.fill(data.interactions.item_counts(), {name: encoded[name] for name in self.cross.codes})
        if "rating" in self.tasks:
            known = lists.rating[np.isfinite(lists.rating)]
            if not len(known):
                raise ValueError("lists: expected ratings to learn the task 'rating' from, got none")
            self.rating_mean.assign(known.mean())
            self.rating_scale.assign(data.interactions.rating_scale)
        numbers = []
        for batch in lists.as_dataset(epochs=1).take(16):
            found = self._numbers(batch)[0]
            numbers.append(tf.boolean_mask(found, batch["candidates"] >= 0).numpy())
        self.cross.adapt(np.concatenate(numbers))

    def check(self, lists: RankingLists, training: bool = False) -> None:
        """Refuses lists that are not such as the ranker was made for; see `LearnsFromLists.check`."""
        check_lists(lists, self.schema, self.signal_names, training and self.features.knows_users)

    @property
    def adapted(self) -> bool:
        """Whether the ranker has seen lists."""
        return bool(tf.reduce_any(self.cross.scale > 0))

    def refreshed(self, data: Dataset, rater: RatingModel | None = None) -> Ranker:
        """Returns the same ranker for use behind a retriever that was trained on more; this one stays as it is.

        Args:
            data: All that the retriever was trained on: what is popular follows it.
            rater: The rating model, trained on the same.

        Raises:
            ValueError: Another schema, or a rater for a ranker without one.
        """
        if data.schema != self.schema:
            raise ValueError("data: expected the schema that the ranker was made with, got another")
        other = type(self).from_config(self.get_config())
        other.set_weights(self.get_weights())
        other.cross.set_counts(data.interactions.item_counts())
        if rater is not None:
            if other.rater is None:
                raise ValueError("rater: expected None, since the ranker was made without one")
            other.rater.set_weights(rater.get_weights())
        return other

    # ------------------------------------------------------------------ scores

    def _numbers(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
        """Returns the cross features as they are, the inputs with as much history as is read, and what is itself."""
        rows = inputs["candidates"]
        past = {name: inputs[name][:, : self.max_history] for name in ("history", "history_weight")}
        inputs = {**inputs, **past}
        own = (rows[:, :, tf.newaxis] == past["history"][:, tf.newaxis, :]) & (rows >= 0)[:, :, tf.newaxis]
        return self.cross(inputs, rows, inputs["signals"], own), inputs, own

    def foreseen(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        """Returns logits by task, and ratings as they are, float32 [batch, n]; before any calibration.

        Args:
            inputs: A batch of `RankingLists`; `label` and what comes after it are not read.
            training: Whether dropout is active.
        """
        numbers, inputs, own = self._numbers(inputs)
        rows = inputs["candidates"]
        fields = self.features(inputs, rows, self.cross.views, own, training=training)
        numbers = self.cross.standardised(numbers, rows >= 0)
        joined = self.interaction({"fields": fields, "numbers": numbers}, training=training)
        found = self.outputs_of(joined)
        if self.residual:
            score = tf.cast(inputs["signals"][:, :, 0], tf.float32)
            found["relevance"] += tf.nn.softplus(self.score_weight) * score
        if "rating" in found:
            base = self.rating_mean
            if self.rater is not None and self.residual:
                base = self.cross.rating(inputs["user_id"], rows)
            found["rating"] += base
        return found

    def predictions(
        self, query: dict[str, tf.Tensor], rows: tf.Tensor, signals: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns what is foreseen of each candidate, by task; see `RankingModel.predictions`."""
        found = self.foreseen({**query, "candidates": rows, "signals": signals}, training=False)
        found["relevance"] = self.calibrated_logits(found["relevance"])
        found = {task: values if task == "rating" else tf.sigmoid(values) for task, values in found.items()}
        if "rating" in found:
            found["rating"] = tf.clip_by_value(found["rating"], self.rating_scale[0], self.rating_scale[1])
        return found

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        """Returns `foreseen`."""
        return self.foreseen(inputs, training)

    def loss_of(self, inputs: dict[str, tf.Tensor], scores: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        return self.outputs_of.loss(inputs, scores)

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; `content` is the length of its vectors."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "schema": self.schema.to_json(),
            **self._arguments,
            "interaction": self._arguments["interaction"] or serialize(self.interaction),
            "fusion": self._arguments["fusion"] or serialize(self.features.fusion),
            "loss": self._arguments["loss"] or serialize(self.outputs_of.loss_of["relevance"]),
            "rater": None if self.rater is None else serialize(self.rater),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Ranker:
        """Makes a ranker of what `get_config` returned; weights come by `set_weights`."""

        def made(value):
            return (
                keras.saving.deserialize_keras_object(value, custom_objects)
                if isinstance(value, dict)
                else value
            )

        parts = {name: made(config[name]) for name in ("interaction", "fusion", "loss", "rater")}
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), **parts})
