"""Unexpectedness: how far recommended items are from what a person knows."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrec_div.metrics.lists import check_ragged, check_rows
from tfrec_div.metrics.pairs import chunks, prepare, similarities


def unexpectedness(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    vectors: np.ndarray,
    distance: str = "cosine",
    definition: str = "mean",
) -> np.ndarray:
    """Mean over a list of the distance of its items to the history.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        history_values: item rows of all histories, one user after the other.
        history_row_splits: `[users + 1]`.
        vectors: `[items, dim]`. A row of zeros is a missing vector, at distance 1 to everything (cosine,
            Jaccard).
        distance: 1 − `"cosine"`, `"jaccard"` or `"hamming"` (here the share of attributes that differ).
        definition: of an item's distance to a history: `"mean"`: to all its items (Zhang et al., 2012;
            recommenders). `"min"`: to the nearest one (content-based surprise of Kaminskas and Bridge, 2014; the
            distance to the set of expected items of Adamopoulos and Tuzhilin, 2014).

    Returns:
        float64 `[users]`; 0 for an empty list, NaN without a history.

    Raises:
        ValueError: an unknown distance or definition, or shapes that do not fit.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> history = np.array([0, 1]), np.array([0, 2])
        >>> unexpectedness(np.array([[2, -1]]), *history, vectors).round(4)
        array([0.3])
        >>> unexpectedness(np.array([[2, -1]]), *history, vectors, definition="min").round(4)
        array([0.2])
    """
    items = item_unexpectedness(rows, history_values, history_row_splits, vectors, distance, definition)
    return items.sum(axis=1) / np.maximum((np.asarray(rows) >= 0).sum(axis=1), 1)


def item_unexpectedness(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    vectors: np.ndarray,
    distance: str = "cosine",
    definition: str = "mean",
) -> np.ndarray:
    """Distance of each item of a list to the history; the arguments are those of `unexpectedness`.

    Returns:
        float64 `[users, k]`; 0 at padding, NaN for all places of a user without a history.
    """
    if definition not in ("mean", "min"):
        raise ValueError(f"definition must be mean or min; received {definition!r}")
    rows = check_rows(rows, len(vectors))
    values, splits = check_ragged("history", history_values, history_row_splits, len(rows), len(vectors))
    prepared = prepare(vectors, distance)
    if definition == "mean" and distance == "cosine":
        near = _mean_cosine(rows, values, splits, prepared)
    else:
        near = _nearness(rows, values, splits, prepared, distance, definition)
    known = np.diff(splits)[:, np.newaxis] > 0
    # Rounding must not make the distance of equal items negative.
    return np.where(known, np.where(rows >= 0, np.maximum(1.0 - near, 0.0), 0.0), np.nan)


def _mean_cosine(rows: np.ndarray, values: np.ndarray, splits: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The mean of cosines is the product with the mean unit vector."""
    weights = 1.0 / np.repeat(np.maximum(np.diff(splits), 1), np.diff(splits))
    centers = sparse.csr_array((weights, values, splits), shape=(len(rows), len(unit))) @ unit
    near = np.zeros(rows.shape)
    for users in chunks(len(rows), rows.shape[1] * unit.shape[1]):
        near[users] = np.einsum("ukd,ud->uk", unit[rows[users]], centers[users])
    return near


def _nearness(
    rows: np.ndarray,
    values: np.ndarray,
    splits: np.ndarray,
    prepared: np.ndarray,
    similarity: str,
    definition: str,
) -> np.ndarray:
    """Mean or greatest similarity, some users with histories of about the same length at a time."""
    near = np.zeros(rows.shape)
    lengths = np.diff(splits)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    k, width = rows.shape[1], prepared.shape[1]
    start = 0
    while start < len(order):
        # As many users as fit when all have histories as long as the last of them.
        sizes = np.arange(1, len(order) - start + 1) * (lengths[order[start:]] * (k + width) + k * width)
        count = max(1, int(np.searchsorted(sizes, 2_000_000, side="right")))
        users = order[start : start + count]
        longest = int(lengths[users[-1]])
        places = np.arange(longest)
        there = places < lengths[users, np.newaxis]
        history = values[np.where(there, splits[users, np.newaxis] + places, 0)]
        found = similarities(prepared[rows[users]], prepared[history], similarity)
        if definition == "min":
            near[users] = np.where(there[:, np.newaxis], found, -np.inf).max(axis=2)
        else:
            total = np.where(there[:, np.newaxis], found, 0.0).sum(axis=2)
            near[users] = total / lengths[users, np.newaxis]
        start += count
    return near
