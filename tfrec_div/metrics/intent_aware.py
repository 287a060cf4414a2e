"""Intent-aware relevance: novelty is rewarded and repetition discounted, subtopic by subtopic.

All take `Judgements` and give float64 `[users]`, NaN for a user without a relevant item. The values are those of
NIST's `ndeval` (the package pyndeval) with its default parameters, unless an argument says otherwise. With seen_s
the number of items before it that are relevant for the subtopic s, the item at place r has the gain
Σ_s J_rs (1 − α)^seen_s; S is the number of subtopics that have a relevant item.
"""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.judgements import Judgements


def alpha_ndcg(
    judgements: Judgements, alpha: float = 0.5, normalization: str = "ideal", ties: str = "highest"
) -> np.ndarray:
    """α-nDCG (Clarke et al., 2008): gains discounted by 1 / log2(place + 1).

    Args:
        judgements: lists and what is relevant.
        alpha: how much a further item of a seen subtopic loses, in [0, 1]; 0 only counts, 1 takes the first.
        normalization: `"ideal"`: divided by the value of the greedy ideal list of all relevant items (ndeval's
            alpha-nDCG@k). `"perfect"`: by that of a list whose items are all relevant for all S subtopics
            (ndeval's alpha-DCG@k). `"none"`: the sum, α-DCG as published.
        ties: in the ideal list, see `Judgements.ideal`.

    Example:
        >>> judged = Judgements.from_subtopics(
        ...     np.array([[1, 0]]), np.array([0, 1]), np.array([0, 2]), np.array([[1, 1], [1, 0]])
        ... )
        >>> alpha_ndcg(judged).round(4)
        array([0.8406])
    """
    discount = rank_discount(judgements.gains.shape[1], "log2")
    return _normalized(judgements, discount, alpha, normalization, ties, {"none": 1.0})


def err_ia(
    judgements: Judgements, alpha: float = 0.5, normalization: str = "perfect", ties: str = "highest"
) -> np.ndarray:
    """Intent-aware expected reciprocal rank (Chapelle et al., 2009 and 2011): gains discounted by 1 / place.

    Args:
        judgements: lists and what is relevant.
        alpha: probability that a relevant item satisfies the person, in [0, 1].
        normalization: `"perfect"`: divided by the value of a list whose items are all relevant for all S
            subtopics (ndeval's ERR-IA@k). `"ideal"`: by that of the greedy ideal list (ndeval's nERR-IA@k).
            `"none"`: α times the mean over the S subtopics: ERR as published, with equally likely intents.
        ties: in the ideal list, see `Judgements.ideal`.
    """
    subtopics = np.maximum(judgements.num_subtopics, 1)
    discount = rank_discount(judgements.gains.shape[1], "reciprocal")
    return _normalized(judgements, discount, alpha, normalization, ties, {"none": alpha / subtopics})


def nrbp(
    judgements: Judgements,
    alpha: float = 0.5,
    beta: float = 0.5,
    normalization: str = "perfect",
    ties: str = "highest",
) -> np.ndarray:
    """Novelty- and rank-biased precision (Clarke, Kolla and Vechtomova, 2009): gains discounted by β^(place − 1).

    Args:
        judgements: lists and what is relevant.
        alpha: how much a further item of a seen subtopic loses, in [0, 1].
        beta: patience: the probability to go on to the next place, in [0, 1).
        normalization: `"perfect"`: divided by the value of an endless list whose items are all relevant for all S
            subtopics, S / (1 − (1 − α)β), as published (ndeval's NRBP). `"ideal"`: by that of the greedy ideal
            list of k places (ndeval's nNRBP when k reaches the number of relevant items).
            `"none"`: the sum.
        ties: in the ideal list, see `Judgements.ideal`.
    """
    if not 0.0 <= beta < 1.0:
        raise ValueError(f"beta must be in [0, 1); received {beta}")
    subtopics = np.maximum(judgements.num_subtopics, 1)
    discount = rank_discount(judgements.gains.shape[1], "exponential", base=beta)
    scales = {"perfect": (1.0 - (1.0 - alpha) * beta) / subtopics, "none": 1.0}
    return _normalized(judgements, discount, alpha, normalization, ties, scales)


def subtopic_recall(judgements: Judgements, definition: str = "ndeval") -> np.ndarray:
    """Share of the subtopics that the list has a relevant item for (S-recall; Zhai, Cohen and Lafferty, 2003).

    Args:
        judgements: lists and what is relevant.
        definition: `"ndeval"`: of the S subtopics that have a relevant item (strec@k). `"ranksys"`: of all
            subtopics, as RankSys' `SRecall`.

    Raises:
        ValueError: an unknown definition.
    """
    if definition not in ("ndeval", "ranksys"):
        raise ValueError(f"definition must be ndeval or ranksys; received {definition!r}")
    found = judgements.gains.any(axis=1).sum(axis=1)
    of = judgements.num_subtopics
    total = of if definition == "ndeval" else np.full_like(of, judgements.subtopics.shape[1])
    return _defined(found / np.maximum(total, 1), judgements)


def precision_ia(judgements: Judgements) -> np.ndarray:
    """Precision, averaged over the S subtopics (Agrawal et al., 2009; ndeval's P-IA@k)."""
    found = judgements.gains.sum(axis=(1, 2))
    return _defined(found / np.maximum(judgements.num_subtopics * judgements.gains.shape[1], 1), judgements)


def average_precision_ia(judgements: Judgements) -> np.ndarray:
    """Average precision, averaged over the S subtopics (Agrawal et al., 2009; ndeval's MAP-IA).

    A subtopic's average precision is divided by the number of its relevant items, as in TREC.
    """
    gains = judgements.gains
    places = np.arange(1, gains.shape[1] + 1)[:, np.newaxis]
    precisions = (gains.cumsum(axis=1) / places * gains).sum(axis=1)
    mean = (precisions / np.maximum(judgements.num_relevant, 1)).sum(axis=1)
    return _defined(mean / np.maximum(judgements.num_subtopics, 1), judgements)


def _normalized(
    judgements: Judgements,
    discount: np.ndarray,
    alpha: float,
    normalization: str,
    ties: str,
    scales: dict[str, float | np.ndarray],
) -> np.ndarray:
    """Discounted gains times the scale of the normalisation, or over the value of the best list."""
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1]; received {alpha}")
    if normalization not in ("ideal", "perfect", "none"):
        raise ValueError(f"normalization must be ideal, perfect or none; received {normalization!r}")
    value = _discounted(judgements.gains, discount, alpha)
    if normalization in scales:
        return _defined(value * scales[normalization], judgements)
    if normalization == "perfect":
        best = judgements.num_subtopics * (discount * (1.0 - alpha) ** np.arange(len(discount))).sum()
    else:
        best = _discounted(judgements.ideal(len(discount), alpha, ties), discount, alpha)
    return _defined(value / np.where(best > 0.0, best, 1.0), judgements)


def _discounted(gains: np.ndarray, discount: np.ndarray, alpha: float) -> np.ndarray:
    seen = gains.cumsum(axis=1) - gains
    worth = (1.0 - alpha) ** np.arange(gains.shape[1] + 1)
    return (gains * worth[seen]).sum(axis=2) @ discount


def _defined(values: np.ndarray, judgements: Judgements) -> np.ndarray:
    return np.where(judgements.num_subtopics > 0, values, np.nan)
