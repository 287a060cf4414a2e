"""What the texts of items add to their tokens."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.towers.views import VectorView


@keras.utils.register_keras_serializable(package="tfrec_div")
class TokenTexts(keras.layers.Layer):
    """Frozen text vectors of all items along their principal components, times a learned matrix.

    Args:
        num_items: Items.
        input_dim: Length of the text vectors.
        view_dim: Principal components that are kept.
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = TokenTexts(num_items=2, input_dim=3, view_dim=1, dim=4)
        >>> layer.fill(np.array([[5.0, 1.0, 0.0], [5.0, -1.0, 0.0]]), met=np.array([True, True]))
        >>> vectors = layer(tf.constant([0, 1, -1]))
        >>> bool(tf.reduce_all(vectors[0] == -vectors[1])), float(tf.norm(vectors[2]))
        (True, 0.0)
    """

    def __init__(self, num_items: int, input_dim: int, view_dim: int, dim: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self._arguments = {"num_items": num_items, "input_dim": input_dim, "view_dim": view_dim, "dim": dim}
        self.view = VectorView(input_dim, view_dim, name="view")
        # Row 0 stays zero and answers for the row -1.
        shape = (num_items + 1, self.view.dim)
        self.items = self.add_weight(name="items", shape=shape, initializer="zeros", trainable=False)
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.kernel = self.add_weight(name="kernel", shape=(self.view.dim, dim), initializer=start)
        self.built = True

    def fill(self, vectors: np.ndarray, met: np.ndarray) -> None:
        """Reads the catalogue.

        Args:
            vectors: Float [items, input_dim]; zeros for an item without a text.
            met: Boolean [items], the items that training meets; the components are theirs.
        """
        self.view.adapt(vectors[met])
        self.items.assign(np.pad(self.view(tf.constant(vectors, tf.float32)).numpy(), [(1, 0), (0, 0)]))

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns what the texts of rows int [...] add, float [..., dim]; zeros for -1."""
        return tf.tensordot(tf.gather(self.items, rows + 1), self.kernel, axes=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self._arguments}
