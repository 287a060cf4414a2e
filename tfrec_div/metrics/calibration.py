"""Calibration: do the categories of a list have the shares they have in the person's history."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.distributions import (
    category_shares,
    history_distribution,
    list_distribution,
    row_divergences,
)
from tfrec_div.metrics.lists import Matrix, check_ragged, check_rows


def calibration_kl(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    category_matrix: Matrix,
    definition: str = "steck",
    alpha: float | None = None,
    history_weights: np.ndarray | None = None,
    discount: str | np.ndarray = "none",
) -> np.ndarray:
    """Kullback–Leibler divergence of a list's categories from those of the history (Steck, 2018); 0 is calibrated.

    An item's weight is shared equally by its categories; items without categories are passed over.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        history_values: item rows of all histories, one user after the other.
        history_row_splits: `[users + 1]`.
        category_matrix: `[items, categories]`, 1 where an item has a category; NumPy or scipy.sparse.
        definition: `"steck"`: Σ p ln(p/q̃) with q̃ = (1 − α)q + αp and α = 0.01, as published; p is the history's
            distribution, q the list's. `"informfully"`: in bits, p smoothed by q likewise, α = 0.001 (Informfully's
            and RADio's `Calibration` of categories, without rounding).
        alpha: smoothing in [0, 1] instead of the definition's; 0 gives infinity where a category of the history is
            missing.
        history_weights: one per value of the history, `recency_weights` for instance; None: 1.
        discount: of the places of the list, see `rank_discount` (Steck's w_r(i)).

    Returns:
        float64 `[users]`; NaN where history or list have no category.

    Raises:
        ValueError: an unknown definition, alpha outside [0, 1], or shapes that do not fit.

    Example:
        >>> genres = np.array([[1, 0], [0, 1]])
        >>> calibration_kl(np.array([[0, 1], [0, -1]]), [0, 1, 0, 1], [0, 2, 4], genres).round(4)
        array([0.    , 1.9585])
    """
    if definition not in ("steck", "informfully"):
        raise ValueError(f"definition must be steck or informfully; received {definition!r}")
    steck = definition == "steck"
    smoothing = (0.01 if steck else 0.001) if alpha is None else alpha
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"alpha must be in [0, 1]; received {alpha}")
    target, other = _distributions(
        rows, history_values, history_row_splits, category_matrix, history_weights, discount
    )
    both = (0.0 if steck else smoothing, smoothing)
    return row_divergences(target, other, "kl", both, np.e if steck else 2.0)


def calibration_js(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    category_matrix: Matrix,
    definition: str = "divergence",
    history_weights: np.ndarray | None = None,
    discount: str | np.ndarray = "none",
) -> np.ndarray:
    """Jensen–Shannon divergence of a list's categories from those of the history; 0 is calibrated, 1 disjoint.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        history_values: item rows of all histories, one user after the other.
        history_row_splits: `[users + 1]`.
        category_matrix: `[items, categories]`, 1 where an item has a category; NumPy or scipy.sparse.
        definition: `"divergence"`: in bits, without smoothing. `"informfully"`: the square root, a metric, after
            smoothing both sides by 0.001 (Informfully's and RADio's, without rounding).
        history_weights: one per value of the history, `recency_weights` for instance; None: 1.
        discount: of the places of the list, see `rank_discount`.

    Returns:
        float64 `[users]` in [0, 1]; NaN where history or list have no category.

    Raises:
        ValueError: an unknown definition, or shapes that do not fit.

    Example:
        >>> genres = np.array([[1, 0], [0, 1]])
        >>> calibration_js(np.array([[0, 1], [0, -1]]), [0, 1, 1, 1], [0, 2, 4], genres)
        array([0., 1.])
    """
    if definition not in ("divergence", "informfully"):
        raise ValueError(f"definition must be divergence or informfully; received {definition!r}")
    target, other = _distributions(
        rows, history_values, history_row_splits, category_matrix, history_weights, discount
    )
    alpha = 0.0 if definition == "divergence" else 0.001
    values = row_divergences(target, other, "js", (alpha, alpha), 2.0)
    return values if definition == "divergence" else np.sqrt(values)


def recency_weights(
    history_row_splits: np.ndarray, half_life: float, timestamps: np.ndarray | None = None
) -> np.ndarray:
    """Weights that halve with the age of an interaction, 1 for each person's latest.

    Args:
        history_row_splits: `[users + 1]`, of histories in the order of time.
        half_life: in interactions, or in the units of the timestamps.
        timestamps: one per value of the history; None: an interaction's age is the number of later ones.

    Returns:
        float64, one per value of the history.

    Raises:
        ValueError: half_life is not above 0, or shapes that do not fit.

    Example:
        >>> recency_weights(np.array([0, 3, 4]), half_life=1.0)
        array([0.25, 0.5 , 1.  , 1.  ])
    """
    if not half_life > 0.0:
        raise ValueError(f"half_life must be above 0; received {half_life}")
    splits = np.asarray(history_row_splits, np.int64)
    check_ragged(
        "history", np.zeros(max(int(splits.flat[-1]), 0) if splits.size else 0), splits, len(splits) - 1
    )
    when = np.arange(splits[-1]) if timestamps is None else np.asarray(timestamps)
    if when.shape != (splits[-1],):
        raise ValueError(f"timestamps must be {splits[-1]} numbers; received {list(when.shape)}")
    lengths = np.diff(splits)
    filled = lengths > 0
    if not filled.any():
        return np.zeros(0)
    latest = np.maximum.reduceat(when, splits[:-1][filled])
    return 0.5 ** ((np.repeat(latest, lengths[filled]) - when) / half_life)


def _distributions(
    rows: np.ndarray,
    values: np.ndarray,
    row_splits: np.ndarray,
    category_matrix: Matrix,
    weights: np.ndarray | None,
    discount: str | np.ndarray,
) -> tuple[sparse.csr_array, sparse.csr_array]:
    rows = check_rows(rows)
    shares = category_shares(sparse.csr_array(category_matrix) != 0)
    check_ragged("history", values, row_splits, len(rows))
    places = rank_discount(rows.shape[1], discount)
    return history_distribution(values, row_splits, shares, weights), list_distribution(rows, shares, places)
