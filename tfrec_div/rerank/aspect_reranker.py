"""Re-rankers that know what the candidates are about, and what the user asks for."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows

ASPECT_NORMALIZATIONS = ("item", "aspect", "none")


class AspectReranker(Reranker):
    """Base of the re-rankers that take `aspects [batch, candidates, aspects]` and `user_profile [batch, aspects]`.

    Aspects are genres, categories, topics, intents: numbers of at least 0, how much an item has of each. A row
    of zeros is an item of which nothing is known. The profile says how much the user wants of each; it is
    divided by its sum.
    """

    profiles: ClassVar[tuple[str, ...]] = ("user_profile",)

    @property
    def features(self) -> tuple[str, ...]:
        """The features of the candidates that must be among the inputs."""
        return ("aspects",)

    def checked(self, inputs: dict[str, Any], name: str) -> dict[str, tf.Tensor]:
        """The inputs as tensors; raises a ValueError that says under `name` what does not fit."""
        tensors = super().checked(inputs, name)
        for key in self.profiles:
            sizes = tensors["aspects"].shape[2], tensors[key].shape[1]
            if None not in sizes and sizes[0] != sizes[1]:
                raise ValueError(
                    f"{name}: inputs[{key!r}] must have the shape [{tensors['scores'].shape[0]}, {sizes[0]}], an "
                    f"entry for each of the aspects; received {list(tensors[key].shape)}"
                )
        if tf.executing_eagerly():
            for key in ("aspects", "context_aspects", *self.profiles):
                if key in tensors and tensors[key].shape.num_elements():
                    _refuse_negative(name, key, tensors)
        return tensors


def item_aspects(pool: Pool) -> Rows:
    """The aspects of all columns; a row that is not finite (in a graph, or masked) counts as zeros."""
    rows = pool.features["aspects"]
    return rows.finite(rows.norms()).map(lambda block: tf.maximum(block, 0.0))


def item_shares(pool: Pool) -> Rows:
    """The aspects of each item divided by their sum: P(aspect | item). Zeros stay zeros."""
    return item_aspects(pool).map(
        lambda block: tf.math.divide_no_nan(block, tf.reduce_sum(block, axis=-1, keepdims=True))
    )


def item_probabilities(pool: Pool, normalization: str) -> Rows:
    """P(item | aspect) from raw aspects.

    Args:
        pool: the candidates.
        normalization: `"item"`: each item's aspects sum to 1, so one with many aspects has less of each;
            `"aspect"`: each aspect's items sum to 1 over the candidates; `"none"`: they are probabilities
            already (above 1 counts as 1), 1 for each aspect that an item has.
    """
    if normalization == "item":
        return item_shares(pool)
    rows = item_aspects(pool)
    if normalization == "aspect":
        total = rows.beside(rows.mix(tf.cast(pool.valid, tf.float32)))
        rows = rows.map(lambda block: tf.math.divide_no_nan(block, total))
    return rows.map(lambda block: tf.minimum(block, 1.0))


def check_aspect_normalization(name: str, normalization: str) -> str:
    """The normalization, if there is one of this name."""
    if normalization not in ASPECT_NORMALIZATIONS:
        raise ValueError(
            f"{name}: aspect_normalization must be one of {', '.join(ASPECT_NORMALIZATIONS)}; "
            f"received {normalization!r}"
        )
    return normalization


def user_shares(pool: Pool, unknown_is_uniform: bool) -> tf.Tensor:
    """P(aspect | user) `[batch, aspects]`: the profile divided by its sum.

    Args:
        pool: the candidates.
        unknown_is_uniform: whether a profile of zeros asks for all aspects alike; otherwise it stays zeros.
    """
    profile = pool.profiles["user_profile"]
    profile = tf.where(tf.math.is_finite(profile), tf.maximum(profile, 0.0), 0.0)
    total = tf.reduce_sum(profile, axis=1, keepdims=True)
    if unknown_is_uniform:
        profile = tf.where(total > 0.0, profile, 1.0)
        total = tf.reduce_sum(profile, axis=1, keepdims=True)
    return tf.math.divide_no_nan(profile, total)


def _refuse_negative(name: str, key: str, tensors: dict[str, tf.Tensor]) -> None:
    values = tensors[key].numpy()
    if values.min() >= 0.0:
        return
    bad = values < 0.0
    if key == "aspects" and "candidate_mask" in tensors:
        bad &= tensors["candidate_mask"].numpy()[:, :, np.newaxis]
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name}: inputs[{key!r}] must be at least 0; received {values[where]} at {where}")
