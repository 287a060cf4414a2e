"""Binomial diversity: a list's categories compared with lists drawn from what people like."""

from __future__ import annotations

import numpy as np
from scipy import sparse, special

from tfrec_div.metrics.lists import Matrix, check_places, check_ragged, membership


def binomial_diversity(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    category_matrix: Matrix,
    alpha: float = 0.5,
    relevant: np.ndarray | None = None,
    definition: str = "vargas",
    general: np.ndarray | None = None,
) -> np.ndarray:
    """Binomial coverage times non-redundancy (Vargas, Baltrunas, Karatzoglou and Castells, 2014).

    A category's count in a list of N drawn at random is binomial with N and p = alpha · (share of the person's
    history that has the category) + (1 − alpha) · (share of all histories).

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        history_values: item rows that each user liked, one user after the other.
        history_row_splits: `[users + 1]`.
        category_matrix: `[items, categories]`, not 0 where an item has a category; NumPy or scipy.sparse.
        alpha: personalisation, in [0, 1]. A user without a history gets the shares of all.
        relevant: bool `[users, k]`, `hits` for instance: other items have no categories, as with a relevance model
            in RankSys; None: all count.
        definition: `"vargas"`: the roots are those of the number of all categories (coverage) and of the number of
            categories in the list (non-redundancy), as published and in RankSys. `"informfully"`: the number of
            all categories for both.
        general: `[categories]` share of all histories that has each category; None: from the histories given.

    Returns:
        float64 `[users]` in [0, 1]; 0 for a list without categories.

    Raises:
        ValueError: an unknown definition, alpha outside [0, 1], or shapes that do not fit.

    Example:
        >>> genres = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
        >>> rows = np.array([[0, 2], [0, 1]])
        >>> binomial_diversity(rows, np.array([0, 3, 1, 2]), np.array([0, 2, 4]), genres).round(4)
        array([1.    , 0.1667])
    """
    if definition not in ("vargas", "informfully"):
        raise ValueError(f"definition must be vargas or informfully; received {definition!r}")
    probability = category_probabilities(history_values, history_row_splits, category_matrix, alpha, general)
    coverage = binomial_coverage(rows, probability, category_matrix, relevant)
    return coverage * binomial_non_redundancy(rows, probability, category_matrix, relevant, definition)


def category_probabilities(
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    category_matrix: Matrix,
    alpha: float = 0.5,
    general: np.ndarray | None = None,
) -> np.ndarray:
    """How likely an item that the person likes has each category, float64 `[users, categories]`.

    The arguments are those of `binomial_diversity`.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1]; received {alpha}")
    has = _indicator(category_matrix)
    users = len(history_row_splits) - 1
    values, splits = check_ragged("history", history_values, history_row_splits, users, has.shape[0])
    shape = (users, has.shape[0])
    counts = (sparse.csr_array((np.ones(len(values)), values, splits), shape=shape) @ has).toarray()
    if general is None:
        general = counts.sum(axis=0) / max(len(values), 1)
    lengths = np.diff(splits)[:, np.newaxis]
    own = np.where(lengths > 0, counts / np.maximum(lengths, 1), general)
    return alpha * own + (1.0 - alpha) * np.asarray(general, np.float64)


def binomial_coverage(
    rows: np.ndarray,
    probability: np.ndarray,
    category_matrix: Matrix,
    relevant: np.ndarray | None = None,
) -> np.ndarray:
    """How little the categories are missed that a list has not: Π (1 − p)^N over them, to the power 1/categories.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        probability: `[users, categories]` from `category_probabilities`.
        category_matrix: `[items, categories]`, not 0 where an item has a category.
        relevant: bool `[users, k]`; the others have no categories; N is the length of the list all the same.

    Returns:
        float64 `[users]` in [0, 1].
    """
    counts, length, _ = _counts(rows, category_matrix, relevant)
    longing = np.where(counts > 0, 1.0, (1.0 - probability) ** length)
    return longing.prod(axis=1) ** (1.0 / max(counts.shape[1], 1))


def binomial_non_redundancy(
    rows: np.ndarray,
    probability: np.ndarray,
    category_matrix: Matrix,
    relevant: np.ndarray | None = None,
    definition: str = "vargas",
) -> np.ndarray:
    """How usual it is to have so many items of the categories that a list has: Π P(X ≥ count | X > 0), rooted.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        probability: `[users, categories]` from `category_probabilities`; a category that has the probability 0 and
            is in the list all the same counts as 1.
        category_matrix: `[items, categories]`, not 0 where an item has a category.
        relevant: bool `[users, k]`; X is the count in as many items as are relevant.
        definition: `"vargas"` or `"informfully"`, see `binomial_diversity`.

    Returns:
        float64 `[users]` in [0, 1]; 0 for a list without categories.
    """
    counts, _, drawn = _counts(rows, category_matrix, relevant)
    some = -np.expm1(drawn * np.log1p(-np.minimum(probability, 1.0 - 1e-16)))  # P(X > 0)
    at_least = special.bdtrc(np.maximum(counts - 1, 0), np.broadcast_to(drawn, counts.shape), probability)
    possible = (counts > 0) & (probability > 0.0)
    patience = np.where(possible, np.minimum(at_least / np.where(possible, some, 1.0), 1.0), 1.0)
    present = (counts > 0).sum(axis=1)
    root = present if definition == "vargas" else counts.shape[1]
    return np.where(present > 0, patience.prod(axis=1) ** (1.0 / np.maximum(root, 1)), 0.0)


def _indicator(category_matrix: Matrix) -> sparse.csr_array:
    return sparse.csr_array(sparse.csr_array(category_matrix) != 0, dtype=np.float64)


def _counts(
    rows: np.ndarray, category_matrix: Matrix, relevant: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items of each category, items of the list, and those that count, int64."""
    has = _indicator(category_matrix)
    rows = np.asarray(rows)
    counting = np.where(check_places("relevant", relevant, rows) > 0.0, rows, -1)
    counts = (membership(counting, has.shape[0]) @ has).toarray().astype(np.int64)
    length = (rows >= 0).sum(axis=1, keepdims=True)
    return counts, length, (counting >= 0).sum(axis=1, keepdims=True)
