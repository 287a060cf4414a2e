"""What the extractors of interests have in common."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history.base import check_steps


class InterestExtractor(keras.layers.Layer):
    """Base of the layers that make several vectors of what a user did before.

    A subclass implements `call`. Padding has no influence, and an empty history gives zeros.

    Args:
        interests: Vectors of a user.
        dim: Length of a vector.
        max_steps: Latest items that are read.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, interests: int, dim: int, max_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("interests", interests), ("dim", dim)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.interests = interests
        self.dim = dim
        self.max_steps = check_steps(max_steps)

    def call(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the interests in histories.

        Args:
            inputs: `vectors` float [batch, steps, item_dim], the latest first; `weights` float [batch, steps],
                the strength of each interaction in [0, 1], 0 for padding.

        Returns:
            The interests, float [batch, interests, dim]; and what each is made of, float32 [batch, interests, steps],
            1 in sum over the steps (0 without a history).
        """
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"interests": self.interests, "dim": self.dim, "max_steps": self.max_steps}
        return {**super().get_config(), **config}


def over_all_steps(shares: tf.Tensor, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns shares [batch, interests, latest steps] for all steps of `inputs`: zero for those that were not read."""
    steps = tf.shape(inputs["weights"])[1]
    further = tf.maximum(steps - tf.shape(shares)[2], 0)
    return tf.pad(shares, [[0, 0], [0, 0], [0, further]])[:, :, :steps]
