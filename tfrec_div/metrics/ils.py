"""Intra-list similarity: how alike the items of a list are."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.lists import check_rows
from tfrec_div.metrics.pairs import list_similarities


def intra_list_similarity(
    rows: np.ndarray, vectors: np.ndarray, similarity: str = "cosine", definition: str = "mean"
) -> np.ndarray:
    """Similarity of the pairs of a list (Ziegler et al., 2005): less is more diverse.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
        vectors: `[items, dim]`. A row of zeros is a missing vector.
        similarity: `"cosine"`; `"jaccard"`: of the attributes (values that are not 0); both are 0 for an item
            without any. `"hamming"`: the share of attributes that both items have or both have not.
        definition: `"mean"`: over the pairs, as recmetrics' `intra_list_similarity`; 1 − the intra-list distance for
            cosine and Jaccard. `"sum"`: over the unordered pairs, as published; it grows with the list.

    Returns:
        float64 `[users]`; 0 for lists of fewer than two items.

    Raises:
        ValueError: an unknown similarity or definition.

    Example:
        >>> genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]])
        >>> intra_list_similarity(np.array([[0, 1, 2], [0, 1, -1]]), genres, "jaccard").round(4)
        array([0.1667, 0.5   ])
    """
    if definition not in ("mean", "sum"):
        raise ValueError(f"definition must be mean or sum; received {definition!r}")
    rows = check_rows(rows, len(vectors))
    there = rows >= 0
    total = np.zeros(len(rows))
    for users, matrix in list_similarities(rows, vectors, similarity):
        both = there[users, :, np.newaxis] & there[users, np.newaxis, :]
        total[users] = np.triu(np.where(both, matrix, 0.0), 1).sum(axis=(1, 2))
    length = there.sum(axis=1)
    return total / np.maximum(length * (length - 1) / 2, 1) if definition == "mean" else total
