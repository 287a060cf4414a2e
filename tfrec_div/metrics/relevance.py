"""Relevance of recommended lists: one value per user, from hits by id.

All take `hits` bool `[users, k]` in the order of the list and `num_relevant` int `[users]`, the number of
relevant items of each user. `k` is the width of `hits`: a list that was not filled counts as misses. A user
without relevant items gets NaN and is left out of means by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfrec_div.metrics.lists import check_ragged, check_rows

# A table of what is relevant holds so many cells, which a processor keeps near, and so many users at least.
_CELLS, _LEAST_BLOCK = 2**20, 64


def hits(rows: np.ndarray, relevant_values: np.ndarray, relevant_row_splits: np.ndarray) -> np.ndarray:
    """Which recommended items are relevant, by id: equal scores never make a hit.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
        relevant_values: relevant item rows of all users, one user after the other.
        relevant_row_splits: `[users + 1]`: those of user u are `relevant_values[splits[u]:splits[u + 1]]`.

    Returns:
        bool `[users, k]`; false where padded.

    Raises:
        ValueError: the shapes do not fit, or a relevant value is no item row.

    Example:
        >>> hits(np.array([[4, 7, -1], [7, 2, 0]]), np.array([7, 9, 0]), np.array([0, 2, 3]))
        array([[False,  True, False],
               [False, False,  True]])
    """
    rows = check_rows(rows)
    values, splits = check_ragged("relevant", relevant_values, relevant_row_splits, len(rows))
    # A table of a block of users: ten times as fast as a search.
    width = int(max(rows.max(initial=0), values.max(initial=0))) + 1
    block = max(_CELLS // width, _LEAST_BLOCK)
    starts = np.arange(min(block, len(rows))) * width
    table = np.zeros(len(starts) * width, bool)
    found = np.empty(rows.shape, bool)
    for first in range(0, len(rows), block):
        last = min(first + block, len(rows))
        owned = starts[: last - first]
        known = np.repeat(owned, np.diff(splits[first : last + 1])) + values[splits[first] : splits[last]]
        table[known] = True
        found[first:last] = table[owned[:, np.newaxis] + rows[first:last]]
        table[known] = False
    return found & (rows >= 0)


def num_relevant(relevant_values: np.ndarray, relevant_row_splits: np.ndarray) -> np.ndarray:
    """Number of distinct relevant items of each user, int64 `[users]`; the arguments are those of `hits`."""
    users = len(relevant_row_splits) - 1
    keys, width = _relevant_keys(relevant_values, relevant_row_splits, users, 0)
    return np.bincount(keys // width, minlength=users).astype(np.int64)


def precision(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Share of the k places that hold a relevant item, float64 `[users]`; k is at least 1."""
    found, relevant = _counts(hits, num_relevant)
    if hits.shape[1] == 0:
        raise ValueError(f"hits must have at least one place; received {list(hits.shape)}")
    return _defined(found / hits.shape[1], relevant)


def recall(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items that are in the list, float64 `[users]`."""
    found, relevant = _counts(hits, num_relevant)
    return _defined(found / np.maximum(relevant, 1), relevant)


def f1(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall of each user, 0 without a hit, float64 `[users]`."""
    found, relevant = _counts(hits, num_relevant)
    return _defined(2.0 * found / (hits.shape[1] + relevant), relevant)


def hit_rate(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """1 for a list with at least one relevant item, else 0, float64 `[users]`."""
    found, relevant = _counts(hits, num_relevant)
    return _defined((found > 0).astype(np.float64), relevant)


def reciprocal_rank(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """1 / place of the first relevant item, from 1; 0 when there is none in the list; float64 `[users]`."""
    _, relevant = _counts(hits, num_relevant)
    return _defined((hits / np.arange(1, hits.shape[1] + 1)).max(axis=1, initial=0.0), relevant)


def ndcg(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), float64 `[users]`.

    Gain 1 for a relevant item, discount 1 / log2(place + 1); divided by the value of a list that begins with
    min(k, num_relevant) relevant items.

    Example:
        >>> ndcg(np.array([[False, True, True]]), np.array([2])).round(4)
        array([0.6934])
    """
    _, relevant = _counts(hits, num_relevant)
    discount = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[1.0], np.cumsum(discount)])  # the first entry is never used: it belongs to NaN
    return _defined(hits @ discount / ideal[np.minimum(relevant, hits.shape[1])], relevant)


def average_precision(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Mean over the relevant items of the precision at their place, float64 `[users]`.

    Divided by min(k, num_relevant), so that the best list of k has the value 1 (as in recommenders'
    `map_at_k` and the Kaggle contests); rectools and TREC divide by num_relevant.
    """
    _, relevant = _counts(hits, num_relevant)
    places = np.arange(1, hits.shape[1] + 1)
    total = (np.cumsum(hits, axis=1) / places * hits).sum(axis=1)
    return _defined(total / np.clip(relevant, 1, max(hits.shape[1], 1)), relevant)


RELEVANCE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "recall": recall,
    "precision": precision,
    "f1": f1,
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
    "map": average_precision,
}


def _relevant_keys(
    values: np.ndarray, row_splits: np.ndarray, users: int, highest: int
) -> tuple[np.ndarray, int]:
    values, row_splits = check_ragged("relevant", values, row_splits, users)
    width = int(max(highest, values.max(initial=0))) + 1
    owners = np.repeat(np.arange(users), np.diff(row_splits))
    keys = np.sort(owners * width + values)  # forty times as fast as np.unique
    return keys[np.diff(keys, prepend=-1) > 0], width


def _counts(hits: np.ndarray, num_relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    relevant = np.asarray(num_relevant)
    if hits.ndim != 2 or hits.dtype != bool:
        raise ValueError(f"hits must be bool [users, k]; received {hits.dtype} {list(hits.shape)}")
    if relevant.shape != hits.shape[:1]:
        raise ValueError(f"num_relevant must have the shape [{len(hits)}]; received {list(relevant.shape)}")
    return hits.sum(axis=1), relevant


def _defined(values: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    return np.where(relevant > 0, values, np.nan)
