"""Diversity of recommended lists: one value per user, 0 for a list that is too short to have one."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.ils import intra_list_similarity
from tfrec_div.metrics.lists import membership


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
