"""Fixed views of an item's content, whose products are similarities: of vectors, codes and numbers."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf

# Distance of the places at which a standardised number is compared, and the width of each.
STEP = 0.5
PLACES = np.arange(-2.0, 2.0 + STEP, STEP, dtype=np.float32)
# A projection is learned from so many rows at most.
SAMPLE = 20_000


class View(keras.layers.Layer):
    """Base of the views: what a subclass makes of a feature is centred and brought to a mean square length of one.

    Nothing of a view is trained: `adapt` learns it from the catalogue. What all items have in common tells nothing
    about what a user likes, so the mean of the items that training has met is taken off; without this step the
    vectors of large models all look alike. A missing feature gives zeros.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, dim: int, **kwargs):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.dim = dim
        self.mean = self.add_weight(name="mean", shape=(dim,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)

    def raw(self, feature: tf.Tensor) -> tf.Tensor:
        """Returns what the view sees of a feature before it is centred, float [batch, dim]."""
        raise NotImplementedError

    def present(self, feature: tf.Tensor) -> tf.Tensor:
        """Tells which rows have the feature, bool [batch]."""
        raise NotImplementedError

    def adapt(self, feature) -> None:
        """Learns mean and scale from the feature of some items, `[n, ...]`."""
        feature = tf.convert_to_tensor(feature)
        raw = tf.boolean_mask(self.raw(feature), self.present(feature))
        if tf.shape(raw)[0] == 0:
            return
        self.mean.assign(tf.reduce_mean(raw, axis=0))
        length = tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(raw - self.mean), axis=1)))
        # What is the same for all items, but for rounding errors, is left at zero.
        least = 1e-5 * tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(raw), axis=1)))
        self.scale.assign(tf.where(length > least, 1.0 / tf.maximum(length, 1e-30), 0.0))

    def call(self, feature: tf.Tensor) -> tf.Tensor:
        """Returns the view of a feature `[batch, ...]`, float [batch, dim]."""
        present = tf.cast(self.present(feature), tf.float32)
        return (self.raw(feature) - self.mean) * self.scale * present[:, tf.newaxis]

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}


@keras.utils.register_keras_serializable(package="tfrec_div")
class VectorView(View):
    """The vector that a frozen text or image tower made, along its principal components.

    Args:
        input_dim: Length of the vectors.
        dim: Length of the output; at most that of the vectors.
        **kwargs: As for any Keras layer.

    Example:
        >>> view = VectorView(input_dim=3, dim=1)
        >>> view.adapt([[5.0, 1.0, 0.0], [5.0, -1.0, 0.0]])
        >>> np.abs(view(tf.constant([[5.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).numpy()).round(3).tolist()
        [[1.0], [0.0]]
    """

    def __init__(self, input_dim: int, dim: int, **kwargs):
        super().__init__(min(dim, input_dim), **kwargs)
        self.input_dim = input_dim
        self.components = self.add_weight(
            name="components", shape=(input_dim, self.dim), initializer="zeros", trainable=False
        )

    def raw(self, feature: tf.Tensor) -> tf.Tensor:
        """Projects vectors float [batch, input_dim]."""
        return tf.matmul(tf.cast(feature, tf.float32), self.components)

    def present(self, feature: tf.Tensor) -> tf.Tensor:
        """Tells which rows are not zero, bool [batch]."""
        return tf.reduce_any(feature != 0, axis=1)

    def adapt(self, feature) -> None:
        """Learns the principal components, the mean and the scale from vectors [n, input_dim]."""
        vectors = np.asarray(feature, np.float32)
        vectors = vectors[vectors.any(axis=1)]
        some = vectors[np.linspace(0, len(vectors) - 1, min(SAMPLE, len(vectors))).astype(int)]
        if len(some):
            self.components.assign(_principal_components(some - some.mean(axis=0), self.dim))
        super().adapt(vectors)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "input_dim": self.input_dim}


@keras.utils.register_keras_serializable(package="tfrec_div")
class CodeView(View):
    """Which codes of a category an item has; the code 0 means unknown.

    With more codes than `dim` each has a random direction, so that different codes are nearly at right angles.

    Args:
        num_codes: Known codes, which are 1 to `num_codes`.
        dim: Length of the output; at most the number of codes.
        **kwargs: As for any Keras layer.

    Example:
        >>> view = CodeView(num_codes=2, dim=8)
        >>> view.adapt([[1, 0], [2, 0], [1, 2]])
        >>> view(tf.constant([[1, 0], [1, 2]])).numpy().round(2).tolist()
        [[0.5, -1.0], [0.5, 0.5]]
    """

    def __init__(self, num_codes: int, dim: int, **kwargs):
        super().__init__(max(min(dim, num_codes), 1), **kwargs)
        self.num_codes = num_codes
        directions = np.eye(num_codes + 1, self.dim, k=-1)
        if num_codes > self.dim:
            directions = np.random.default_rng(num_codes).normal(size=directions.shape) / np.sqrt(self.dim)
            directions[0] = 0
        self.directions = self.add_weight(
            name="directions",
            shape=directions.shape,
            initializer=keras.initializers.Constant(directions),
            trainable=False,
        )

    def raw(self, feature: tf.Tensor) -> tf.Tensor:
        """Adds up the directions of codes int [batch, n]."""
        return tf.reduce_sum(tf.gather(self.directions, feature), axis=1)

    def present(self, feature: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a known code, bool [batch]."""
        return tf.reduce_any(feature > 0, axis=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_codes": self.num_codes}


@keras.utils.register_keras_serializable(package="tfrec_div")
class NumberView(View):
    """How near a standardised number is to each of several places, so that products tell near numbers from far ones.

    Args:
        **kwargs: As for any Keras layer.

    Example:
        >>> view = NumberView()
        >>> view.adapt([[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
        >>> low, near, high = view(tf.constant([[-1.0, 1.0], [-0.8, 1.0], [1.0, 1.0]]))
        >>> bool(tf.reduce_sum(low * near) > tf.reduce_sum(low * high))
        True
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dim": len(PLACES)})

    def raw(self, feature: tf.Tensor) -> tf.Tensor:
        """Compares the values of (value, presence) float [batch, 2] with the places."""
        value = tf.clip_by_value(feature[:, :1], PLACES[0], PLACES[-1])
        return tf.exp(-0.5 * tf.square((value - PLACES) / STEP))

    def present(self, feature: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a number, bool [batch]."""
        return feature[:, 1] > 0


def _principal_components(centred: np.ndarray, dim: int) -> np.ndarray:
    """Returns the directions of the most variance, float [input_dim, dim], through the smaller of both products."""
    if len(centred) < centred.shape[1]:
        values, left = np.linalg.eigh(centred @ centred.T)
        left = left[:, ::-1][:, :dim]
        right = centred.T @ left / np.sqrt(np.maximum(values[::-1][:dim], 1e-30))
        # The rest are directions of rounding errors.
        tells = values[::-1][:dim] > 1e-6 * max(values.max(), 1e-30)
        return np.pad(np.where(tells, right, 0), [(0, 0), (0, dim - right.shape[1])])
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dim]
