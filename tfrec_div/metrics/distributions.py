"""Distributions of categories in lists and histories, and how far they are apart.

Distributions are sparse, so that the categories may be as many as news stories or names.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrec_div.metrics.lists import Matrix, check_ragged, check_rows

DIVERGENCES = ("kl", "js")


def category_shares(category_matrix: Matrix) -> sparse.csr_array:
    """An item's weight shared by its categories in proportion to their values, rows sum to 1 or are empty.

    Args:
        category_matrix: `[items, categories]`, 0 where an item has not the category; NumPy or scipy.sparse.
    """
    return _normalized(sparse.csr_array(category_matrix, dtype=np.float64))


def list_distribution(
    rows: np.ndarray, shares: sparse.csr_array, discount: np.ndarray | None = None
) -> sparse.csr_array:
    """Distribution of categories in each list; items without categories are passed over.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        shares: `[items, categories]` from `category_shares`.
        discount: `[k]` weights of the places; None: 1.

    Returns:
        `[users, categories]` float64, rows sum to 1 or are empty.
    """
    rows = check_rows(rows, shares.shape[0])
    there = rows >= 0
    weights = np.broadcast_to(1.0 if discount is None else discount, rows.shape)[there]
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return _distribution(rows[there], starts, shares, weights)


def history_distribution(
    values: np.ndarray,
    row_splits: np.ndarray,
    shares: sparse.csr_array,
    weights: np.ndarray | None = None,
    name: str = "history",
) -> sparse.csr_array:
    """Distribution of categories in each history, as `list_distribution`.

    Args:
        values: item rows of all users, one user after the other.
        row_splits: `[users + 1]`.
        shares: `[items, categories]` from `category_shares`.
        weights: one per value; None: 1.
        name: of the argument, for messages.
    """
    values, row_splits = check_ragged(name, values, row_splits, len(row_splits) - 1, shares.shape[0])
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != values.shape or not (weights >= 0.0).all():
        raise ValueError(
            f"{name}_weights must be {len(values)} numbers of at least 0; received {list(weights.shape)}"
        )
    return _distribution(values, row_splits, shares, weights)


def row_divergences(
    target: sparse.csr_array, other: sparse.csr_array, kind: str, alpha: tuple[float, float], base: float
) -> np.ndarray:
    """How far each row of `other` is from that of `target`.

    Args:
        target: `[users, categories]`, P.
        other: `[users, categories]`, Q.
        kind: `"kl"`: Σ P̃ log(P̃/Q̃), infinite where a category of P̃ is not in Q̃. `"js"`: the mean of the
            divergences of P̃ and Q̃ from their middle.
        alpha: (a, b) of the smoothing: P̃ = (1 − a)P + aQ and Q̃ = (1 − b)Q + bP.
        base: of the logarithm.

    Returns:
        float64 `[users]`; NaN where either row is empty.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in DIVERGENCES:
        raise ValueError(f"divergence must be kl or js; received {kind!r}")
    p = (1.0 - alpha[0]) * target + alpha[0] * other
    q = (1.0 - alpha[1]) * other + alpha[1] * target
    if kind == "kl":
        # Σ P̃ log P̃ − Σ P̃ log Q̃, over the entries of P̃.
        entries = p.tocoo()
        beside = np.asarray(q[entries.row, entries.col]).ravel()
        with np.errstate(divide="ignore"):
            terms = np.where(entries.data > 0.0, entries.data * np.log(entries.data / beside), 0.0)
        values = np.bincount(entries.row, terms, minlength=p.shape[0])
    else:
        values = _entropy(0.5 * (p + q)) - 0.5 * (_entropy(p) + _entropy(q))
    defined = (_row_sums(target) > 0.0) & (_row_sums(other) > 0.0)
    # Rounding must not make the divergence of equal distributions negative.
    return np.where(defined, np.maximum(values / np.log(base), 0.0), np.nan)


def _distribution(
    values: np.ndarray, row_splits: np.ndarray, shares: sparse.csr_array, weights: np.ndarray
) -> sparse.csr_array:
    shape = (len(row_splits) - 1, shares.shape[0])
    return _normalized(sparse.csr_array((weights, values, row_splits), shape=shape) @ shares)


def _normalized(matrix: sparse.csr_array) -> sparse.csr_array:
    total = _row_sums(matrix)
    return sparse.diags_array(1.0 / np.where(total > 0.0, total, 1.0)) @ matrix


def _row_sums(matrix: sparse.csr_array) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


def _entropy(matrix: sparse.csr_array) -> np.ndarray:
    entries = matrix.tocoo()
    positive = np.where(entries.data > 0.0, entries.data, 1.0)
    return np.bincount(entries.row, -positive * np.log(positive), minlength=matrix.shape[0])
