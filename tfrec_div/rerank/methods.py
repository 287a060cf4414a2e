"""The re-rankers by the names used on the command line and in `diversify`."""

from __future__ import annotations

from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.cover import COVER
from tfrec_div.rerank.dpp import DPP
from tfrec_div.rerank.mmr import MMR
from tfrec_div.rerank.msd import MSD
from tfrec_div.rerank.ssd import SSD

METHODS: dict[str, type[Reranker]] = {"mmr": MMR, "msd": MSD, "dpp": DPP, "ssd": SSD, "cover": COVER}


def reranker_class(method: str) -> type[Reranker]:
    """The class of a method.

    Args:
        method: a name in `METHODS`.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; received {method!r}")
    return METHODS[method]
