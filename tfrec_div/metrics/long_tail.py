"""How much of a list is from the long tail of items that are seldom used: one value per user."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.lists import check_rows, list_means

# What `share` is when it is not given.
_SHARES = {"elliot": 0.8, "recbole": 0.1}


def long_tail(item_counts: np.ndarray, share: float | None = None, definition: str = "elliot") -> np.ndarray:
    """Which items are in the long tail.

    Args:
        item_counts: `[items]` number of interactions in training.
        share: in (0, 1]; 0.8 for `"elliot"` and 0.1 for `"recbole"` when it is None.
        definition: `"elliot"`: all items but the most popular ones that together hold `share` of the interactions
            (Abdollahpouri et al., 2019); the item with which the share is reached is none of the tail; of equally
            popular items the lower row comes first. `"recbole"`: the least popular items, `share` of those that were
            used at all, at least one, of equally popular items the lower row first (`TailPercentage`); items that
            nobody used are none of them.

    Returns:
        bool `[items]`.

    Raises:
        ValueError: an unknown definition, or a share out of range.

    Example:
        >>> long_tail(np.array([1, 6, 2, 1]))
        array([ True, False, False,  True])
    """
    if definition not in _SHARES:
        raise ValueError(f"definition must be elliot or recbole; received {definition!r}")
    share = _SHARES[definition] if share is None else share
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must lie in (0, 1]; received {share!r}")
    counts = np.asarray(item_counts)
    if definition == "recbole":
        used = np.flatnonzero(counts > 0)
        least = used[np.argsort(counts[used], kind="stable")][: max(int(len(used) * share), 1)]
        tail = np.zeros(len(counts), bool)
        tail[least] = True
        return tail
    order = np.argsort(-counts, kind="stable")
    missing = share * counts.sum() - np.cumsum(counts[order])
    # In the head are those before the first with which nothing is missing, and that one.
    head = order[: 1 + np.count_nonzero(missing > 1e-9 * counts.sum())]
    tail = np.ones(len(counts), bool)
    tail[head] = False
    return tail


def aplt(rows: np.ndarray, long_tail: np.ndarray) -> np.ndarray:
    """Share of a list's items that are in the long tail (Abdollahpouri, Burke and Mobasher, 2017 and 2019).

    The mean over users is elliot's `APLT` with the long tail `"elliot"`, and RecBole's `TailPercentage` with the long
    tail `"recbole"`.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        long_tail: bool `[items]`, as from `long_tail`.

    Returns:
        float64 `[users]`; 0 for an empty list.

    Example:
        >>> aplt(np.array([[0, 1], [3, -1]]), long_tail(np.array([1, 6, 2, 1])))
        array([0.5, 1. ])
    """
    return list_means(rows, np.asarray(long_tail, bool))


def aclt(rows: np.ndarray, long_tail: np.ndarray) -> np.ndarray:
    """Number of a list's items that are in the long tail (Abdollahpouri, Burke and Mobasher, 2019).

    The mean over users is elliot's `ACLT`. How much of the tail is recommended to anybody is
    `catalog_coverage(rows, num_items, among=long_tail)`.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        long_tail: bool `[items]`, as from `long_tail`.

    Returns:
        int64 `[users]`.

    Example:
        >>> aclt(np.array([[0, 1], [3, 0]]), long_tail(np.array([1, 6, 2, 1])))
        array([1, 2])
    """
    tail = np.asarray(long_tail, bool)
    rows = check_rows(rows, len(tail))
    return np.append(tail, False)[rows].sum(axis=1)  # −1 takes the last
