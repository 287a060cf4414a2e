"""Metrics of all lists together: one value for all users.

Where the lists do not fit into memory, `SystemCounts` takes them in chunks and has the same metrics.
"""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.counts import SystemCounts, coverage_of, entropy_of, gini_of
from tfrec_div.metrics.lists import recommendation_counts


def catalog_coverage(rows: np.ndarray, num_items: int, among: np.ndarray | None = None) -> float:
    """Share of the catalogue that is recommended to anybody (Ge, Delgado-Battenfeld and Jannach, 2010).

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.
        among: bool `[num_items]`, the items whose coverage is asked for, such as the long tail; None is all.

    Example:
        >>> catalog_coverage(np.array([[0, 1], [0, 2]]), 5)
        0.6
        >>> catalog_coverage(np.array([[0, 1], [0, 2]]), 5, among=np.array([False, False, True, True, True]))
        0.3333333333333333
    """
    return coverage_of(recommendation_counts(rows, num_items), among)


def gini(rows: np.ndarray, num_items: int, definition: str = "recbole") -> float:
    """Inequality of how often items are recommended; items that never are count.

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.
        definition: `"recbole"`: the Gini coefficient, divided by the number of items; 0 when all items are
            recommended equally often, towards 1 when a single one is; lenskit's `ListGini` is the same. `"elliot"`: 1 −
            the coefficient divided by the number of items less one, so that more is more even, exactly 0 for a single
            item.

    Raises:
        ValueError: an unknown definition.

    Example:
        >>> round(gini(np.array([[0, 1], [0, 2], [0, 2]]), 5), 4)
        0.5333
    """
    return gini_of(recommendation_counts(rows, num_items), definition)


def exposure_gini(
    rows: np.ndarray, num_items: int, definition: str = "recbole", discount: str | np.ndarray = "log2"
) -> float:
    """Inequality of the exposure of items: a place counts as much as it is seen (Singh and Joachims, 2018).

    Args:
        rows: `[users, k]`, padded with −1; a place that is padded exposes nothing.
        num_items: size of the catalogue.
        definition: as for `gini`.
        discount: exposure of the places, as in `rank_discount`; `"exponential"` with the definition `"recbole"` is
            lenskit's `ExposureGini` at its defaults.

    Raises:
        ValueError: an unknown definition or discount.

    Example:
        >>> round(exposure_gini(np.array([[0, 1], [0, 1]]), 2, discount=np.array([1.0, 0.5])), 4)
        0.1667
    """
    return SystemCounts(num_items, discount).update(rows).exposure_gini(definition)


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

    Example:
        >>> round(shannon_entropy(np.array([[0, 1], [2, 3]]), 4, "lenskit"), 4)
        2.0
    """
    return entropy_of(recommendation_counts(rows, num_items), definition)


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
        >>> round(average_overlap(np.array([[0, 1], [1, 2], [0, 1]]), 3), 4)
        0.6667
    """
    return SystemCounts(num_items, discount=None).update(rows).average_overlap()


def personalization(rows: np.ndarray, num_items: int) -> float:
    """1 − `average_overlap`: 0 when all users get the same list, 1 when no two lists share an item."""
    return 1.0 - average_overlap(rows, num_items)
