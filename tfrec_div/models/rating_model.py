"""Predicts the rating that a user would give to an item."""

from __future__ import annotations

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.models.bayesian_factors import average_factors
from tfrec_div.models.side_features import side_features

# Pairs that are looked up at once.
BATCH = 65_536


def has_ratings(interactions: Interactions) -> bool:
    """Tells whether there is a rating to learn from: more than one value."""
    if interactions.rating is None:
        return False
    known = interactions.rating[np.isfinite(interactions.rating)]
    return len(known) > 0 and known.min() < known.max()


def rated(interactions: Interactions) -> Interactions:
    """Returns the interactions that have a rating; there must be a column of them."""
    return interactions.take(np.isfinite(np.asarray(interactions.rating)))


def _rows(name: str, values, count: int) -> np.ndarray:
    """Returns rows out of -1 to `count` - 1 as int32 [n]; refuses what is none."""
    rows = np.asarray(values)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(f"{name}: expected whole numbers of shape [n], got {rows.dtype} {list(rows.shape)}")
    wrong = rows[(rows < -1) | (rows >= count)]
    if wrong.size:
        raise ValueError(f"{name}: expected rows from -1 to {count - 1}, got {wrong[0]}")
    return rows.astype(np.int32)


@keras.utils.register_keras_serializable(package="tfrec_div")
class RatingModel(keras.Model):
    """Ratings by biases, factors and features, averaged over all that the ratings leave open.

    The rating is mean + user's bias + item's bias + product of their factors, cut to the scale of the data. Biases and
    factors lie around a linear function of the features: the columns of users and items, whom they have rated or by
    whom they were rated, and vectors of their content. So an item or user without ratings is predicted by the
    features, and one that is not in the schema at all (row -1) as an average one.

    `fit` draws from the distribution of all this given the ratings instead of following gradients (see
    `average_factors`), and has nothing that must be tuned to a data set. `predict`, `evaluate` (after `compile` with a
    loss or metrics), `save` and `keras.models.load_model` are those of any Keras model.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        factors: Numbers that describe a taste.
        sweeps: Times that everything is drawn; time grows with it.
        burn_in: First sweeps, which are not averaged.
        dim: Length of the factors that are kept: rank of the average, at least `factors`.
        seed: Of the draws.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False, ratings=True)
        >>> model = RatingModel(data.schema, sweeps=10, burn_in=5)
        >>> history = model.fit(data, verbose=0)
        >>> model.ratings([0, -1], [3, 3]).shape
        (2,)

    Bayesian factorisation: Salakhutdinov and Mnih (2008); as the strongest baseline: Rendle, Zhang and Koren (2019).
    """

    def __init__(
        self,
        schema: Schema,
        factors: int = 16,
        sweeps: int = 80,
        burn_in: int = 16,
        dim: int = 32,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not 1 <= factors <= dim:
            raise ValueError(f"factors: expected 1 to dim={dim}, got {factors}")
        if not 0 <= burn_in < sweeps:
            raise ValueError(f"burn_in: expected 0 to below sweeps={sweeps}, got {burn_in}")
        self.schema = schema
        self._arguments = {
            "factors": factors,
            "sweeps": sweeps,
            "burn_in": burn_in,
            "dim": dim,
            "seed": seed,
        }

        def table(name: str, *shape: int) -> tf.Variable:
            return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

        # The last row is that of an unknown user or item.
        self.user_bias = table("user_bias", schema.num_users + 1)
        self.item_bias = table("item_bias", schema.num_items + 1)
        self.user_factors = table("user_factors", schema.num_users + 1, dim)
        self.item_factors = table("item_factors", schema.num_items + 1, dim)
        self.mean = table("mean")
        self.scale = table("scale", 2)
        self({"user_id": tf.zeros([1], tf.int32), "item_id": tf.zeros([1], tf.int32)})

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights."""
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the rating of each pair, float [batch].

        Args:
            inputs: `user_id`, `item_id` int [batch], rows as in the schema; -1 is an unknown one.
            training: Of no meaning here.
        """
        user, item = (
            tf.where(inputs[name] < 0, count, tf.cast(inputs[name], tf.int32))
            for name, count in (("user_id", self.schema.num_users), ("item_id", self.schema.num_items))
        )
        product = tf.gather(self.user_factors, user) * tf.gather(self.item_factors, item)
        biases = tf.gather(self.user_bias, user) + tf.gather(self.item_bias, item)
        rating = self.mean + biases + tf.reduce_sum(product, axis=-1)
        return tf.clip_by_value(rating, self.scale[0], self.scale[1])

    def ratings(self, user_rows, item_rows) -> np.ndarray:
        """Returns the rating of each pair, float32 [n].

        Args:
            user_rows: Int [n], rows of users; -1 is an unknown one.
            item_rows: Int [n], rows of items; alike.

        Raises:
            ValueError: If the rows are none of the schema's, or not as many users as items, or there was no `fit`.
        """
        if not self.adapted:
            raise ValueError("model: expected one that has seen ratings, got one before `fit`")
        users = _rows("user_rows", user_rows, self.schema.num_users)
        items = _rows("item_rows", item_rows, self.schema.num_items)
        if len(users) != len(items):
            raise ValueError(f"item_rows: expected {len(users)}, as many as users, got {len(items)}")
        ratings = np.empty(users.shape, np.float32)
        for start in range(0, len(users), BATCH):
            part = slice(start, start + BATCH)
            ratings[part] = self({"user_id": tf.constant(users[part]), "item_id": tf.constant(items[part])})
        return ratings

    @property
    def adapted(self) -> bool:
        """Whether the model has seen ratings."""
        return bool(self.scale[0] < self.scale[1])

    def fit(
        self,
        x: Dataset | Batches | None = None,
        item_vectors: np.ndarray | None = None,
        verbose: int | str = "auto",
        **kwargs,
    ) -> keras.callbacks.History:
        """Learns from all ratings of a data set; what was learned before is forgotten.

        Args:
            x: The data set, or batches of it.
            item_vectors: Float [items, dim] of the items' content, zero where missing, such as what a frozen text
                tower made of them (`TwoTower.content("text")`).
            verbose: 0 shows no progress; "auto" shows it on a terminal.
            **kwargs: None: there are no epochs, since each sweep is over all ratings.

        Returns:
            A history with the root mean squared error `rmse` on the ratings by sweep (of single draws: their
            average, which predicts, is better).

        Raises:
            DataError: If the data has no ratings, or all are equal.
            ValueError: If an argument does not fit.
        """
        data = x.dataset if isinstance(x, Batches) else x
        if not isinstance(data, Dataset):
            raise ValueError(f"x: expected a Dataset or Batches of it, got {type(x).__name__}")
        if kwargs:
            raise ValueError(f"{next(iter(kwargs))}: expected no such argument, since fit has no epochs")
        if data.schema != self.schema:
            raise ValueError("x: its schema is not the one that the model was made with")
        if not has_ratings(data.interactions):
            found = "none" if data.interactions.rating is None else "one value only"
            raise DataError([Problem("interactions", None, "rating", "ratings to learn from", found)])
        if item_vectors is not None:
            shape = np.shape(item_vectors)
            if len(shape) != 2 or shape[0] != self.schema.num_items:
                raise ValueError(
                    f"item_vectors: expected shape [{self.schema.num_items}, dim], got {list(shape)}"
                )
        log = rated(data.interactions)
        history = keras.callbacks.History()
        history.set_model(self)
        history.on_train_begin()
        sweeps = self._arguments["sweeps"]
        with tqdm(
            total=sweeps, desc="Ratings", unit="sweep", disable=None if verbose == "auto" else not verbose
        ) as bar:

            def on_sweep(rmse: float) -> None:
                history.on_epoch_end(bar.n, {"rmse": rmse})
                bar.update()

            learned = average_factors(
                log.user,
                log.item,
                np.asarray(log.rating),
                side_features(data.users, log.user, log.item, self.schema.num_items),
                side_features(data.catalog, log.item, log.user, self.schema.num_users, item_vectors),
                on_sweep=on_sweep,
                **self._arguments,
            )
        for name in ("mean", "user_bias", "item_bias", "user_factors", "item_factors"):
            getattr(self, name).assign(getattr(learned, name))
        self.scale.assign(log.rating_scale)
        return history

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"name": self.name, "schema": self.schema.to_json(), **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RatingModel:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        return cls(**{**config, "schema": Schema.from_json(config["schema"])})
