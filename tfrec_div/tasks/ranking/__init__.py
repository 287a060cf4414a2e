"""Losses on lists of candidates, all with one signature, and what corrects them for the place of an impression."""

from __future__ import annotations

import inspect
from typing import Any

from tfrec_div.tasks.ranking.approx_ndcg import ApproxNDCG
from tfrec_div.tasks.ranking.base import RankingLoss
from tfrec_div.tasks.ranking.binary_cross_entropy import BinaryCrossEntropy
from tfrec_div.tasks.ranking.lambda_loss import LambdaLoss
from tfrec_div.tasks.ranking.list_softmax import ListSoftmax
from tfrec_div.tasks.ranking.ordinal_logistic import OrdinalLogistic
from tfrec_div.tasks.ranking.pairwise_logistic import PairwiseLogistic
from tfrec_div.tasks.ranking.pairwise_margin import PairwiseMargin
from tfrec_div.tasks.ranking.squared_error import SquaredError

RANKING_LOSSES: dict[str, type[RankingLoss]] = {
    "binary_cross_entropy": BinaryCrossEntropy,
    "ordinal_logistic": OrdinalLogistic,
    "squared_error": SquaredError,
    "pairwise_logistic": PairwiseLogistic,
    "pairwise_margin": PairwiseMargin,
    "list_softmax": ListSoftmax,
    "approx_ndcg": ApproxNDCG,
    "lambda_loss": LambdaLoss,
}


def make_ranking_loss(loss: str | RankingLoss, **options: Any) -> RankingLoss:
    """Returns a loss from what a user writes.

    Args:
        loss: A name of `RANKING_LOSSES`, or a loss, which is returned as it is.
        **options: Arguments of the loss's class.

    Raises:
        ValueError: An unknown name or option, a value that does not fit, or options of a loss that is made already.

    Example:
        >>> make_ranking_loss("list_softmax", temperature=0.5).temperature
        0.5
    """
    if isinstance(loss, RankingLoss):
        if options:
            raise ValueError(
                f"loss: expected a name, to go with options, got {loss.name!r}, which is made already"
            )
        return loss
    if loss not in RANKING_LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(RANKING_LOSSES)}, or a RankingLoss, got {loss!r}")
    layer = RANKING_LOSSES[loss]
    known = [name for name in inspect.signature(layer).parameters if name != "kwargs"]
    for name in options:
        if name not in (*known, "name", "dtype"):
            raise ValueError(
                f"{layer.__name__} has no option {name!r}; there are {', '.join(known) or 'none'}"
            )
    return layer(**options)


__all__ = [
    "RANKING_LOSSES",
    "ApproxNDCG",
    "BinaryCrossEntropy",
    "LambdaLoss",
    "ListSoftmax",
    "OrdinalLogistic",
    "PairwiseLogistic",
    "PairwiseMargin",
    "RankingLoss",
    "SquaredError",
    "make_ranking_loss",
]
