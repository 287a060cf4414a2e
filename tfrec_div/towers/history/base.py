"""What the encoders of a history have in common."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf


class HistoryEncoder(keras.layers.Layer):
    """Base of the layers that make one vector of what a user did before.

    A subclass implements `call`. Padding has no influence, and an empty history gives zeros.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, got {dim}")
        self.dim = dim

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes the histories.

        Args:
            inputs: `vectors` float [batch, steps, item_dim], the latest first; `weights` float [batch, steps],
                the strength of each interaction in [0, 1], 0 for padding.

        Returns:
            Float [batch, dim].
        """
        raise NotImplementedError

    @staticmethod
    def present(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Tells which rows have a history, bool [batch]."""
        return tf.reduce_any(inputs["weights"] > 0, axis=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}


def check_steps(max_steps: int) -> int:
    """Returns how many steps a history may have; refuses fewer than one."""
    if max_steps < 1:
        raise ValueError(f"max_steps: expected at least 1, got {max_steps}")
    return max_steps


def log_weights(strength: tf.Tensor, exponent: tf.Tensor) -> tf.Tensor:
    """Returns log(strength^exponent), minus infinity for padding; float alike `strength`."""
    there = strength > 0
    return tf.where(there, exponent * tf.math.log(tf.where(there, strength, 1.0)), -float("inf"))


def latest_steps(inputs: dict[str, tf.Tensor], steps: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns vectors and strengths of the latest steps: at most so many, and at least one, which may be padding."""
    vectors, strength = inputs["vectors"][:, :steps], inputs["weights"][:, :steps]
    short = tf.maximum(1 - tf.shape(strength)[1], 0)
    return tf.pad(vectors, [[0, 0], [0, short], [0, 0]]), tf.pad(strength, [[0, 0], [0, short]])


def places(there: tf.Tensor) -> tf.Tensor:
    """Returns which of a history's items, counted from the latest, stands at each step; int [batch, steps].

    Example:
        >>> places(tf.constant([[True, False, True]])).numpy().tolist()
        [[0, 0, 1]]
    """
    return tf.maximum(tf.cumsum(tf.cast(there, tf.int32), axis=1) - 1, 0)
