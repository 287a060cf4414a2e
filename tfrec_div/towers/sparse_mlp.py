"""Layers over a row of a sparse matrix, such as the ratings of a user."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout


@keras.utils.register_keras_serializable(package="tfrec_div")
class SparseMLP(keras.layers.Layer):
    """Reads rows of a sparse matrix, given as the columns that are not zero and their values.

    The first layer of an MLP on such a row is a sum of embeddings: those of the columns, each times its value. It is
    divided by the square root of the sum of the values' sizes, so that long rows do not drown short ones. An empty
    row gives what the biases make of zero.

    Args:
        num_columns: Columns of the matrix.
        units: Length of each layer's output; between them are ReLUs, the last layer is linear.
        dropout: Share of the first layer's output that training drops.
        seed: Of the dropout.
        **kwargs: As for any Keras layer; it computes in float32 unless `dtype` says otherwise.

    Example:
        >>> layer = SparseMLP(5, [4, 2])
        >>> layer(tf.constant([[3, 0], [-1, -1]]), tf.constant([[1.0, 0.5], [0.0, 0.0]])).shape
        TensorShape([2, 2])

    Layers on the rows and columns of the matrix of ratings: Xue et al. (2017), Deep matrix factorization models for
    recommender systems.
    """

    def __init__(self, num_columns: int, units: Sequence[int], dropout: float = 0.0, seed: int = 0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not units or min(units) < 1:
            raise ValueError(f"units: expected at least one length of 1 or more, got {list(units)}")
        self.num_columns, self.units, self.rate, self.seed = num_columns, tuple(units), dropout, seed
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(num_columns, self.units[0]),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        self.bias = self.add_weight(name="bias", shape=(self.units[0],), initializer="zeros")
        # Not the global policy's: they compute in what this layer does.
        policy = self.dtype_policy
        self.dropout = RepeatableDropout(dropout, seed=seed, dtype=policy)
        self.layers = [
            keras.layers.Dense(size, name=f"dense_{n}", dtype=policy) for n, size in enumerate(self.units[1:])
        ]
        for layer, size in zip(self.layers, self.units, strict=False):
            layer.build((None, size))

    def call(self, columns: tf.Tensor, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns what the layers make of rows, float [batch, last of units].

        Args:
            columns: Int [batch, n], the columns of each row; -1 is padding.
            values: Float [batch, n]; where padded they do not count.
            training: Whether dropout is active.
        """
        values = tf.where(columns >= 0, tf.cast(values, self.compute_dtype), 0.0)
        # Most rows are far shorter than the longest: only what is there is looked up.
        there = tf.where(values != 0)
        value = tf.gather_nd(values, there)
        vectors = tf.gather(self.embeddings, tf.gather_nd(columns, there)) * value[:, tf.newaxis]
        total = tf.maximum(tf.reduce_sum(tf.abs(values), axis=1, keepdims=True), 1e-6)
        pooled = tf.math.unsorted_segment_sum(vectors, there[:, 0], tf.shape(values)[0]) * tf.math.rsqrt(
            total
        )
        hidden = pooled + self.bias
        if self.layers:
            hidden = self.dropout(tf.nn.relu(hidden), training=training)
        for layer in self.layers[:-1]:
            hidden = tf.nn.relu(layer(hidden))
        return self.layers[-1](hidden) if self.layers else hidden

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {
            "num_columns": self.num_columns,
            "units": self.units,
            "dropout": self.rate,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
