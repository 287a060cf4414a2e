"""From content to a collaborative space by a small network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.precision import precision_scope

# Of the items, for the decision when to stop; at least one.
HELD_OUT = 0.1
# Passes without a better loss of what is held out.
PATIENCE = 20
BATCH = 256
RATE = 1e-3
# The share of it that is taken off the weights at each step.
DECAY = 0.1


@keras.utils.register_keras_serializable(package="tfrec_div")
class ContentNetwork(keras.layers.Layer):
    """A multilayer perceptron; it gives zeros until it has learned.

    Args:
        input_dim: Length of the content.
        dim: Length of the output.
        hidden_units: Hidden layers.
        dropout: Share of the entries that training drops before each hidden layer.
        **kwargs: As for any Keras layer.

    Example:
        >>> ContentNetwork(input_dim=3, dim=2)(tf.zeros([4, 3])).shape
        TensorShape([4, 2])
    """

    def __init__(
        self, input_dim: int, dim: int, hidden_units: Sequence[int] = (256,), dropout: float = 0.2, **kwargs
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.input_dim, self.dim, self.dropout = input_dim, dim, dropout
        self.hidden_units = tuple(hidden_units)
        # Targets are brought to a mean square of one, and outputs back.
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        # In full whatever the global policy is: it learns what is left of targets in float32.
        with precision_scope("float32"):
            inputs = keras.Input([input_dim])
            hidden = inputs
            for units in hidden_units:
                hidden = keras.layers.Dropout(dropout)(hidden)
                hidden = keras.layers.Dense(units, activation="gelu")(hidden)
            outputs = keras.layers.Dense(dim, kernel_initializer="zeros")(hidden)
            self._network = keras.Model(inputs, outputs)

    def call(self, content: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps content float [batch, input_dim] to float [batch, dim]."""
        return self._network(content, training=training) * self.scale

    def learn(
        self, content: np.ndarray, targets: np.ndarray, weight: np.ndarray, epochs: int, seed: int = 0
    ) -> list[float]:
        """Fits the network by squared errors, until items that are held out get worse; returns the losses.

        Args:
            content: Float [items, input_dim].
            targets: Float [items, dim].
            weight: Float [dim], what each dimension counts for.
            epochs: Passes over the items at most.
            seed: Seed of what is held out and of the order.
        """
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(content))
        cut = max(1, int(HELD_OUT * len(content)))
        self.scale.assign(float(np.sqrt(np.mean(np.square(targets)))) or 1.0)
        content, targets = tf.constant(content, tf.float32), tf.constant(targets, tf.float32)
        weight = tf.constant(weight / (weight.sum() or 1.0), tf.float32)
        held, rest = order[:cut], order[cut:] if len(order) > cut else order
        optimizer = keras.optimizers.AdamW(RATE, weight_decay=DECAY)
        optimizer.build(self.trainable_variables)

        def loss_of(rows, training):
            missed = (
                self(tf.gather(content, rows), training=training) - tf.gather(targets, rows)
            ) / self.scale
            return tf.reduce_mean(tf.linalg.matvec(tf.square(missed), weight))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def step(rows):
            with tf.GradientTape() as tape:
                loss = loss_of(rows, True)
            gradients = tape.gradient(loss, self.trainable_variables)
            optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return loss

        best, kept, since, losses = float(loss_of(tf.constant(held), False)), self.get_weights(), 0, []
        for _ in range(epochs):
            rows = draw.permutation(rest)
            parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
            losses.append(float(np.mean([step(tf.constant(part, tf.int64)).numpy() for part in parts])))
            now = float(loss_of(tf.constant(held), False))
            best, kept, since = (now, self.get_weights(), 0) if now < best else (best, kept, since + 1)
            if since >= PATIENCE:
                break
        self.set_weights(kept)
        return losses

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"input_dim": self.input_dim, "dim": self.dim, "dropout": self.dropout}
        return {**super().get_config(), **config, "hidden_units": self.hidden_units}
