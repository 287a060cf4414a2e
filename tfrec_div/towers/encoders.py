"""Layers that turn one encoded feature into a vector: codes, numbers, and what a frozen tower made."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout


@keras.utils.register_keras_serializable(package="tfrec_div")
class CodeEncoder(keras.layers.Layer):
    """Sums the embeddings of the codes of an id or a category; the code 0 means unknown and adds nothing.

    Args:
        num_codes: Known codes, which are 1 to `num_codes`.
        dim: Length of the output.
        dropout: Share of the rows whose codes training takes for unknown, in [0, 1). It teaches a tower to manage
            without an id.
        initial_scale: Standard deviation of the embeddings at the start.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = CodeEncoder(num_codes=3, dim=2)
        >>> encoder(tf.constant([[1, 2], [0, 0]]))[1].numpy().tolist()
        [0.0, 0.0]
    """

    def __init__(self, num_codes: int, dim: int, dropout: float = 0.0, initial_scale: float = 0.05, **kwargs):
        super().__init__(**kwargs)
        self.num_codes = num_codes
        self.dim = dim
        self.dropout = dropout
        self.initial_scale = initial_scale
        self._drop = RepeatableDropout(dropout, whole_rows=True)
        self._embedding = keras.layers.Embedding(
            num_codes + 1, dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=initial_scale)
        )

    def call(self, codes: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encodes codes int [batch] or [batch, n] to float [batch, dim]."""
        codes = codes if codes.shape.rank == 2 else codes[:, tf.newaxis]
        known = self._drop(tf.cast(codes > 0, self.compute_dtype), training=training)
        return tf.reduce_sum(self._embedding(codes) * known[..., tf.newaxis], axis=1)

    @staticmethod
    def present(codes: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a known code, bool [batch]."""
        return tf.reduce_any(tf.reshape(codes, [tf.shape(codes)[0], -1]) > 0, axis=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"num_codes": self.num_codes, "dim": self.dim, "dropout": self.dropout}
        return {**super().get_config(), **config, "initial_scale": self.initial_scale}


@keras.utils.register_keras_serializable(package="tfrec_div")
class NumberEncoder(keras.layers.Layer):
    """Encodes a standardised number through a small curve; a missing one gives zero.

    Args:
        dim: Length of the output.
        hidden: Units of the layer in between.
        **kwargs: As for any Keras layer.

    Example:
        >>> NumberEncoder(2)(tf.constant([[1.5, 1.0], [0.0, 0.0]]))[1].numpy().tolist()
        [0.0, 0.0]
    """

    def __init__(self, dim: int, hidden: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.hidden = hidden
        self._curve = keras.layers.Dense(hidden, activation="tanh")
        self._out = keras.layers.Dense(dim, use_bias=False)

    def call(self, number: tf.Tensor) -> tf.Tensor:
        """Encodes (value, presence) float [batch, 2] to float [batch, dim]."""
        return self._out(self._curve(number[:, :1])) * number[:, 1:]

    @staticmethod
    def present(number: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a number, bool [batch]."""
        return number[:, 1] > 0

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "hidden": self.hidden}


@keras.utils.register_keras_serializable(package="tfrec_div")
class VectorEncoder(keras.layers.Layer):
    """Centres and projects the vector that a frozen text or image tower made; a zero vector is a missing one.

    Vectors of large models lie close around their common mean. It is subtracted, so that what is left tells items
    apart; `adapt` learns it.

    Args:
        input_dim: Length of the vectors.
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> encoder = VectorEncoder(2, 4)
        >>> encoder.adapt([[1.0, 3.0], [3.0, 3.0], [0.0, 0.0]])
        >>> encoder.mean.numpy().tolist()
        [2.0, 3.0]
    """

    def __init__(self, input_dim: int, dim: int, **kwargs):
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.dim = dim
        self.mean = self.add_weight(name="mean", shape=(input_dim,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self._project = keras.layers.Dense(
            dim, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(stddev=0.05)
        )

    def adapt(self, vectors) -> None:
        """Learns the mean, and the scale that gives centred vectors a mean square of one, from [n, input_dim]."""
        vectors = tf.convert_to_tensor(vectors, tf.float32)
        vectors = tf.boolean_mask(vectors, self.present(vectors))
        if tf.shape(vectors)[0] == 0:
            return
        self.mean.assign(tf.reduce_mean(vectors, 0))
        spread = tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(vectors - self.mean), 1)))
        self.scale.assign(1.0 / tf.maximum(spread, 1e-6))

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Encodes vectors float [batch, input_dim] to float [batch, dim]."""
        # The same as projecting the centred vectors, without a pass over all of them.
        return (self._project(vectors) - self._project(self.mean[tf.newaxis, :])) * self.scale

    @staticmethod
    def present(vectors: tf.Tensor) -> tf.Tensor:
        """Tells which rows have a vector, bool [batch]."""
        return tf.reduce_any(vectors != 0, axis=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "input_dim": self.input_dim, "dim": self.dim}
