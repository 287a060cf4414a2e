"""The two-tower retrieval model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.optimizers import FallingRate, LazyAdam
from tfrec_div.tasks.masking import mask_rows
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.item_tower import build_item_tower, encode_items, item_spec
from tfrec_div.towers.query_tower import build_query_tower, encode_users, user_spec
from tfrec_div.towers.text import TextEncoder

FEATURES = ("id", "history", "categories", "numbers", "users")
FULL_SOFTMAX_LIMIT = 10_000
LEARNING_RATE = 3e-3


@keras.utils.register_keras_serializable(package="tfrec_div")
class TwoTower(tfrs.models.Model):
    """Retrieval by two towers: what a user did and is on one side, what an item is on the other.

    An ordinary Keras model on batches of integer rows (`Dataset.batches`). Frozen text and image towers encode each
    item once, before training. The user's history is made of the item tower's own vectors, so that a new item can
    stand in a history as soon as it has a vector.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        features: What the towers use besides text and image: some of "id", "history", "categories", "numbers"
            (items) and "users" (user columns). What the schema does not have is passed over.
        text: Frozen text tower: "minilm", "tiny", the folder of a BERT checkpoint, a `TextEncoder`, or None.
        image: Frozen image tower: "resnet50" (ImageNet weights), an `ImageEncoder`, or None.
        embedding_dim: Length of the vectors.
        loss: "full" (softmax over the catalogue), "in_batch" (over the batch's items, with logQ correction), or
            "auto": full up to 10,000 items.
        normalize: Whether vectors have length 1; then there is no item bias and `temperature` should be about 0.1.
        temperature: Divides the scores in the loss; above 0.
        hidden_units: Layers of both towers after the fusion.
        dropout: Share of the user vector's entries that training drops.
        user_id_dropout: Share of the users that training takes for unknown ones.
        item_id_dropout: Share of the items that training takes for new ones.
        max_history: Latest items of a history that are used.
        half_lives: Of the history's pools, see `HistoryEncoder`.
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
        max_history: int = 100,
        half_lives: Sequence[float] = (4.0, 16.0),
        **kwargs,
    ):
        super().__init__(**kwargs)
        unknown = sorted(set(features) - set(FEATURES))
        if unknown:
            raise ValueError(f"features: expected some of {list(FEATURES)}, got {unknown}")
        if loss not in ("auto", "full", "in_batch"):
            raise ValueError(f"loss: expected 'auto', 'full' or 'in_batch', got {loss!r}")
        self.schema = schema
        self.text_encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
        self.image_encoder = _image_encoder(image)
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
        }
        self.max_history = max_history
        self.embedding_dim = embedding_dim
        self.normalize = normalize
        spec = item_spec(schema, self.text_encoder, self.image_encoder)
        self.item_table = FeatureTable(schema.num_items, spec, name="items")
        self.user_table = FeatureTable(schema.num_users, user_spec(schema), name="users")
        self.item_tower = build_item_tower(
            schema, spec, embedding_dim, features, hidden_units, normalize, id_dropout=item_id_dropout
        )
        self.query_tower = build_query_tower(
            schema, embedding_dim, features, hidden_units, normalize, half_lives, dropout, user_id_dropout
        )
        self.item_bias = self.add_weight(
            name="item_bias", shape=(schema.num_items,), initializer="zeros", trainable=not normalize
        )
        self.item_probability = self.add_weight(
            name="item_probability", shape=(schema.num_items,), initializer="zeros", trainable=False
        )
        full = loss == "full" or (loss == "auto" and schema.num_items <= FULL_SOFTMAX_LIMIT)
        self.task = FullSoftmax(temperature) if full else InBatchSoftmax(temperature)
        # The bias is one more entry of an item's vector, and a one in the query: the index knows products only.
        self.index = BruteForce(embedding_dim + 1, schema.num_items)
        self._loss = keras.metrics.Mean(name="loss")
        self._ranks = [keras.metrics.Mean(name=name) for name in ("recall_at_10", "ndcg_at_10", "mrr")]
        self._default_optimizer = False
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

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights, and Keras' own would try with floats for rows."""
        self.built = True

    def item_vectors(self, batch_size: int = 4096) -> tf.Tensor:
        """Encodes the whole catalogue once, float [num_items, embedding_dim + 1]; the last entry is the bias."""
        rows = tf.range(self.schema.num_items)
        parts = [self._encode_items(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
        return tf.concat(parts, axis=0)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries against the vectors in the index, float [batch, embedding_dim + 1].

        Args:
            query: `user_id`, `history`, `history_weight` as for a call of the model.
        """
        return self._queries(query, self.index.vectors, lambda rows: rows)

    def query_of(self, data: Dataset, user_rows: Iterable[int]) -> dict[str, tf.Tensor]:
        """Returns the query of each user row, with the user's history in `data`."""
        events = data.interactions
        items, starts = events.histories()
        rows = np.asarray(user_rows, np.int32)
        back = np.arange(self.max_history)[None, :]
        position = starts[rows + 1][:, None] - 1 - back
        inside = (position >= starts[rows][:, None]) & (rows >= 0)[:, None]
        position = np.where(inside, position, 0)
        padded = np.append(items, -1), np.append(events.strength(), 0)
        history, weight = (
            np.where(inside, column[position], fill) for column, fill in zip(padded, (-1, 0), strict=True)
        )
        return {
            "user_id": tf.constant(rows),
            "history": tf.constant(history, tf.int32),
            "history_weight": tf.constant(weight, tf.float32),
        }

    def retrieve(self, query: dict, k: int = 10, exclude=None, include=None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows int32 [batch, k] and their scores, from the index.

        Args:
            query: As for `query_vectors`.
            k: Rows a query.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        return self.index(self.query_vectors(query), k=k, exclude=exclude, include=include)

    def refresh_index(self) -> None:
        """Encodes the catalogue with the towers as they are now."""
        self.index.update(self.item_vectors())

    def _encode_items(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        vectors = self.item_tower(self.item_table(rows), training=training)
        return tf.concat([vectors, tf.gather(self.item_bias, rows)[:, tf.newaxis]], axis=1)

    def _items_of(self, inputs: dict, training: bool | None):
        """Encodes the items that a batch needs, each once; returns them and where a row stands among them."""
        if isinstance(self.task, FullSoftmax):
            return self._encode_items(tf.range(self.schema.num_items), training), lambda rows: rows
        wanted = tf.concat([inputs["item_id"], tf.reshape(tf.maximum(inputs["history"], 0), [-1])], axis=0)
        rows = tf.unique(wanted).y
        place = tf.scatter_nd(rows[:, tf.newaxis], tf.range(tf.size(rows)), [self.schema.num_items])
        return self._encode_items(rows, training), lambda wanted_rows: tf.gather(place, wanted_rows)

    def _queries(self, inputs: dict, items: tf.Tensor, position, training: bool | None = None) -> tf.Tensor:
        history = inputs["history"]
        vectors = tf.gather(items[:, : self.embedding_dim], position(tf.maximum(history, 0)))
        weights = tf.where(history >= 0, inputs["history_weight"], 0.0)
        features = {**self.user_table(inputs["user_id"]), "history": {"vectors": vectors, "weights": weights}}
        queries = self.query_tower(features, training=training)
        return tf.concat([queries, tf.ones_like(queries[:, :1])], axis=1)

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches: encoded features, and how often items occur.

        `fit` does it by itself on the first batches that it sees. Users and items without an interaction in `data`
        count as unknown by id: their content speaks for them.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where the frozen towers' vectors are kept; a folder of the user's cache by default.
            progress: Whether to show progress bars.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        counts = data.interactions.item_counts()
        features = encode_items(
            data.catalog,
            counts > 0,
            self.text_encoder,
            self.image_encoder,
            cache_dir=cache_dir,
            progress=progress,
        )
        self.item_table.fill(features)
        self.user_table.fill(encode_users(data))
        for name in ("text", "image"):
            if name in self.item_tower.encoders:
                self.item_tower.encoders[name].adapt(features[name][counts > 0])
        smoothed = (counts + 1.0) / (counts.sum() + len(counts))
        self.item_probability.assign(smoothed)
        if not self.normalize:
            self.item_bias.assign(np.log(smoothed) - np.log(smoothed).mean())

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.item_probability > 0))

    def compile(self, optimizer=None, **kwargs) -> None:
        """Configures training; without an optimizer `LazyAdam` with a rate that falls to zero over `fit`."""
        self._default_optimizer = optimizer is None
        if optimizer is None:
            self._rate = FallingRate(LEARNING_RATE)
            optimizer = LazyAdam(self._rate, weight_decay=0.1, beta_2=0.99)
        super().compile(optimizer=optimizer, **kwargs)

    def fit(self, x=None, *args, epochs: int = 1, initial_epoch: int = 0, **kwargs):
        """Trains as any Keras model; `x` may be `Dataset.batches(...)`, and so may `validation_data`.

        Args:
            x: `Batches`, or a `tf.data.Dataset` of such dictionaries (then call `adapt` before).
            *args: As for `keras.Model.fit`.
            epochs: Number of the last epoch.
            initial_epoch: Epochs already trained; the batches are those that would have come next.
            **kwargs: As for `keras.Model.fit`.
        """
        if isinstance(x, Batches):
            if not self.adapted:
                self.adapt(x.dataset)
            steps = len(x)
            x = x.as_dataset(initial_epoch, epochs - initial_epoch)
            kwargs["steps_per_epoch"] = steps
            if self._default_optimizer:
                start = int(self.optimizer.iterations) - steps * initial_epoch
                self._rate.restart(steps * epochs, start)
        elif not self.adapted:
            raise ValueError(
                "x: expected Batches (Dataset.batches(...)); for other input call model.adapt(data) first"
            )
        history = super().fit(x, *args, epochs=epochs, initial_epoch=initial_epoch, **kwargs)
        self.refresh_index()
        return history

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as any Keras model, by exact ranks over all items; the catalogue is encoded once.

        Args:
            x: `Batches` with a context, or a `tf.data.Dataset` of such dictionaries.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.
        """
        self.refresh_index()
        if isinstance(x, Batches):
            x = x.as_dataset(epochs=1)
        return super().evaluate(x, *args, **kwargs)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch."""
        items, position = self._items_of(inputs, training)
        queries = self._queries(inputs, items, position, training)
        if isinstance(self.task, FullSoftmax):
            return self.task(queries, items, inputs["item_id"], inputs["history"], inputs["weight"])
        return self.task(
            queries,
            tf.gather(items, position(inputs["item_id"])),
            item_ids=inputs["item_id"],
            item_probability=tf.gather(self.item_probability, inputs["item_id"]),
            sample_weight=inputs["weight"],
        )

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step; the reported loss is the mean over the epoch's examples."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, training=True)
            total = tf.add_n([loss, *self.losses])
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
        self._loss.update_state(total, sample_weight=tf.shape(inputs["item_id"])[0])
        return {"loss": self._loss.result()}

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Ranks the target of each row among all items, by counting those with at least its score."""
        loss = self.compute_loss(inputs, training=False)
        self._loss.update_state(loss, sample_weight=tf.shape(inputs["item_id"])[0])
        scores = self.index.scores(self.query_vectors(inputs))
        target = tf.gather(scores, inputs["item_id"], axis=1, batch_dims=1)
        # What the user knows already is out of the running, and so is the target itself.
        others = tf.concat(
            [inputs.get("exclude", inputs["history"]), inputs["item_id"][:, tf.newaxis]], axis=1
        )
        ahead = mask_rows(scores, others) >= target[:, tf.newaxis]
        rank = 1.0 + tf.reduce_sum(tf.cast(ahead, tf.float32), axis=1)
        top = tf.cast(rank <= 10, tf.float32)
        values = (top, top * np.log(2.0) / tf.math.log(1.0 + rank), 1.0 / rank)
        for metric, value in zip(self._ranks, values, strict=True):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def metrics(self) -> list:
        """The loss and the rank metrics, reset at each epoch."""
        return [self._loss, *self._ranks]

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments; the text tower's hold its architecture and vocabulary."""
        serialize = keras.layers.serialize
        return {
            "name": self.name,
            "schema": self.schema.to_json(),
            "text": serialize(self.text_encoder) if self.text_encoder else None,
            "image": serialize(self.image_encoder) if self.image_encoder else None,
            **self._arguments,
        }

    def get_compile_config(self) -> dict:
        """Returns the optimizer that `compile` was given; None stands for the default one."""
        given = None if self._default_optimizer else keras.optimizers.serialize(self.optimizer)
        return {"optimizer": given}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as `get_compile_config` says."""
        given = config["optimizer"]
        self.compile(given and keras.optimizers.deserialize(given, use_legacy_optimizer=True))

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> TwoTower:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        encoders = {
            name: keras.layers.deserialize(config[name], custom_objects) if config[name] else None
            for name in ("text", "image")
        }
        return cls(**{**config, "schema": Schema.from_json(config["schema"]), **encoders})

    def recommender(self, data: Dataset, **kwargs):
        """Returns a `Recommender` that serves this model to the users of `data`; arguments as for `Recommender`."""
        from tfrec_div.recommender import Recommender

        return Recommender(self, data, **kwargs)


def _image_encoder(image: str | ImageEncoder | None) -> ImageEncoder | None:
    if image is None or isinstance(image, ImageEncoder):
        return image
    if image != "resnet50":
        raise ValueError(f"image: expected 'resnet50', an ImageEncoder or None, got {image!r}")
    return ImageEncoder()


def _no_history(batch: int) -> dict[str, tf.Tensor]:
    return {"history": tf.fill([batch, 1], -1), "history_weight": tf.zeros([batch, 1])}
