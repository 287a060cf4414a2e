"""Interests as capsules, which items are routed to."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history.base import latest_steps, places
from tfrec_div.towers.interests.base import InterestExtractor, over_all_steps


@keras.utils.register_keras_serializable(package="tfrec_div")
class CapsuleInterests(InterestExtractor):
    """Routes the items of a history to capsules, each of which becomes an interest, as MIND does.

    The vote of an item is its vector times one matrix for all capsules. In each round an item shares its vote out by
    a softmax over the capsules, a capsule is the squashed sum of what it was given, and an item's logit for a capsule
    grows by the product of its vote with it. An item gives its vote times the interaction's strength. The logits
    start as fixed normal draws, by capsule and position from the latest item: without them all capsules would be the
    same. Gradients flow through the votes of the last round. Each user has the same number of capsules.

    Args:
        interests: Capsules of a user.
        dim: Length of a capsule.
        iterations: Rounds of routing, at least 1.
        logit_scale: Standard deviation of the logits at the start.
        max_steps: Latest items that are read.
        seed: Seed of the logits.
        **kwargs: As for any Keras layer.

    Example:
        >>> extractor = CapsuleInterests(2, 4)
        >>> history = {"vectors": tf.ones([1, 3, 8]), "weights": tf.constant([[1.0, 1.0, 0.0]])}
        >>> interests, made_of = extractor(history)
        >>> interests.shape.as_list(), made_of.shape.as_list()
        ([1, 2, 4], [1, 2, 3])

    Li et al. (2019), Multi-interest network with dynamic routing for recommendation at Tmall.
    """

    def __init__(
        self,
        interests: int,
        dim: int,
        iterations: int = 3,
        logit_scale: float = 1.0,
        max_steps: int = 100,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(interests, dim, max_steps, **kwargs)
        if iterations < 1:
            raise ValueError(f"iterations: expected at least 1, got {iterations}")
        self.iterations = iterations
        self.logit_scale = logit_scale
        self.seed = seed

    def build(self, input_shape) -> None:
        """Makes the matrix, which starts as the identity, and the fixed logits."""
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape["vectors"][-1], self.dim), initializer="identity"
        )
        drawn = np.random.default_rng(self.seed).normal(0, self.logit_scale, (self.max_steps, self.interests))
        self.logits = self.add_weight(
            name="logits",
            shape=drawn.shape,
            initializer=keras.initializers.Constant(drawn),
            trainable=False,
            experimental_autocast=False,
        )
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Routes `vectors` [batch, steps, item_dim] with `weights` [batch, steps]; see `InterestExtractor.call`."""
        vectors, strength = latest_steps(inputs, self.max_steps)
        # In float32: a sum of a hundred votes is squared.
        votes = tf.cast(tf.matmul(vectors, self.kernel), tf.float32)
        strength = tf.cast(strength, tf.float32)
        fixed = tf.stop_gradient(votes)
        logits = tf.gather(self.logits, places(strength > 0))
        for _ in range(self.iterations - 1):
            capsules = squash(tf.einsum("bsk,bsd->bkd", _given(logits, strength), fixed))
            logits += tf.einsum("bsd,bkd->bsk", fixed, capsules)
        given = _given(logits, strength)
        capsules = squash(tf.einsum("bsk,bsd->bkd", given, votes))
        made_of = tf.math.divide_no_nan(given, tf.reduce_sum(given, axis=1, keepdims=True))
        made_of = over_all_steps(tf.transpose(made_of, [0, 2, 1]), inputs)
        return tf.cast(capsules, self.compute_dtype), made_of

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"iterations": self.iterations, "logit_scale": self.logit_scale, "seed": self.seed}
        return {**super().get_config(), **config}


def _given(logits: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Returns how much each item gives to each capsule, float [batch, steps, interests]."""
    return tf.nn.softmax(logits, axis=-1) * strength[..., tf.newaxis]


def squash(vectors: tf.Tensor) -> tf.Tensor:
    """Gives vectors [..., dim] of length n the length n²/(1 + n²).

    Example:
        >>> [round(value, 4) for value in squash(tf.constant([3.0, 4.0])).numpy().tolist()]
        [0.5769, 0.7692]

    Sabour et al. (2017), Dynamic routing between capsules.
    """
    square = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    # The slope of a root at zero is infinite.
    return vectors * square * tf.math.rsqrt(square + 1e-12) / (1.0 + square)
