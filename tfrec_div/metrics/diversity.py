"""Diversity of recommended lists, and of all lists together.

List metrics (`intra_list_distance`, `category_entropy`) give one value per user, 0 for a list that is too
short to have one. System metrics (`catalog_coverage`, `gini`, `shannon_entropy`, `personalization`) give one
value for all users.
"""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.ils import intra_list_similarity
from tfrec_div.metrics.lists import membership, recommendation_counts


def intra_list_distance(rows: np.ndarray, vectors: np.ndarray, distance: str = "cosine") -> np.ndarray:
    """Mean distance of all pairs of a list (Smyth and McClave, 2001; Ziegler et al., 2005).

    Cosine and Hamming by closed forms, not pair by pair: the sum of a list's unit vectors has the squared
    length `k + sum of all cosines`.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
        vectors: `[items, dim]`. A row of zeros is a missing vector.
        distance: `"cosine"`: 1 − cosine; a missing vector has similarity 0 (distance 1) to everything,
            another missing one included. `"hamming"`: the number of attributes that one item has and the
            other has not (an attribute is a value that is not 0), as rectools'
            `PairwiseHammingDistanceCalculator` on 0/1 features; not divided by the number of attributes.
            `"jaccard"`: 1 − the share of the attributes of either item that both have; an item without
            attributes has the distance 1 to everything.

    Returns:
        float64 `[users]`; 0 for lists of fewer than two items, as in rectools.

    Raises:
        ValueError: an unknown distance.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        >>> intra_list_distance(np.array([[0, 1, -1], [0, 2, 1], [1, -1, -1]]), vectors).round(4)
        array([1.    , 0.6667, 0.    ])
    """
    if distance not in ("cosine", "hamming", "jaccard"):
        raise ValueError(f"distance must be cosine, hamming or jaccard; received {distance!r}")
    lists = membership(rows, len(vectors))
    length = lists.sum(axis=1)
    if distance == "jaccard":
        return np.where(length > 1, 1.0 - intra_list_similarity(rows, vectors, "jaccard"), 0.0)
    pairs = np.maximum(length * (length - 1.0), 1.0)
    if distance == "hamming":
        having = lists @ (np.asarray(vectors) != 0).astype(np.float64)
        return 2.0 * (having * (length[:, np.newaxis] - having)).sum(axis=1) / pairs
    vectors = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0.0, norms, 1.0)
    present = lists @ (norms[:, 0] > 0.0).astype(np.float64)
    cosines = np.square(lists @ unit).sum(axis=1) - present
    # Rounding must not make the distance of equal items negative.
    return np.where(length > 1, np.maximum(1.0 - cosines / pairs, 0.0), 0.0)


def category_entropy(rows: np.ndarray, category_matrix: np.ndarray) -> np.ndarray:
    """Shannon entropy, in bits, of the categories of a list; an item's weight is shared by its categories.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        category_matrix: `[items, categories]`, 1 where an item has a category.

    Returns:
        float64 `[users]`; 0 for a list without categories.

    Example:
        >>> category_entropy(np.array([[0, 1], [0, 2]]), np.array([[1, 0], [0, 1], [1, 0]]))
        array([1., 0.])
    """
    matrix = np.asarray(category_matrix, np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    weight = membership(rows, len(matrix)) @ shares
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return np.where(share > 0.0, -share * np.log2(np.where(share > 0.0, share, 1.0)), 0.0).sum(axis=1)


def catalog_coverage(rows: np.ndarray, num_items: int) -> float:
    """Share of the catalogue that is recommended to anybody (Ge, Delgado-Battenfeld and Jannach, 2010).

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.
    """
    return float(np.count_nonzero(recommendation_counts(rows, num_items)) / max(num_items, 1))


def gini(rows: np.ndarray, num_items: int, definition: str = "recbole") -> float:
    """Inequality of how often items are recommended; items that never are count.

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.
        definition: `"recbole"`: the Gini coefficient, divided by the number of items; 0 when all items are
            recommended equally often, towards 1 when a single one is. `"elliot"`: 1 − the coefficient
            divided by the number of items less one, so that more is more even, exactly 0 for a single item.

    Raises:
        ValueError: an unknown definition.
    """
    if definition not in ("recbole", "elliot"):
        raise ValueError(f"definition must be recbole or elliot; received {definition!r}")
    counts = np.sort(recommendation_counts(rows, num_items))
    weighted = float((2 * np.arange(1, num_items + 1) - num_items - 1) @ counts / max(counts.sum(), 1))
    return weighted / num_items if definition == "recbole" else 1.0 - weighted / max(num_items - 1, 1)


def shannon_entropy(rows: np.ndarray, num_items: int, definition: str = "recbole") -> float:
    """Entropy of how often items are recommended.

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.
        definition: `"recbole"`: natural logarithm, divided by the number of distinct items recommended; mind
            that it falls when more items are recommended. `"lenskit"`: in bits, after adding 1e-6 to the
            count of every item of the catalogue (lenskit's formula, there over categories).

    Raises:
        ValueError: an unknown definition.
    """
    if definition not in ("recbole", "lenskit"):
        raise ValueError(f"definition must be recbole or lenskit; received {definition!r}")
    counts = recommendation_counts(rows, num_items)
    if definition == "lenskit":
        share = (counts + 1e-6) / (counts + 1e-6).sum()
        return float(-(share * np.log2(share)).sum())
    counts = counts[counts > 0]
    share = counts / max(counts.sum(), 1)
    return float(-(share * np.log(share)).sum() / max(len(counts), 1))


def average_overlap(rows: np.ndarray, num_items: int) -> float:
    """Mean overlap of the lists of two users, over all pairs of users.

    The overlap is the number of shared items over the geometric mean of the lengths (the cosine of the
    lists, as in recmetrics); for lists of k items, shared items / k. By item counts, not pair by pair. Empty
    lists are left out.

    Args:
        rows: `[users, k]`, padded with −1; an item occurs once in a list.
        num_items: size of the catalogue.

    Returns:
        In [0, 1]; 0 with fewer than two lists.

    Example:
        >>> average_overlap(np.array([[0, 1], [1, 2], [0, 1]]), 3).__round__(4)
        0.6667
    """
    lists = membership(rows, num_items)
    length = lists.sum(axis=1)
    users = int(np.count_nonzero(length))
    if users < 2:
        return 0.0
    weight = (1.0 / np.sqrt(np.maximum(length, 1.0))) @ lists
    return float((weight @ weight - users) / (users * (users - 1)))


def personalization(rows: np.ndarray, num_items: int) -> float:
    """1 − `average_overlap`: 0 when all users get the same list, 1 when no two lists share an item."""
    return 1.0 - average_overlap(rows, num_items)
