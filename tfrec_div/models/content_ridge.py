"""From content to a collaborative space by ridge regression, with a penalty that cross-validation chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from tfrec_div.data.dataset import Dataset

# Penalties that are tried, as shares of the number of items.
PENALTIES = (0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
FOLDS = 5
# An item that fewer interacted with tells little of whether it was put in the right place.
LEAST = 5
# Users whose lists are looked at.
USERS = 1000
LENGTH = 10

Fold = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def ridge(content: np.ndarray, targets: np.ndarray, l2: float) -> np.ndarray:
    """Returns the matrix W [dim, out] of least |content W - targets|² + l2 |W|², float64.

    Args:
        content: Float [items, dim].
        targets: Float [items, out].
        l2: Penalty, above 0.

    Example:
        >>> ridge(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]]), l2=5.0).tolist()
        [[1.0]]
    """
    content = np.asarray(content, np.float64)
    gram = content.T @ content + l2 * np.eye(content.shape[1])
    return np.linalg.solve(gram, content.T @ np.asarray(targets, np.float64))


def user_item_matrix(data: Dataset, values: np.ndarray) -> sparse.csr_matrix:
    """Returns users by items, with the values [interactions] of each pair added up.

    Args:
        data: Whose interactions.
        values: One for each of them.
    """
    log = data.interactions
    shape = (log.num_users, log.num_items)
    matrix = sparse.csr_matrix((values.astype(np.float64), (log.user, log.item)), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def item_factors(strengths: sparse.csr_matrix, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the right singular vectors of the largest singular values, float64 [items, dim], and these values.

    Where there are fewer, the rest are zeros.

    Args:
        strengths: Users by items.
        dim: How many.
    """
    least = min(strengths.shape)
    if least <= 2 * dim:
        _, values, right = np.linalg.svd(strengths.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(least)
        _, values, right = svds(strengths, k=dim, v0=start)
        order = np.argsort(-values)
        values, right = values[order], right[order]
    values, right = values[:dim], right[:dim]
    # The rest are directions of rounding errors.
    right = np.where((values > 1e-9 * values.max(initial=1e-300))[:, None], right, 0)
    lacking = dim - len(values)
    return np.pad(right.T, [(0, 0), (0, lacking)]), np.pad(values, (0, lacking))


def make_folds(
    strengths: sparse.csr_matrix,
    liked: sparse.csr_matrix,
    space: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> list[Fold]:
    """Takes a fifth of the items at a time for new ones.

    Args:
        strengths: Users by items, 0 where nothing happened.
        liked: Boolean users by items, what should be found.
        space: Gives, for the rows of the items that are left, their vectors [items left, dim] and the users'
            vectors [users, dim].

    Returns:
        For each fold the items left, the items taken out, what `space` gave, and a dense `liked` [users, taken out].
    """
    counts = np.diff(strengths.tocsc().indptr)
    part = np.random.default_rng(0).permutation(len(counts)) % FOLDS
    part[counts < LEAST] = -1
    users = np.unique(np.linspace(0, strengths.shape[0] - 1, min(USERS, strengths.shape[0])).astype(int))
    folds = []
    for number in range(FOLDS):
        kept, out = np.flatnonzero((part != number) & (counts > 0)), np.flatnonzero(part == number)
        found = liked[users][:, out].toarray() > 0
        if len(kept) and found.any():
            items, queries = space(kept)
            folds.append((kept, out, items, queries[users], found))
    return folds


def choose_penalty(
    content: np.ndarray, folds: Sequence[Fold], penalties: Sequence[float] = PENALTIES
) -> float:
    """Returns the largest penalty whose lists of new items are not clearly worse than the best one's.

    A list is measured by NDCG@10, and clearly worse is what lies further behind the best one than the standard error
    of this difference over the folds.

    Args:
        content: Float [items, dim].
        folds: As `make_folds` makes them.
        penalties: What is tried, as shares of the number of items.

    The rule of one standard error: Breiman et al. (1984), Classification and regression trees.
    """
    if not folds:
        return float(np.median(penalties))
    quality = np.array([[_quality(content, fold, share) for fold in folds] for share in penalties])
    behind = quality[quality.mean(axis=1).argmax()] - quality
    # Folds are hard or easy for all penalties alike, so that differences within them tell more.
    error = behind.std(axis=1, ddof=1) / np.sqrt(len(folds)) if len(folds) > 1 else np.zeros(len(behind))
    return float(
        max(share for share, near in zip(penalties, behind.mean(axis=1) <= error, strict=True) if near)
    )


def _quality(content: np.ndarray, fold: Fold, share: float) -> float:
    kept, out, items, queries, liked = fold
    placed = content[out] @ ridge(content[kept], items, share * len(kept))
    return mean_ndcg(queries @ placed.T, liked)


def mean_ndcg(scores: np.ndarray, liked: np.ndarray, k: int = LENGTH) -> float:
    """Returns the mean NDCG@k over the users who like something.

    Args:
        scores: Float [users, items].
        liked: Boolean [users, items].
        k: Length of the lists.

    Example:
        >>> round(mean_ndcg(np.array([[3.0, 2.0, 1.0]]), np.array([[False, True, False]])), 4)
        0.6309
    """
    number = liked.sum(axis=1)
    scores, liked, number = scores[number > 0], liked[number > 0], number[number > 0]
    k = min(k, scores.shape[1])
    discounts = 1 / np.log2(np.arange(2, k + 2))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    gained = (np.take_along_axis(liked, order, axis=1) * discounts).sum(axis=1)
    return float(np.mean(gained / np.cumsum(discounts)[np.minimum(number, k) - 1])) if len(number) else 0.0
