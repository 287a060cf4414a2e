"""What a user's history is made of: the profile that calibration and aspect re-rankers aim at."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.calibration import recency_weights
from tfrec_div.metrics.distributions import category_shares, history_distribution
from tfrec_div.metrics.lists import check_ragged


def history_profile(
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    aspects: np.ndarray,
    half_life: float | None = None,
    timestamps: np.ndarray | None = None,
) -> np.ndarray:
    """The share of each aspect in each user's history, p(a|u) of Steck (2018), the recent counting more.

    `p(a|u) = Σ_i w_i p(a|i) / Σ_i w_i`, p(a|i) the item's aspects divided by their sum, `w_i = 0.5^(age / half_life)`.
    Items without aspects are left out.

    Args:
        history_values: item rows of all histories, one user after the other, each in the order of time.
        history_row_splits: `[users + 1]`, where each history begins and ends.
        aspects: `[items, aspects]`, at least 0.
        half_life: in interactions, or in the units of the timestamps; None: all count alike.
        timestamps: one per value of the history; None: an interaction's age is the number of later ones.

    Returns:
        float32 `[users, aspects]`; rows sum to 1, or are zeros for users without aspects in their history.

    Raises:
        ValueError: half_life is not above 0, an aspect is negative, or shapes that do not fit.

    Example:
        >>> genres = np.array([[1, 0], [0, 1], [1, 1]])
        >>> history_profile([0, 1, 2, 2], [0, 2, 3, 3, 4], genres)
        array([[0.5, 0.5], [0.5, 0.5], [0. , 0. ], [0.5, 0.5]], dtype=float32)
        >>> history_profile([0, 1], [0, 2], genres, half_life=1.0).round(3)
        array([[0.333, 0.667]], dtype=float32)
    """
    aspects = np.asarray(aspects, np.float64)
    if aspects.ndim != 2 or not (aspects >= 0.0).all():
        raise ValueError(
            f"aspects must be [items, aspects] of at least 0; received {list(aspects.shape)}"
            + ("" if aspects.ndim != 2 else f" with {aspects.min()}")
        )
    users = len(history_row_splits) - 1
    values, splits = check_ragged("history", history_values, history_row_splits, users, len(aspects))
    weights = None if half_life is None else recency_weights(splits, half_life, timestamps)
    return (
        history_distribution(values, splits, category_shares(aspects), weights).toarray().astype(np.float32)
    )
