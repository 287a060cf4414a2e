"""The two-tower retrieval model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.layers_in_config import deserialized, serialized
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.two_tower_data import adapt_two_tower, meet_items
from tfrec_div.models.two_tower_items import two_tower_with_items
from tfrec_div.precision import check_precision, precision_scope
from tfrec_div.tasks.masking import without_unmet
from tfrec_div.tasks.negatives import Negatives
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.tasks.sampling import NegativeSampling
from tfrec_div.towers.content_profile import ContentProfile
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.fusion import uses_sequences
from tfrec_div.towers.image import ImageEncoder, image_encoder_of
from tfrec_div.towers.item_tower import (
    TITLE,
    build_item_tower,
    build_views,
    encode_items,
    is_trained,
    item_spec,
)
from tfrec_div.towers.model_encoder import ModelEncoder
from tfrec_div.towers.parts import gives_parts
from tfrec_div.towers.query_tower import (
    TITLE_PIECES,
    TITLES,
    build_query_tower,
    check_user_text,
    user_spec,
)
from tfrec_div.towers.reviews import ReviewTable
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.texts import TextFields, item_texts, mean_of_parts, text_parts

FEATURES = ("id", "history", "categories", "numbers", "users")
FULL_SOFTMAX_LIMIT = 10_000
# Of the learning rate, for the few numbers that weigh the modalities of a profile.
GAIN_RATE = 10.0
# Costly items that are encoded at once.
MODEL_BATCH = 64


@keras.utils.register_keras_serializable(package="tfrec_div")
class TwoTower(RetrievalModel):
    """Retrieval by two towers: what a user did and is on one side, what an item is on the other.

    An ordinary Keras model on batches of integer rows (`Dataset.batches`). Frozen text and image towers encode each
    item once, before training. The user's history is made of the item tower's own vectors, and of what its content
    is like; a new item counts for the latter.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        features: What the towers use besides text and image: some of "id", "history", "categories", "numbers"
            (items) and "users" (user columns). What the schema does not have is passed over.
        text: Text tower: "minilm", "tiny", the folder of a Transformers checkpoint (all frozen), a `TextEncoder`, a
            `HubTextEncoder`, or None.
        image: Image tower: "resnet50" (ImageNet weights, frozen), an `ImageEncoder`, or None.
        embedding_dim: Length of the vectors.
        loss: "full" (softmax over the catalogue), "in_batch" (over the batch's items, with logQ correction), or
            "auto": full up to 10,000 items, unless `negatives` are given or items are costly (see `costly_items`).
        negatives: What a target is told from besides the items of the batch: any of `UniformNegatives`,
            `MemoryNegatives`, `MinedNegatives` and `ShownNegatives`; with the loss "in_batch".
        normalize: Whether vectors have length 1; then there is no item bias and `temperature` should be about 0.1.
        temperature: Divides the scores in the loss; above 0.
        hidden_units: Layers of both towers after the fusion.
        dropout: Share of the user vector's entries that training drops.
        user_id_dropout: Share of the users that training takes for unknown ones.
        item_id_dropout: Share of the items that training takes for new ones at each step: without id and bias. It
            serves towers that have to speak for new items; with a content profile there is little to gain by it.
        text_fields: The item texts that the text tower reads, joined in this order; None is all text features, the
            title first. "reviews" are those of the training interactions, where no column has this name. A mapping,
            such as `{"title": ["title"], "about": ["description", "reviews"]}`, makes several texts of them: one
            encoder reads all, and each is a feature of its own for the fusion ("text/title"), with its own mask.
        user_text: What the text tower reads of a user: the text "features", the "history_titles" (of the last 8
            items; the model then runs once for each example, which only a small one is fit for), the "reviews" that
            the user wrote of the history's items in the training data (by a frozen tower, see `ReviewTable`), or
            None.
        max_history: Latest items of a history that a query holds. Batches have a number of their own, 100 by default:
            more of them help the content profile, and cost too much at each step of training.
        half_lives: Of the history's pools, see `PooledHistoryEncoder`.
        fusion: How the item tower makes one vector of an item's features: a name of `towers.fusion.FUSIONS`
            ("concat", "projected", "gated", "attention", "cross_modal", "bilinear") or a layer. "cross_modal" reads
            the tokens of the texts and the regions of the pictures; see docs/fusion.md for the memory it takes.
        modality_dropout: Share of an item's features that training takes for missing, see `Tower`.
        content_profile: Whether scores also go by the likeness of an item's content to that of the history, see
            `ContentProfile`. With ids and without a trained text or image model, an item without an id (never met
            in training, or taken for new by `item_id_dropout`) goes by this likeness and its bias alone. It needs
            histories and a frozen text or image tower, categories or numbers, and is left out with `normalize`.
        precision: Keras' policy of the towers: "float32", "mixed_bfloat16" or "mixed_float16"; None is the global
            one. Vectors leave the towers as float32, and so do all scores and losses.
        history_encoder: How the query tower makes one vector of a history: a name of `towers.history.HISTORY_ENCODERS`
            ("pools", "mean", "gru", "self_attention") or a layer; see docs/history-and-interests.md.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = TwoTower(data.schema, embedding_dim=8)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> rows, scores = model.retrieve(model.query_of(data, [0]), k=3)
        >>> rows.shape
        TensorShape([1, 3])

    Two towers with logQ correction: Yi et al. (2019), Sampling-bias-corrected neural modeling.
    """

    def __init__(
        self,
        schema: Schema,
        features: Sequence[str] = FEATURES,
        text: str | TextEncoder | None = None,
        image: str | ImageEncoder | None = None,
        embedding_dim: int = 64,
        loss: str = "auto",
        normalize: bool = False,
        temperature: float = 1.0,
        hidden_units: Sequence[int] = (),
        dropout: float = 0.2,
        user_id_dropout: float = 0.9,
        item_id_dropout: float = 0.0,
        max_history: int = 300,
        half_lives: Sequence[float] = (4.0, 16.0),
        fusion: str | keras.layers.Layer = "concat",
        modality_dropout: float = 0.0,
        negatives: Sequence[Negatives] = (),
        precision: str | None = None,
        text_fields: TextFields | None = None,
        user_text: str | None = None,
        content_profile: bool = True,
        history_encoder: str | keras.layers.Layer = "pools",
        **kwargs,
    ):
        precision = precision or keras.mixed_precision.global_policy().name
        check_precision(precision)
        super().__init__(**{"dtype": precision, **kwargs})
        if isinstance(features, str):
            raise ValueError(f"features: expected a list of names, got {features!r}")
        unknown = sorted(set(features) - set(FEATURES))
        if unknown:
            raise ValueError(f"features: expected some of {list(FEATURES)}, got {unknown}")
        if loss not in ("auto", "full", "in_batch"):
            raise ValueError(f"loss: expected 'auto', 'full' or 'in_batch', got {loss!r}")
        if loss == "full" and negatives:
            raise ValueError("negatives: the loss 'full' has all items for negatives already; use 'in_batch'")
        self.schema = schema
        self.text_encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
        self.image_encoder = image_encoder_of(image)
        self._arguments = {
            "features": tuple(features),
            "embedding_dim": embedding_dim,
            "loss": loss,
            "normalize": normalize,
            "temperature": temperature,
            "hidden_units": tuple(hidden_units),
            "dropout": dropout,
            "user_id_dropout": user_id_dropout,
            "item_id_dropout": item_id_dropout,
            "max_history": max_history,
            "half_lives": tuple(half_lives),
            "fusion": fusion if isinstance(fusion, str) else None,
            "modality_dropout": modality_dropout,
            "precision": precision,
            "user_text": user_text,
            "content_profile": content_profile,
            "history_encoder": history_encoder if isinstance(history_encoder, str) else None,
        }
        check_user_text(schema, user_text, self.text_encoder)
        self.text_fields = _plain(text_fields)
        self.texts = text_parts(schema, text_fields) if self.text_encoder else {}
        self.user_text = user_text
        self._titles = TITLE_PIECES if user_text == "history_titles" else 0
        self.max_history = max_history
        self.embedding_dim = embedding_dim
        self.normalize = normalize
        self.reads_sequences = uses_sequences(fusion) and any(
            gives_parts(encoder) for encoder in (self.text_encoder, self.image_encoder)
        )
        spec = item_spec(
            schema,
            self.text_encoder,
            self.image_encoder,
            self._titles,
            texts=tuple(self.texts),
            parts=self.reads_sequences,
        )
        self.reviews = None
        if self.text_encoder and user_text == "reviews":
            if isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy):
                raise ValueError(
                    "user_text: 'reviews' has tables that grow, which parameter servers cannot hold"
                )
            self.reviews = ReviewTable(self.text_encoder.dim, schema.num_items, name="reviews")
        self.item_table = FeatureTable(schema.num_items, spec, name="items")
        users = user_spec(schema, self.text_encoder, user_text)
        self.user_table = FeatureTable(schema.num_users, users, name="users")
        with precision_scope(precision):
            self.item_tower = build_item_tower(
                schema,
                embedding_dim,
                features,
                hidden_units,
                normalize,
                fusion=fusion,
                modality_dropout=modality_dropout,
                text=self.text_encoder,
                image=self.image_encoder,
                texts=tuple(self.texts),
            )
            self.query_tower = build_query_tower(
                schema,
                embedding_dim,
                features,
                hidden_units,
                normalize,
                half_lives,
                dropout,
                user_id_dropout,
                text=self.text_encoder,
                user_text=user_text,
                history_encoder=history_encoder,
            )
        views = build_views(self.item_tower, embedding_dim)
        wanted = content_profile and views and self.reads_history and not normalize
        self.profile = ContentProfile(views, schema.num_items, name="content_profile") if wanted else None
        self.item_id_dropout = RepeatableDropout(item_id_dropout, whole_rows=True, seed=2, dtype="float32")
        # Without autocast: a probability of one in a million is zero in float16.
        per_item = {"shape": (schema.num_items,), "initializer": "zeros", "experimental_autocast": False}
        self.item_bias = self.add_weight(
            name="item_bias", trainable=not normalize, dtype="float32", **per_item
        )
        self.item_probability = self.add_weight(
            name="item_probability", trainable=False, dtype="float32", **per_item
        )
        small = schema.num_items <= FULL_SOFTMAX_LIMIT and not self.costly_items
        full = loss == "full" or (loss == "auto" and small and not negatives)
        self.task = FullSoftmax(temperature) if full else InBatchSoftmax(temperature)
        # The bias is one more entry of an item's vector, and a one in the query: the index knows products only.
        width = embedding_dim + (self.profile.dim if self.profile else 0) + 1
        self.index = BruteForce(width, schema.num_items, dtype="float32")
        self.sampling = NegativeSampling(negatives, schema.num_users, schema.num_items, width)
        self._add_metrics()
        self({"user_id": tf.zeros([1], tf.int32), "item_id": tf.zeros([1], tf.int32), **_no_history(1)})

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `user_id`, `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight`
                float alike; rows as in the schema.
            training: Whether dropout is active.
        """
        items, position = self._items_of(inputs, training)
        queries = self._queries(inputs, items, position, training)
        return tf.reduce_sum(queries * tf.gather(items, position(inputs["item_id"])), axis=-1)

    def item_vectors(self, batch_size: int = 4096, first: int = 0) -> tf.Tensor:
        """Encodes the whole catalogue once, or the items from `first` on, float [items, dim].

        The entries are the item tower's vector, the views of the content profile, and the bias.
        """
        rows = tf.range(first, self.schema.num_items)
        encode = self._encode_items
        if self.costly_items:
            encode, batch_size = self._encode_items_in_graph, min(batch_size, MODEL_BATCH)
        parts = [encode(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
        return tf.concat(parts, axis=0)

    def content(self, name: str) -> np.ndarray:
        """Returns the vectors of the text or image tower as it is now, float32 [items, dim]; zero where missing.

        Args:
            name: "text" or "image"; or one of several texts, such as "text/title", of which "text" is the mean.
        """
        if name == "text" and name not in self.texts:
            return mean_of_parts([self.content(text) for text in self.texts])
        rows = self.item_table.values[name].numpy()[1:]
        encoder = self.item_tower.encoders[name]
        return encoder.vectors(rows) if isinstance(encoder, ModelEncoder) else rows

    @property
    def content_model(self) -> TwoTower:
        """This model: its towers have encoded the content."""
        return self

    def with_items(self, data: Dataset, cache_dir: str | Path | None = None) -> TwoTower:
        """Returns the same model for more items; see `Retriever.with_items`.

        A new item has no id for the towers, as one that training has not met, and the bias of the rarest items. The
        model that is returned is not compiled. `fit` on batches of data that have met new items gives them an id.

        Args:
            data: Whose items are the model's, and new ones after them.
            cache_dir: Where the frozen towers' vectors are kept; a folder of the user's cache by default.
        """
        return two_tower_with_items(self, data, cache_dir)

    def encode_content(
        self, data: Dataset, known: np.ndarray, cache_dir: str | Path | None = None, progress: bool = True
    ) -> dict[str, np.ndarray]:
        """Encodes the items of a data set as `item_table` holds them.

        Args:
            data: Whose items.
            known: Boolean [items], whether an item has been seen in training; others have no id for the tower.
            cache_dir: Where the frozen towers' vectors are kept.
            progress: Whether to show progress bars.
        """
        return encode_items(
            data.catalog,
            known,
            self.text_encoder,
            self.image_encoder,
            cache_dir=cache_dir,
            progress=progress,
            texts={name: item_texts(data, fields or None) for name, fields in self.texts.items()},
            titles=self._titles,
            parts=self.reads_sequences,
        )

    @property
    def trains_models(self) -> bool:
        """Whether training changes a text or image model."""
        return is_trained(self.text_encoder) or is_trained(self.image_encoder)

    @property
    def costly_items(self) -> bool:
        """Whether the whole catalogue is too much for a step: a model is trained, or tokens and regions are read.

        Then the loss is over the items of the batch unless asked otherwise, and histories are made of the vectors of
        the last refresh of the index, before the epoch.
        """
        return self.trains_models or self.reads_sequences

    def fusion_weights(self, item_rows: Iterable[int]) -> tuple[tuple[str, ...], np.ndarray]:
        """Tells what each feature of an item counts for in its vector.

        Args:
            item_rows: Rows of items.

        Returns:
            The names of the features, and float32 [items, features], 1 in sum over those that an item has. What a
            weight is depends on the fusion: its gates or attention, or how far the tower's vector moves without the
            feature. What features count for in the content profile is said by `model.profile.gains`.
        """
        rows = tf.constant(np.asarray(item_rows, np.int32).reshape(-1))
        names, weights = self.item_tower.fusion_weights(self.item_table(rows))
        return names, weights.numpy()

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries against the vectors in the index, float [batch, dim].

        Args:
            query: `user_id`, `history`, `history_weight` as for a call of the model.
        """
        return self._queries(query, self.index.vectors, lambda rows: rows)

    def _encode_items(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        features, bias = self.item_table(rows), tf.gather(self.item_bias, rows)
        if training:
            # Who is taken for new has neither an id nor a bias: the content must tell what is popular, too.
            keep = self.item_id_dropout(tf.ones_like(bias), training=True)
            features["item_id"] *= tf.cast(keep, features["item_id"].dtype)
            bias *= keep
        views = tf.stop_gradient(self.profile(rows)) if self.profile else None
        vectors = self.embed(features, views, training)
        return tf.concat([vectors, bias[:, tf.newaxis]], axis=1)

    def embed(
        self, features: dict[str, tf.Tensor], views: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """Returns the vectors of items by their encoded features, float [batch, dim of the index - 1].

        Args:
            features: As `encode_items` makes them, `[batch, ...]` each.
            views: What the content profile makes of them, if it is at hand; float [batch, views].
            training: Whether dropout is active.
        """
        vectors = tf.cast(self.item_tower(features, training=training), tf.float32)
        if self.profile is None:
            return vectors
        if self._profile_speaks_for_new:
            # What the tower says of an item that it has not met was learned from others, each with an id of its own.
            vectors *= tf.cast(features["item_id"] > 0, tf.float32)[:, tf.newaxis]
        views = self.profile.weigh(self.profile.encode(features)) if views is None else views
        return tf.concat([vectors, views], axis=1)

    @property
    def _profile_speaks_for_new(self) -> bool:
        """Whether items without an id have no vector of the tower."""
        return self.profile is not None and "item_id" in self.item_tower.encoders and not self.trains_models

    # Kept out of Keras' sight (a cached property goes to the instance's dictionary directly).
    @cached_property
    def _encode_items_in_graph(self):
        rows = tf.TensorSpec([None], tf.int32)
        return tf.function(lambda rows: self._encode_items(rows, training=False), input_signature=[rows])

    def _items_of(self, inputs: dict, training: bool | None, more: Iterable[tf.Tensor] = ()):
        """Encodes the items that a batch needs, each once; returns them and where a row stands among them."""
        if isinstance(self.task, FullSoftmax):
            return self._encode_items(tf.range(self.schema.num_items), training), lambda rows: rows
        wanted = [inputs["item_id"], *more]
        if self.reads_history and not self.costly_items:
            wanted.append(inputs["history"])
        flat = tf.concat([tf.reshape(tf.maximum(rows, 0), [-1]) for rows in wanted], axis=0)
        rows = tf.unique(flat).y
        place = tf.scatter_nd(rows[:, tf.newaxis], tf.range(tf.size(rows)), [self.schema.num_items])
        return self._encode_items(rows, training), lambda wanted_rows: tf.gather(place, wanted_rows)

    @property
    def reads_history(self) -> bool:
        """Whether the query tower reads histories."""
        return "history" in self.query_tower.encoders

    def _queries(self, inputs: dict, items: tf.Tensor, position, training: bool | None = None) -> tf.Tensor:
        features = self.user_table(inputs["user_id"])
        if self.reads_history:
            history = inputs["history"]
            known = tf.maximum(history, 0)
            if self.costly_items and not isinstance(self.task, FullSoftmax):
                # A history holds many more items than a batch has targets: theirs are the vectors of the last
                # refresh, before the epoch.
                vectors = tf.stop_gradient(tf.gather(self.index.vectors, known)[..., : self.embedding_dim])
            else:
                vectors = tf.gather(items[:, : self.embedding_dim], position(known))
            weights = tf.where(history >= 0, tf.cast(inputs["history_weight"], tf.float32), 0.0)
            heard = weights
            if self._profile_speaks_for_new:
                # A new item has no vector here, so it must not count among those that have one.
                met = tf.gather(self.item_table.values["item_id"], history + 1) > 0
                heard = tf.where(met, weights, 0.0)
            features = {**features, "history": {"vectors": vectors, "weights": heard}}
        if self.user_text == "history_titles":
            features = {**features, "text": self.titles_of(inputs["history"])}
        elif self.reviews is not None:
            features = {**features, "text": self.reviews(inputs["user_id"], inputs["history"])}
        parts = [tf.cast(self.query_tower(features, training=training), tf.float32)]
        if self.profile is not None:
            # The towers learn what the profile leaves to say; its gains learn by `_with_profile_loss`.
            parts.append(tf.stop_gradient(self.profile.query(history, weights)))
        return tf.concat([*parts, tf.ones_like(parts[0][:, :1])], axis=1)

    def titles_of(self, history: tf.Tensor) -> tf.Tensor:
        """Returns the titles of the latest items [batch, steps], joined, as rows of the text encoder."""
        pieces = tf.gather(self.item_table.values[TITLE], history[:, :TITLES] + 1)
        return self.query_tower.encoders["text"].model.join_rows(
            tf.reshape(pieces, [tf.shape(history)[0], -1])
        )

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: encoded features, and how often items occur.

        `fit` does it by itself on the first batches that it sees. Users and items without an interaction in `data`
        count as unknown by id: their content speaks for them. Items that are met first when a trained model is trained
        on (`fit` with batches) get an id and a bias then, and nothing else is read anew.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where the frozen towers' vectors are kept; a folder of the user's cache by default.
            progress: Whether to show progress bars.
        """
        adapt_two_tower(self, data, cache_dir, progress)

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.item_probability > 0))

    def training_state(self) -> dict[str, Any]:
        """Returns what training changes; what the frozen towers made does not, and is left out."""
        gains = {} if self.profile is None else {"gains": self.profile.log_gain}
        return {
            "query": self.query_tower,
            "item": self.item_tower,
            "bias": self.item_bias,
            "id_dropout": self.item_id_dropout,
            "negatives": self.sampling,
            **gains,
        }

    def _careful_weights(self) -> list[tf.Variable]:
        models = [e for e in (self.text_encoder, self.image_encoder) if e is not None]
        return [weight for model in models for weight in model.trainable_weights]

    def _rates(self) -> dict[str, float]:
        rates = super()._rates()
        return rates | {self.profile.log_gain.name: GAIN_RATE} if self.profile else rates

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        meet_items(self, batches.dataset)
        return self.sampling.for_fit(self, batches)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        drawn = self.sampling.draw(inputs) if training else {}
        items, position = self._items_of(inputs, training, drawn.values())
        queries = self._queries(inputs, items, position, training)
        targets = inputs["item_id"]
        known, weight = inputs["history"], inputs["weight"]
        if isinstance(self.task, FullSoftmax):
            if training:
                met = self.item_table(tf.range(self.schema.num_items))["item_id"] > 0
                items = without_unmet(items, met, targets)
            return self._with_profile_loss(
                lambda q, i: self.task(q, i, targets, known, weight), queries, items, training
            )

        def vectors_of(rows):
            return tf.gather(items, position(rows))

        def probability_of(rows):
            share = tf.gather(self.item_probability, rows)
            return self.sampling.probability(share, tf.size(targets)) if training else share

        vectors, drawn_from = vectors_of(targets), probability_of(targets)
        more = self.sampling.candidates(drawn, vectors_of, probability_of) if training else {}
        loss = self._with_profile_loss(
            lambda q, v, **more: self.task(q, v, targets, drawn_from, weight, known, **more),
            queries,
            vectors,
            training,
            **more,
        )
        if training:
            self.sampling.remember(targets, vectors)
        return loss

    def _with_profile_loss(
        self, loss_of, queries: tf.Tensor, items: tf.Tensor, training: bool, **more
    ) -> tf.Tensor:
        """Returns the loss, with the gradient of the profile's gains from what the profile achieves by itself.

        Beside ids, content looks all but useless for the items of the training data, and that it is not for others.
        """
        loss = loss_of(queries, items, **more)
        if self.profile is None or not training:
            return loss
        others = {kind: one._replace(vectors=tf.stop_gradient(one.vectors)) for kind, one in more.items()}
        alone = loss_of(self.profile.alone(queries, self.embedding_dim), tf.stop_gradient(items), **others)
        # The brackets make the sum the loss itself, to the last digit.
        return loss + (alone - tf.stop_gradient(alone))

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; the text tower's hold its architecture and vocabulary."""
        given = self._arguments
        parts = serialized(
            text=self.text_encoder,
            image=self.image_encoder,
            fusion=given["fusion"] or self.item_tower.fusion,
            history_encoder=given["history_encoder"] or self.query_tower.encoders["history"],
        )
        return {
            "name": self.name,
            "schema": self.schema.to_json(),
            "negatives": [keras.layers.serialize(kind) for kind in self.sampling.negatives],
            **given,
            # Not as Keras wraps it.
            "text_fields": _plain(self.text_fields),
            **parts,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> TwoTower:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        parts = deserialized(config, ("text", "image", "fusion", "history_encoder"), custom_objects)
        negatives = [keras.layers.deserialize(kind, custom_objects) for kind in config.get("negatives", ())]
        schema = Schema.from_json(config["schema"])
        return cls(**{**config, "schema": schema, "negatives": negatives, **parts})


def _plain(fields: TextFields | None) -> list | dict | None:
    """Returns text fields as values that JSON takes."""
    if isinstance(fields, Mapping):
        return {name: [part] if isinstance(part, str) else list(part) for name, part in fields.items()}
    return None if fields is None else list(fields)


def _no_history(batch: int) -> dict[str, tf.Tensor]:
    return {"history": tf.fill([batch, 1], -1), "history_weight": tf.zeros([batch, 1])}
