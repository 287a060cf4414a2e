"""The re-rankers by the names used on the command line and in `diversify`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.calibrated import Calibrated
from tfrec_div.rerank.cover import COVER
from tfrec_div.rerank.dpp import DPP
from tfrec_div.rerank.dum import DUM
from tfrec_div.rerank.fair import FAIR
from tfrec_div.rerank.long_tail_xquad import LongTailXQuAD
from tfrec_div.rerank.mmr import MMR
from tfrec_div.rerank.msd import MSD
from tfrec_div.rerank.pm2 import PM2
from tfrec_div.rerank.ssd import SSD
from tfrec_div.rerank.xquad import XQuAD

METHODS: dict[str, type[Reranker]] = {
    "mmr": MMR,
    "msd": MSD,
    "dpp": DPP,
    "ssd": SSD,
    "cover": COVER,
    "xquad": XQuAD,
    "long_tail_xquad": LongTailXQuAD,
    "pm2": PM2,
    "calibrated": Calibrated,
    "dum": DUM,
    "fair": FAIR,
}


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


def make_reranker(method: str, options: Mapping[str, Any] | None = None, **arguments: Any) -> Reranker:
    """A re-ranker from what a user writes.

    Args:
        method: a name in `METHODS`.
        options: further arguments of its class by name.
        **arguments: `k` and the like.

    Raises:
        ValueError: an unknown method or option, or a value that does not fit.

    Example:
        >>> make_reranker("ssd", {"window": 5}, k=3).window
        5
    """
    layer = reranker_class(method)
    known = [name for name in inspect.signature(layer).parameters if name not in ("kwargs", *arguments)]
    for name in options or ():
        if name not in known:
            raise ValueError(f"{layer.__name__} has no option {name!r}; there are {', '.join(known)}")
    try:
        return layer(**arguments, **(options or {}))
    except TypeError as error:
        raise ValueError(f"{layer.__name__}: {error}") from error
