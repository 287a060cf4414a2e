"""Novelty of recommended lists: one value per user, from how often items were used in training."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.lists import list_means

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
        ValueError: an unknown definition.

    Example:
        >>> novelty(np.array([[0, 1], [1, -1]]), np.array([3, 1]), num_users=3)
        array([0.5, 1. ])
    """
    if definition not in DEFINITIONS:
        raise ValueError(f"definition must be one of {', '.join(DEFINITIONS)}; received {definition!r}")
    counts = np.asarray(item_counts, np.float64)
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
