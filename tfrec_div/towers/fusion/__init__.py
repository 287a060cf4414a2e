"""Fusions: the vectors of several modalities in, one vector out, all with one signature."""

from __future__ import annotations

from tfrec_div._keras import keras
from tfrec_div.towers.fusion.attention import AttentionFusion
from tfrec_div.towers.fusion.base import Fusion
from tfrec_div.towers.fusion.bilinear import BilinearFusion
from tfrec_div.towers.fusion.concat import ConcatFusion
from tfrec_div.towers.fusion.cross_modal import CrossModalFusion
from tfrec_div.towers.fusion.gated import GatedFusion
from tfrec_div.towers.fusion.projected import ProjectedConcatFusion

FUSIONS: dict[str, type[Fusion]] = {
    "concat": ConcatFusion,
    "projected": ProjectedConcatFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
    "cross_modal": CrossModalFusion,
    "bilinear": BilinearFusion,
}


def fusion_layer(fusion: str | keras.layers.Layer, dim: int) -> keras.layers.Layer:
    """Returns a fusion to vectors of `dim` entries.

    Args:
        fusion: A name of `FUSIONS`, or a layer, which must have that output.
        dim: Length of the output.

    Raises:
        ValueError: An unknown name, or a layer with another output.

    Example:
        >>> fusion_layer("gated", 8).dim
        8
    """
    if isinstance(fusion, keras.layers.Layer):
        if getattr(fusion, "dim", None) != dim:
            found = getattr(fusion, "dim", None)
            raise ValueError(f"fusion: expected a layer whose dim is {dim}, the embedding_dim, got {found}")
        return fusion
    if fusion not in FUSIONS:
        raise ValueError(f"fusion: expected one of {', '.join(FUSIONS)}, or a layer, got {fusion!r}")
    return FUSIONS[fusion](dim)


def uses_sequences(fusion: str | keras.layers.Layer) -> bool:
    """Tells whether a fusion, a layer or the name of one, reads the tokens and regions of a modality.

    Example:
        >>> uses_sequences("cross_modal"), uses_sequences("concat")
        (True, False)
    """
    kind = FUSIONS.get(fusion) if isinstance(fusion, str) else fusion
    return bool(getattr(kind, "uses_sequences", False))


__all__ = [
    "FUSIONS",
    "AttentionFusion",
    "BilinearFusion",
    "ConcatFusion",
    "CrossModalFusion",
    "Fusion",
    "GatedFusion",
    "ProjectedConcatFusion",
    "fusion_layer",
    "uses_sequences",
]
