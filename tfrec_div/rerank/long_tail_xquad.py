"""xQuAD with two aspects: popular and long tail."""

from __future__ import annotations

from typing import Any, ClassVar

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.aspect_reranker import user_shares
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.greedy import Selection, State, keep_closed
from tfrec_div.rerank.pool import Pool

VARIANTS = ("binary", "smooth", "smooth_product")


@keras.utils.register_keras_serializable(package="tfrec_div")
class LongTailXQuAD(Reranker):
    """Personalised long-tail promotion (Abdollahpouri, Burke and Mobasher, 2019).

    xQuAD with two aspects d, the popular items (`groups` 0) and the long tail (`groups` 1). Every pick, the first
    included, maximises

        (1 − diversity) · relevance + diversity · Σ_d P(d|u) · 1[i in d] · Π_{j picked} (1 − P(j|d, S)).

    P(d|u) is `user_profile [batch, 2]` divided by its sum: how much of the user's history is popular (first
    column) and long tail (second); zeros want both alike. `variant="binary"`: the product is 1 until an item of d
    is picked, then 0. In the smooth variants P(j|d, S) is the share of the picks S that are in d. It is the same for
    every pick: `"smooth"` takes the factor once, 1 − share, as librec-auto does; `"smooth_product"` once for each
    pick, (1 − share)^(number of picks), which is the formula to the letter and soon as strict as the binary one.

    The dial: weight of the long-tail term; 1 − diversity weighs the relevance. At 1 relevance does not count. In
    the binary variant the term reaches the first item of either kind at most: the rest of the page is by score.

    Inputs: `scores`, `groups [batch, candidates]` (−1: unknown, in neither), `user_profile`; others and the
    output: see `Reranker`.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        variant: `"smooth"` (default), `"binary"` or `"smooth_product"`.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> from tfrec_div.rerank import LongTailXQuAD
        >>> layer = LongTailXQuAD(k=2, diversity=0.7)
        >>> layer({"scores": [[0.9, 0.8, 0.1]], "groups": [[0, 0, 1]], "user_profile": [[0.5, 0.5]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    profiles: ClassVar[tuple[str, ...]] = ("user_profile",)

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        variant: str = "smooth",
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        if variant not in VARIANTS:
            raise ValueError(
                f"LongTailXQuAD: variant must be one of {', '.join(VARIANTS)}; received {variant!r}"
            )
        self.variant = variant

    @property
    def features(self) -> tuple[str, ...]:
        """The features of the candidates that must be among the inputs."""
        return ("groups",)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "variant": self.variant}

    def checked(self, inputs: dict[str, Any], name: str) -> dict[str, tf.Tensor]:
        """The inputs as tensors; raises a ValueError that says under `name` what does not fit."""
        tensors = super().checked(inputs, name)
        profile = tensors["user_profile"]
        if profile.shape[1] not in (2, None):
            raise ValueError(
                f"{name}: inputs['user_profile'] must have the shape [batch, 2], popular and long tail; "
                f"received {list(profile.shape)}"
            )
        return tensors

    def start(self, pool: Pool) -> Selection:
        """Two numbers a list: how many picks are popular, how many long tail."""
        offset = (1.0 - pool.diversity) * pool.relevance
        groups = pool.features["groups"]
        worth = pool.diversity * user_shares(pool, unknown_is_uniform=True)

        def gains(counts: tf.Tensor) -> tf.Tensor:
            left = worth * self._uncovered(counts)
            term = tf.where(groups == 1, left[:, 1:], tf.where(groups == 0, left[:, :1], 0.0))
            return offset + term

        def update(gain: tf.Tensor, state: State, pick: tf.Tensor, step: Any) -> tuple[tf.Tensor, State]:
            group = tf.gather(groups, pick, batch_dims=1)[:, tf.newaxis]
            counts = state[0] + tf.cast(group == tf.constant([[0, 1]]), tf.float32)
            return keep_closed(gain, gains(counts)), (counts,)

        none = tf.zeros_like(worth)
        gain = tf.where(pool.valid, gains(none), float("-inf"))
        return Selection(gain, gain, update, (none,))

    def _uncovered(self, counts: tf.Tensor) -> tf.Tensor:
        """The product over the picks for either aspect, from how many of them are in it."""
        if self.variant == "binary":
            return tf.cast(counts == 0.0, tf.float32)
        picked = tf.reduce_sum(counts, axis=1, keepdims=True)
        left = 1.0 - tf.math.divide_no_nan(counts, picked)
        return left if self.variant == "smooth" else tf.pow(left, picked)
