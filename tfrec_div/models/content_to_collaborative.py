"""Items by where their content puts them among what people like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.new_items import check_larger
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.content_network import ContentNetwork
from tfrec_div.models.content_ridge import choose_penalty, item_factors, make_folds, ridge, user_item_matrix
from tfrec_div.models.grown_weights import copy_grown_weights
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.towers.content_profile import ContentProfile
from tfrec_div.towers.item_tower import build_views

METHODS = ("ridge", "mlp")
SPACES = ("factors", "towers")


@keras.utils.register_keras_serializable(package="tfrec_div")
class ContentToCollaborative(Retriever):
    """Recommends by content alone, read the way that users' likings say: for new items as well as for others.

    Interactions put the items that were met into a space in which near items are liked by the same people. A map from
    content to this space is learned from them, by ridge regression in closed form, with or without a small network on
    top. It then puts every item where its content belongs, whether it was met or not. A user is where the items of the
    history are: those that were met by what people did with them, the others by their content; one without a history
    is where the users are on the average.

    The content is what frozen towers made of texts and pictures, the categories and the numbers, each centred on the
    items that were met and weighed as in the content profile of `content`, so that a modality that tells little counts
    for little once that model has been trained.

    Args:
        content: Model whose towers read the items' content; it need not be trained, unless the space is "towers".
        method: "ridge" or "mlp": the ridge, and a network that learns what it misses.
        space: "factors" (the singular vectors of the users' strengths by item) or "towers" (the vectors that
            `content` has learned for items and users; those of one with a content profile hold only what that profile
            leaves to say, and serve badly).
        factors: Singular vectors that are kept.
        l2: Penalty of the ridge, as a share of the number of items; None: cross-validation chooses it, taking a
            fifth of the met items at a time for new ones.
        content_dim: Length of the view of a modality at most.
        hidden_units: Layers of the network.
        epochs: Passes of the network's training over the items at most; it ends when held-out items get worse.
        max_history: Latest items of a history that a query holds.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=40, num_items=30, images=False)
        >>> train, test = data.split("cold_items")
        >>> model = ContentToCollaborative(TwoTower(data.schema, embedding_dim=8), factors=8)
        >>> _ = model.fit(train)
        >>> rows, scores = model.retrieve(model.query_of(train, [0]), k=3)
        >>> rows.shape
        TensorShape([1, 3])

    Maps from content to factors: van den Oord, Dieleman and Schrauwen (2013), Deep content-based music
    recommendation; Gantner et al. (2010), Learning attribute-to-feature mappings for cold-start recommendations.
    """

    def __init__(
        self,
        content: TwoTower,
        method: str = "ridge",
        space: str = "factors",
        factors: int = 32,
        l2: float | None = None,
        content_dim: int = 128,
        hidden_units: Sequence[int] = (256,),
        epochs: int = 300,
        max_history: int = 300,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        for name, value, known in (("method", method, METHODS), ("space", space, SPACES)):
            if value not in known:
                raise ValueError(f"{name}: expected one of {list(known)}, got {value!r}")
        if factors < 1:
            raise ValueError(f"factors: expected at least 1, got {factors}")
        if l2 is not None and not l2 > 0:
            raise ValueError(f"l2: expected a number above 0, or None, got {l2}")
        if not isinstance(content, TwoTower):
            raise TypeError(f"content: expected a TwoTower, got {type(content).__name__}")
        views = build_views(content.item_tower, content_dim)
        if not views:
            raise ValueError(
                "content: expected a model with a frozen text or image tower, categories or numbers; its features "
                f"are {sorted(content.item_tower.encoders)}"
            )
        self.content, self.method, self.space, self.l2 = content, method, space, l2
        self.factors, self.content_dim, self.epochs = factors, content_dim, epochs
        self.hidden_units, self.max_history = tuple(hidden_units), max_history
        self.schema, items = content.schema, content.schema.num_items
        self.profile = ContentProfile(views, items, trainable=False, name="views")
        self.dim = factors if space == "factors" else content.embedding_dim + 1
        # Row 0 stays zero and answers for the row -1.
        self.places = self.add_weight(
            name="places", shape=(items + 1, self.dim), initializer="zeros", trainable=False
        )
        # Where the users are on the average: the place of one without a history.
        self.everyone = self.add_weight(
            name="everyone", shape=(self.dim,), initializer="zeros", trainable=False
        )
        self.kernel = self.add_weight(
            name="kernel", shape=(self.profile.dim, self.dim), initializer="zeros", trainable=False
        )
        self.network: ContentNetwork | None = None
        if method == "mlp":
            self.network = ContentNetwork(self.profile.dim, self.dim, hidden_units, name="network")
        # The penalty that was used, as a share of the number of items.
        self.penalty = self.add_weight(name="penalty", shape=(), initializer="zeros", trainable=False)
        self.index = BruteForce(self.dim, items, dtype="float32")
        self.built = True

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights."""
        self.built = True

    # ------------------------------------------------------------------ queries

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each pair of a query and its `item_id` int [batch], float [batch]."""
        vectors = tf.gather(self.index.vectors, inputs["item_id"])
        return tf.reduce_sum(self.query_vectors(inputs) * vectors, axis=1)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns where users are in the space, float [batch, dim]."""
        if self.space == "towers":
            towers = self.content.query_vectors(query)
            # The last entry of an item is its bias.
            return tf.concat([towers[:, : self.content.embedding_dim], towers[:, -1:]], axis=1)
        history = query["history"]
        strength = tf.where(history >= 0, tf.cast(query["history_weight"], tf.float32), 0.0)
        pooled = tf.einsum("bs,bsd->bd", strength, tf.gather(self.places, history + 1))
        total = tf.reduce_sum(strength, axis=1, keepdims=True)
        return tf.where(total > 0, pooled * tf.math.rsqrt(tf.maximum(total, 1e-6)), self.everyone)

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of every item by its content, float [batch, items]."""
        return self.index.scores(self.query_vectors(query))

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the cosines of the places where content puts items, float [batch, items]."""
        vectors = tf.math.l2_normalize(self.index.vectors, axis=1)
        return tf.matmul(tf.gather(vectors, rows), vectors, transpose_b=True)

    def item_embeddings(self) -> np.ndarray:
        """Returns the places where content puts items, float32 [items, dim]."""
        return self.index.vectors.numpy()

    @property
    def content_model(self) -> TwoTower:
        """The model whose towers have read the content."""
        return self.content

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Has the content model read the content, unless it has; arguments as for `Retriever.adapt`.

        A content model that has been trained stays as it is: reading anew would undo a part of its training.
        """
        if not self.content.adapted:
            self.content.adapt(data, cache_dir, progress)

    def fit(self, x: Batches | Dataset, *args, **kwargs) -> keras.callbacks.History:
        """Learns the map from the interactions of a data set; there is nothing to compile.

        Args:
            x: The data set, or its `batches`, of which only the data set counts.
            *args: Passed over, as what Keras' `fit` takes has no meaning here.
            **kwargs: As `args`.

        Returns:
            A history whose `history["loss"]` has the network's losses, or the mean squared error of the ridge.
        """
        data = x.dataset if isinstance(x, Batches) else x
        if not isinstance(data, Dataset):
            raise TypeError(f"x: expected a Dataset or its batches, got {type(x).__name__}")
        if data.schema != self.schema:
            raise ValueError("x: its schema is not the one that the model was made with")
        if self.space == "towers" and not self.content.index.vectors.numpy().any():
            raise ValueError("content: the space 'towers' needs a model that has been trained")
        self.adapt(data)
        met = data.interactions.item_counts() > 0
        self.profile.fill(self._content_from(0), met)
        if self.content.profile is not None:
            gains = {name: self.content.profile.gains.get(name, 1.0) for name in self.profile.views}
            self.profile.log_gain.assign(np.log(list(gains.values())))
        views = self.profile(tf.range(self.schema.num_items)).numpy().astype(np.float64)
        rows = np.flatnonzero(met)
        places, weight = self._places_of(data, rows)
        history = keras.callbacks.History()
        history.set_model(self)
        history.on_train_begin()
        share = self.l2 or choose_penalty(views[rows], self._folds(data, rows))
        self.penalty.assign(share)
        kernel = ridge(views[rows], places, share * len(rows))
        self.kernel.assign(kernel)
        losses = [float(np.mean(np.square(views[rows] @ kernel - places)))]
        if self.network is not None:
            losses = self.network.learn(views[rows], places - views[rows] @ kernel, weight, self.epochs)
        for epoch, loss in enumerate(losses):
            history.on_epoch_end(epoch, {"loss": loss})
        self.index.update(self._placed(views))
        everywhere = self.index.vectors.numpy().copy()
        everywhere[rows] = places
        self.places.assign(np.concatenate([np.zeros((1, self.dim)), everywhere]))
        active = np.diff(data.interactions.histories()[1]) > 0
        self.everyone.assign(self._queries_of_all(data)[active].mean(axis=0))
        return history

    def _content_from(self, first: int, content: TwoTower | None = None) -> dict[str, np.ndarray]:
        """Returns the encoded content of the items from `first` on."""
        values = (content or self.content).item_table.values
        return {name: values[name].numpy()[1 + first :] for name in self.profile.views}

    def _placed(self, views: np.ndarray) -> tf.Tensor:
        """Returns where content puts items, by their weighed views."""
        views = tf.cast(views, tf.float32)
        placed = tf.matmul(views, self.kernel)
        return placed if self.network is None else placed + self.network(views)

    def _places_of(self, data: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the places of the items that were met, and what each dimension counts for."""
        if self.space == "towers":
            vectors = self.content.index.vectors.numpy()[rows]
            dim = self.content.embedding_dim
            return np.concatenate([vectors[:, :dim], vectors[:, -1:]], axis=1), np.ones(self.dim)
        places, values = item_factors(user_item_matrix(data, data.interactions.strength())[:, rows], self.dim)
        return places, np.square(values)

    def _folds(self, data: Dataset, rows: np.ndarray) -> list:
        log = data.interactions
        strengths = user_item_matrix(data, log.strength())[:, rows]
        liked = user_item_matrix(data, log.relevant())[:, rows]
        if self.space == "towers":
            places = self._places_of(data, rows)[0]
            users = self._queries_of_all(data)
            return make_folds(strengths, liked, lambda kept: (places[kept], users))

        def space(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            factors = item_factors(strengths[:, kept], self.dim)[0]
            return factors, strengths[:, kept] @ factors

        return make_folds(strengths, liked, space)

    def _queries_of_all(self, data: Dataset, batch: int = 512) -> np.ndarray:
        users = range(0, self.schema.num_users, batch)
        blocks = [range(start, min(start + batch, self.schema.num_users)) for start in users]
        return np.concatenate([self.query_vectors(self.query_of(data, block)).numpy() for block in blocks])

    # ------------------------------------------------------------------ new items

    def with_items(self, data: Dataset, content: TwoTower | None = None) -> ContentToCollaborative:
        """Returns the same model for more items, which it puts where their content belongs.

        Args:
            data: Whose items are the model's, and new ones after them.
            content: The content model with these items, if it is at hand.
        """
        check_larger(self.schema, data.schema)
        content = self.content.with_items(data) if content is None else content
        larger = type(self)(**{**self.get_config(), "content": content})
        for name in ("profile", "network"):
            if (part := getattr(self, name)) is not None:
                copy_grown_weights(part, getattr(larger, name))
        larger.kernel.assign(self.kernel)
        larger.everyone.assign(self.everyone)
        larger.penalty.assign(self.penalty)
        views = self.profile.encode_all(self._content_from(self.schema.num_items, content))
        larger.profile.items.assign(np.concatenate([self.profile.items.numpy(), views]))
        placed = larger._placed(self.profile.weigh(tf.constant(views)).numpy())
        larger.index.update(tf.concat([self.index.vectors, placed], axis=0))
        larger.places.assign(tf.concat([self.places, placed], axis=0))
        return larger

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "content": keras.saving.serialize_keras_object(self.content),
            "method": self.method,
            "space": self.space,
            "factors": self.factors,
            "l2": self.l2,
            "content_dim": self.content_dim,
            "hidden_units": self.hidden_units,
            "epochs": self.epochs,
            "max_history": self.max_history,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ContentToCollaborative:
        """Makes a model of what `get_config` returned; `content` may be a model already."""
        content = config["content"]
        if not isinstance(content, TwoTower):
            content = keras.saving.deserialize_keras_object(content, custom_objects)
        return cls(**{**config, "content": content})
