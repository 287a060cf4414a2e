"""What the feature interactions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf


class Interaction(keras.layers.Layer):
    """Base of the layers that let the features of a user and an item act on each other.

    A call gets `fields`, float `[..., fields, dim]`: a vector for each feature, all of one length, zeros for one that
    is missing; and `numbers`, float `[..., width]`: what is known as plain numbers. It returns float `[..., output]`,
    from which a linear layer makes a score. The leading axes are any: `[batch]`, or `[batch, candidates]`.

    A subclass implements `build_on` and `interact`.

    Args:
        hidden_units: Units of the deep network's layers.
        dropout: Share of the entries of each hidden layer that training drops, in [0, 1).
        **kwargs: As for any Keras layer.
    """

    def __init__(self, hidden_units: Sequence[int] = (64, 32), dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        if any(units < 1 for units in self.hidden_units):
            raise ValueError(f"hidden_units: expected numbers of at least 1, got {list(hidden_units)}")

    def build_on(self, fields: int, dim: int, width: int) -> None:
        """Makes the layers.

        Args:
            fields: Number of fields.
            dim: Length of their vectors.
            width: Number of plain numbers.
        """
        raise NotImplementedError

    def interact(self, fields: tf.Tensor, numbers: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns what the interaction makes of fields and numbers; arguments as for a call."""
        raise NotImplementedError

    def build(self, input_shape) -> None:
        """Makes the layers, by the shapes of `fields` and `numbers`."""
        fields, numbers = input_shape["fields"], input_shape["numbers"]
        self.build_on(fields[-2], fields[-1], numbers[-1])
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Lets the features interact.

        Args:
            inputs: `fields` float `[..., fields, dim]` and `numbers` float `[..., width]`.
            training: Whether dropout is active.

        Returns:
            Float `[..., output]`.
        """
        fields, numbers = inputs["fields"], inputs["numbers"]
        return self.interact(fields, tf.cast(numbers, fields.dtype), training)

    def _deep(self, name: str, units: Sequence[int] | None = None) -> keras.Sequential | None:
        """Returns a network with ReLU and dropout; None without layers."""
        units = self.hidden_units if units is None else tuple(units)
        if not units:
            return None
        layers = []
        for number, size in enumerate(units):
            # Made inside of `build`, they would follow the global policy.
            layers.append(
                keras.layers.Dense(
                    size,
                    activation="relu",
                    kernel_initializer="he_normal",
                    dtype=self.dtype_policy,
                    name=f"{name}_{number}",
                )
            )
            if self.dropout:
                layers.append(keras.layers.Dropout(self.dropout, dtype=self.dtype_policy))
        return keras.Sequential(layers, name=name)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "hidden_units": self.hidden_units, "dropout": self.dropout}


def flat(fields: tf.Tensor) -> tf.Tensor:
    """Puts the vectors of `[..., fields, dim]` one after the other, `[..., fields * dim]`."""
    shape = tf.shape(fields)
    size = fields.shape[-2] * fields.shape[-1]
    found = tf.reshape(fields, tf.concat([shape[:-2], [size]], axis=0))
    found.set_shape([*fields.shape[:-2], size])
    return found


def pairwise_sum(fields: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the elementwise products of all pairs of fields, `[..., dim]`, in time linear in the fields.

    Its sum over `dim` is the second-order term of a factorisation machine.

    Example:
        >>> pairwise_sum(tf.constant([[1.0, 2.0], [3.0, 5.0], [10.0, 0.0]])).numpy().tolist()
        [43.0, 10.0]

    Rendle (2010), Factorization machines, lemma 3.1.
    """
    return 0.5 * (tf.square(tf.reduce_sum(fields, axis=-2)) - tf.reduce_sum(tf.square(fields), axis=-2))


def pairwise_dots(fields: tf.Tensor) -> tf.Tensor:
    """Returns the dot products of all pairs of different fields, `[..., fields * (fields - 1) / 2]`.

    The pairs stand row by row below the diagonal: (1, 0), (2, 0), (2, 1), (3, 0) and so on, as in TFRS'
    `DotInteraction`, which takes `[batch, dim]` only.

    Example:
        >>> pairwise_dots(tf.constant([[1.0, 2.0], [3.0, 5.0], [10.0, 0.0]])).numpy().tolist()
        [13.0, 10.0, 30.0]
    """
    number = fields.shape[-2]
    products = flat(tf.matmul(fields, fields, transpose_b=True))
    below = [row * number + column for row in range(number) for column in range(row)]
    return tf.gather(products, below, axis=-1)
