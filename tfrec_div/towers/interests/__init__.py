"""Interests: the items that a user met before in, several vectors out."""

from __future__ import annotations

from tfrec_div._keras import keras
from tfrec_div.towers.interests.base import InterestExtractor
from tfrec_div.towers.interests.capsules import CapsuleInterests
from tfrec_div.towers.interests.self_attentive import SelfAttentiveInterests

EXTRACTORS: dict[str, type[CapsuleInterests] | type[SelfAttentiveInterests]] = {
    "capsules": CapsuleInterests,
    "attention": SelfAttentiveInterests,
}


def interest_layer(extractor: str | keras.layers.Layer, interests: int, dim: int) -> keras.layers.Layer:
    """Returns an extractor of interests with `dim` entries.

    Args:
        extractor: A name of `EXTRACTORS`, or a layer, which must have that output.
        interests: Interests of a user.
        dim: Length of an interest.

    Raises:
        ValueError: An unknown name, or a layer with another output.

    Example:
        >>> interest_layer("capsules", 3, 8).interests
        3
    """
    if isinstance(extractor, keras.layers.Layer):
        found = getattr(extractor, "interests", None), getattr(extractor, "dim", None)
        if found != (interests, dim):
            raise ValueError(
                f"extractor: expected a layer with {interests} interests of {dim} entries (interests and "
                f"embedding_dim), got {found[0]} of {found[1]}"
            )
        return extractor
    if extractor not in EXTRACTORS:
        known = ", ".join(EXTRACTORS)
        raise ValueError(f"extractor: expected one of {known}, or a layer, got {extractor!r}")
    return EXTRACTORS[extractor](interests, dim, name="extractor")


__all__ = [
    "EXTRACTORS",
    "CapsuleInterests",
    "InterestExtractor",
    "SelfAttentiveInterests",
    "interest_layer",
]
