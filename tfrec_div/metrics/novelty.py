"""Novelty of recommended lists: one value per user, from how often items were used in training."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.lists import check_places, check_rows, list_means

DEFINITIONS = ("smoothed", "rectools", "recommenders")


def novelty(
    rows: np.ndarray, item_counts: np.ndarray, num_users: int, definition: str = "smoothed"
) -> np.ndarray:
    """Mean self-information of a list, in bits (Zhou et al., 2010): what fewer users know is more novel.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        item_counts: `[items]` number of users who used the item in training.
        num_users: number of users in training.
        definition: `"smoothed"`: −log2((count + 1) / (num_users + 1)). `"rectools"`: −log2(count /
            num_users), an item that nobody used counting as used by one (`MeanInvUserFreq`).
            `"recommenders"`: −log2(count / sum of all counts), items that nobody used being left out of the
            mean.

    Returns:
        float64 `[users]`; 0 for an empty list.

    Raises:
        ValueError: an unknown definition, or a count above the number of users, where they are compared.

    Example:
        >>> novelty(np.array([[0, 1], [1, -1]]), np.array([3, 1]), num_users=3)
        array([0.5, 1. ])
    """
    if definition not in DEFINITIONS:
        raise ValueError(f"definition must be one of {', '.join(DEFINITIONS)}; received {definition!r}")
    counts = np.asarray(item_counts, np.float64)
    if definition != "recommenders" and counts.max(initial=0.0) > num_users:
        raise ValueError(
            f"item_counts must be numbers of users, at most {num_users} of them; received {counts.max():g}: "
            "somebody who used an item twice counts once"
        )
    if definition == "smoothed":
        share = (counts + 1.0) / (num_users + 1.0)
    elif definition == "rectools":
        share = np.maximum(counts, 1.0) / num_users
    else:
        share = np.where(counts > 0.0, counts, np.nan) / max(counts.sum(), 1.0)
    return list_means(rows, -np.log2(share))


def popularity(rows: np.ndarray, item_counts: np.ndarray) -> np.ndarray:
    """Average recommendation popularity: mean training count of a list's items (Yin et al., 2012).

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        item_counts: `[items]` number of interactions in training.

    Returns:
        float64 `[users]`; 0 for an empty list.
    """
    return list_means(rows, item_counts)


def expected_popularity_complement(
    rows: np.ndarray,
    item_counts: np.ndarray,
    num_users: int,
    relevance: np.ndarray | None = None,
    discount: str | np.ndarray = "log2",
    normalization: str = "discount",
    base: float = 0.85,
) -> np.ndarray:
    """EPC: how many people do not know the relevant items that are seen (Vargas and Castells, 2011).

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        item_counts: `[items]` number of users who used the item in training.
        num_users: number of users in training.
        relevance: `[users, k]` probability that the item is relevant, `hits` for instance; None: all are.
        discount: of the places, see `rank_discount`. elliot's `EPC` and RankSys are `"log2"` with `hits`; the
            paper's experiments `"exponential"`.
        normalization: Σ disc · relevance · (1 − count / num_users) divided by `"discount"`: Σ disc over the items
            of the list, as published and in elliot and RankSys; `"relevance"`: Σ disc · relevance, the mean over
            relevant items seen.
        base: of the exponential discount.

    Returns:
        float64 `[users]` in [0, 1]; 0 for an empty list.

    Raises:
        ValueError: an unknown discount or normalisation, or relevance of another shape.

    Example:
        >>> counts = np.array([3, 1, 0])
        >>> expected_popularity_complement(np.array([[0, 1], [1, 2]]), counts, num_users=4).round(4)
        array([0.4434, 0.8467])
    """
    complement = 1.0 - np.asarray(item_counts, np.float64) / max(num_users, 1)
    return _expected(rows, complement, relevance, discount, normalization, base)


def expected_free_discovery(
    rows: np.ndarray,
    item_counts: np.ndarray,
    relevance: np.ndarray | None = None,
    discount: str | np.ndarray = "log2",
    normalization: str = "discount",
    base: float = 0.85,
) -> np.ndarray:
    """EFD: self-information, in bits, of the relevant items that are seen (Vargas and Castells, 2011).

    The information of an item is −log2(count / sum of all counts); an item that nobody used has that of the least
    used one, as in elliot and RankSys.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        item_counts: `[items]` number of interactions in training.
        relevance: `[users, k]` probability that the item is relevant, `hits` for instance; None: all are.
        discount: of the places; elliot's `EFD` and RankSys are `"log2"` with `hits`.
        normalization: `"discount"` or `"relevance"`, see `expected_popularity_complement`.
        base: of the exponential discount.

    Returns:
        float64 `[users]`; 0 for an empty list, and when nothing was used in training.

    Example:
        >>> expected_free_discovery(np.array([[0, 1], [2, -1]]), np.array([3, 1, 0])).round(4)
        array([1.0282, 2.    ])
    """
    counts = np.asarray(item_counts, np.float64)
    used = counts > 0.0
    least = counts.min(where=used, initial=max(counts.sum(), 1.0))
    information = -np.log2(np.where(used, counts, least) / max(counts.sum(), 1.0))
    return _expected(rows, information, relevance, discount, normalization, base)


def _expected(
    rows: np.ndarray,
    values: np.ndarray,
    relevance: np.ndarray | None,
    discount: str | np.ndarray,
    normalization: str,
    base: float,
) -> np.ndarray:
    if normalization not in ("discount", "relevance"):
        raise ValueError(f"normalization must be discount or relevance; received {normalization!r}")
    rows = check_rows(rows, len(values))
    gain = check_places("relevance", relevance, rows)
    weight = rank_discount(rows.shape[1], discount, base)
    total = (gain * values[rows]) @ weight
    norm = (gain if normalization == "relevance" else rows >= 0) @ weight
    return total / np.where(norm > 0.0, norm, 1.0)
