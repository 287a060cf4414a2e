"""Exact ranks of held-out items among all items, by counting."""

from __future__ import annotations

import numpy as np

# Scores of one block of queries: small enough to stay in the cache between the product and the count.
_BLOCK = 2**20


def target_ranks(
    query_vectors: np.ndarray,
    item_vectors: np.ndarray,
    targets: np.ndarray,
    exclude: tuple[np.ndarray, np.ndarray] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Rank of each query's target item by the product of the vectors, from 1.

    The rank is 1 + the number of other items that are not excluded and whose score is at least the target's:
    an item that ties with the target goes before it, so a model that gives all items the same score has no
    hits. Scores that differ by no more than the rounding of their products are ties.

    Top-k accuracy is the mean of `target_ranks(...) <= k`.

    Args:
        query_vectors: `[queries, dim]` float32.
        item_vectors: `[items, dim]` float32.
        targets: `[queries]` item rows.
        exclude: item rows that do not compete, `(values, row_splits [queries + 1])`: those of query q are
            `values[row_splits[q]:row_splits[q + 1]]`; a target that is listed is kept.
        batch_size: queries per block; chosen by the size of the catalogue when None.

    Returns:
        int64 `[queries]`, from 1 to the number of items.

    Raises:
        ValueError: the shapes do not fit, a target is out of range, or a score is NaN.

    Example:
        >>> import numpy as np
        >>> items = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32)
        >>> target_ranks(np.array([[1.0, 0.5], [1.0, 0.5]], np.float32), items, np.array([2, 0]))
        array([1, 2])
    """
    # TensorFlow's product: beside a running TensorFlow, NumPy's waits for its threads. Imported here, since
    # the rest of the evaluation needs none.
    from tfrec_div._keras import tf

    queries = np.ascontiguousarray(query_vectors, np.float32)
    items = np.ascontiguousarray(item_vectors, np.float32)
    targets = np.asarray(targets)
    _check(queries, items, targets, exclude)
    slack = _rounding(queries, items)
    size = batch_size or max(1, _BLOCK // max(len(items), 1))
    ranks = np.empty(len(queries), np.int64)
    all_items = tf.constant(items)
    for start in range(0, len(queries), size):
        block = slice(start, min(start + size, len(queries)))
        scores = tf.matmul(queries[block], all_items, transpose_b=True).numpy()
        least = scores[np.arange(len(scores)), targets[block]] - slack[block]
        if np.isnan(least).any():
            raise ValueError(
                f"query {start + int(np.argmax(np.isnan(least)))}: the score of its target is NaN"
            )
        ranks[block] = np.count_nonzero(scores >= least[:, np.newaxis], axis=1)
        if exclude is not None:
            ranks[block] -= _excluded_before(scores, least, targets[block], exclude, block)
    return ranks


def _excluded_before(
    scores: np.ndarray,
    least: np.ndarray,
    targets: np.ndarray,
    exclude: tuple[np.ndarray, np.ndarray],
    block: slice,
) -> np.ndarray:
    values, splits = exclude
    splits = np.asarray(splits[block.start : block.stop + 1], np.int64)
    owner = np.repeat(np.arange(len(scores)), np.diff(splits))
    keys = np.unique(owner * scores.shape[1] + np.asarray(values[splits[0] : splits[-1]], np.int64))
    owner, item = np.divmod(keys, scores.shape[1])
    before = (scores[owner, item] >= least[owner]) & (item != targets[owner])
    return np.bincount(owner[before], minlength=len(scores))


def _rounding(queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """How far equal products may differ: blocks of a matrix product add in different orders."""
    longest = np.sqrt(np.square(items).sum(axis=1).max(initial=0.0))
    return 2.0 * np.finfo(np.float32).eps * np.sqrt(np.square(queries).sum(axis=1)) * longest


def _check(
    queries: np.ndarray, items: np.ndarray, targets: np.ndarray, exclude: tuple[np.ndarray, np.ndarray] | None
) -> None:
    if queries.ndim != 2 or items.ndim != 2 or queries.shape[1] != items.shape[1]:
        raise ValueError(
            "query_vectors and item_vectors must have the shapes [queries, dim] and [items, dim]; "
            f"received {list(queries.shape)} and {list(items.shape)}"
        )
    if targets.shape != queries.shape[:1]:
        raise ValueError(f"targets must have the shape [{len(queries)}]; received {list(targets.shape)}")
    if len(targets) and (targets.min() < 0 or targets.max() >= len(items)):
        wrong = targets[(targets < 0) | (targets >= len(items))][0]
        raise ValueError(f"targets must be rows of {len(items)} items; received {wrong}")
    if exclude is not None and (len(exclude[1]) != len(queries) + 1 or exclude[1][-1] != len(exclude[0])):
        raise ValueError(
            f"exclude must be (values, row_splits) with {len(queries) + 1} splits, the last "
            f"{len(exclude[0])}; received {len(exclude[1])} splits, the last {exclude[1][-1]}"
        )
