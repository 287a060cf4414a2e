"""Feature interactions: the vectors of all features in, what they say together out, all with one signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div.towers.interactions.base import Interaction, pairwise_dots, pairwise_sum
from tfrec_div.towers.interactions.dcn import DCN
from tfrec_div.towers.interactions.deepfm import DeepFM
from tfrec_div.towers.interactions.dlrm import DLRM
from tfrec_div.towers.interactions.wide_deep import WideDeep

INTERACTIONS: dict[str, type[Interaction]] = {
    "dcn": DCN,
    "deepfm": DeepFM,
    "dlrm": DLRM,
    "wide_deep": WideDeep,
}


def interaction_layer(
    interaction: str | Interaction,
    hidden_units: Sequence[int] = (64, 32),
    dropout: float = 0.0,
    **kwargs: Any,
) -> Interaction:
    """Returns a feature interaction.

    Args:
        interaction: A name of `INTERACTIONS`, or a layer, which is returned as it is.
        hidden_units: Units of the deep network's layers.
        dropout: Share of the entries of each hidden layer that training drops.
        **kwargs: Further arguments of the layer of that name.

    Raises:
        ValueError: An unknown name.

    Example:
        >>> type(interaction_layer("dcn")).__name__
        'DCN'
    """
    if isinstance(interaction, Interaction):
        return interaction
    if interaction not in INTERACTIONS:
        known = ", ".join(INTERACTIONS)
        raise ValueError(f"interaction: expected one of {known}, or a layer, got {interaction!r}")
    return INTERACTIONS[interaction](hidden_units=hidden_units, dropout=dropout, **kwargs)


__all__ = [
    "DCN",
    "DLRM",
    "INTERACTIONS",
    "DeepFM",
    "Interaction",
    "WideDeep",
    "interaction_layer",
    "pairwise_dots",
    "pairwise_sum",
]
