"""What a user likes by content: the items of the history, compared with others by each modality."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.towers.views import View

# Of every modality at the start.
START_GAIN = 1.0
# Items that are encoded at once when a catalogue is read.
BATCH = 4096


@keras.utils.register_keras_serializable(package="tfrec_div")
class ContentProfile(keras.layers.Layer):
    """Scores items by their likeness to a user's history, modality by modality.

    The profile of a user is the sum of the views of the history's items, each times its strength, over the square
    root of these strengths' sum; the score of an item is the sum over the modalities of gain x (profile . view).
    Only the gains are learned: one number a modality, which a few hundred items are enough for, so that items that
    training has not met are ranked as well as others, and a modality that tells little gets a small gain. Half of a
    gain (its root) is on either side, so that cosines of items weigh the modalities alike.

    Args:
        views: A `View` for each modality, by the name of the feature that it reads.
        num_items: Rows of the catalogue.
        **kwargs: As for any Keras layer.

    Example:
        >>> from tfrec_div.towers.views import CodeView
        >>> profile = ContentProfile({"categories": CodeView(2, 8)}, num_items=2)
        >>> profile.fill({"categories": np.array([[1], [2]])}, met=np.array([True, True]))
        >>> query = profile.query(tf.constant([[0, -1]]), tf.constant([[1.0, 0.0]]))
        >>> scores = tf.matmul(query, profile(tf.constant([0, 1])), transpose_b=True)
        >>> bool(scores[0, 0] > scores[0, 1])
        True

    Profiles of content: Pazzani and Billsus (2007), Content-based recommendation systems.
    """

    def __init__(self, views: Mapping[str, View], num_items: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not views:
            raise ValueError("views is empty: a profile needs at least one modality")
        self.views = dict(views)
        self.num_items = num_items
        lengths = [view.dim for view in self.views.values()]
        self.dim = sum(lengths)
        # Which modality an entry belongs to: a product with it gives every entry its modality's value.
        self._belongs = np.repeat(np.eye(len(lengths), dtype=np.float32), lengths, axis=0)
        self.log_gain = self.add_weight(
            name="log_gain",
            shape=(len(lengths),),
            initializer=keras.initializers.Constant(np.log(START_GAIN)),
        )
        # Row 0 stays zero and answers for the row -1.
        self.items = self.add_weight(
            name="items", shape=(num_items + 1, self.dim), initializer="zeros", trainable=False
        )

    def fill(self, features: Mapping[str, np.ndarray], met: np.ndarray) -> None:
        """Reads the catalogue.

        Args:
            features: An array [items, ...] for each modality.
            met: Boolean [items], the items that training meets; the views learn from them.
        """
        for name, view in self.views.items():
            view.adapt(features[name][met])
        self.items.assign(np.concatenate([np.zeros((1, self.dim), np.float32), self.encode_all(features)]))

    def encode_all(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the views of many items, float32 [items, dim].

        Args:
            features: An array [items, ...] for each modality.
        """
        count = len(features[next(iter(self.views))])
        parts = [
            self.encode({name: features[name][i : i + BATCH] for name in self.views}).numpy()
            for i in range(0, count, BATCH)
        ]
        return np.concatenate(parts)

    def encode(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the views of features [batch, ...], end to end, float [batch, dim]."""
        return tf.concat([view(tf.convert_to_tensor(features[n])) for n, view in self.views.items()], axis=1)

    def weigh(self, views: tf.Tensor) -> tf.Tensor:
        """Returns views [..., dim] times the roots of the gains."""
        return views * tf.linalg.matvec(tf.constant(self._belongs), tf.exp(0.5 * self.log_gain))

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the weighed views of the catalogue's rows int [...], float [..., dim]; zeros for -1."""
        return self.weigh(tf.gather(self.items, rows + 1))

    def query(self, history: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns profiles times the roots of the gains, float [batch, dim].

        Args:
            history: Int [batch, steps], rows; -1 is padding.
            strength: Float [batch, steps], 0 for padding.
        """
        pooled = tf.einsum("bs,bsd->bd", strength, tf.gather(self.items, history + 1))
        total = tf.reduce_sum(strength, axis=1, keepdims=True)
        return self.weigh(pooled * tf.math.rsqrt(tf.maximum(total, 1e-6)))

    def alone(self, queries: tf.Tensor, before: int) -> tf.Tensor:
        """Returns queries that score by the profile and the bias alone, whose gradient goes to the gains alone.

        Args:
            queries: Float [batch, before + dim + 1]: the towers' vector, a profile with gains, and a one.
            before: Entries before the profile.
        """
        # Ones, with the gradient of the gains.
        ones = tf.exp(self.log_gain - tf.stop_gradient(self.log_gain))
        profile = tf.stop_gradient(queries[:, before:-1]) * tf.linalg.matvec(tf.constant(self._belongs), ones)
        return tf.concat([tf.zeros_like(queries[:, :before]), profile, tf.ones_like(queries[:, -1:])], axis=1)

    @property
    def gains(self) -> dict[str, float]:
        """What each modality counts for, by name."""
        return dict(zip(self.views, np.exp(self.log_gain.numpy()).tolist(), strict=True))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        views = {name: keras.layers.serialize(view) for name, view in self.views.items()}
        return {**super().get_config(), "views": views, "num_items": self.num_items}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ContentProfile:
        """Makes a profile of what `get_config` returned."""
        build = keras.layers.deserialize
        views = {name: build(view, custom_objects) for name, view in config["views"].items()}
        return cls(**{**config, "views": views})
