"""How well candidates are told apart, and how well their probabilities and ratings are foreseen."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from tfrec_div.metrics.discounts import rank_discount

USER_WEIGHTS = ("candidates", "clicks", "none")
GAINS = ("exponential", "linear")


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a relevant candidate scores above one that is not, a tie counting 1/2.

    Args:
        scores: `[n]`.
        labels: `[n]`, above 0 for relevant.

    Returns:
        In [0, 1]; NaN when all are relevant, or none.

    Raises:
        ValueError: shapes that differ, or a score of NaN.

    Example:
        >>> auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0]))
        0.875

    Hanley and McNeil (1982), The meaning and use of the area under a receiver operating characteristic curve.
    """
    scores, labels = _same_shape("scores", scores, labels)
    return float(_grouped_areas(scores.ravel(), labels.ravel() > 0, np.zeros(scores.size, np.int64), 1)[0])


def user_auc(scores: np.ndarray, labels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """`auc` of each user over that user's candidates.

    Args:
        scores: `[users, n]`.
        labels: `[users, n]`, above 0 for relevant.
        mask: bool `[users, n]`, which candidates are there; all by default. Others have no influence.

    Returns:
        float64 `[users]`; NaN for users whose candidates are all relevant, or none.

    Raises:
        ValueError: shapes that differ, or a score of NaN.

    Example:
        >>> user_auc(np.array([[0.9, 0.1], [0.2, 0.3]]), np.array([[1, 0], [1, 1]]))
        array([ 1., nan])
    """
    scores, labels, mask = _pools(scores, labels, mask)
    user = np.nonzero(mask)[0]
    return _grouped_areas(scores[mask], labels[mask] > 0, user, len(scores))


def grouped_auc(
    scores: np.ndarray,
    labels: np.ndarray,
    mask: np.ndarray | None = None,
    user_weight: str = "candidates",
) -> float:
    """Mean of `user_auc`, GAUC: unlike `auc` it does not reward telling users apart.

    Args:
        scores: `[users, n]`.
        labels: `[users, n]`, above 0 for relevant.
        mask: bool `[users, n]`, which candidates are there; all by default.
        user_weight: what a user counts for: the number of `"candidates"` (the paper's impressions) or of `"clicks"`
            (relevant ones), or `"none"`: all alike. Users whose candidates are all relevant, or none, do not count.

    Returns:
        In [0, 1]; NaN when no user counts.

    Raises:
        ValueError: shapes that differ, a score of NaN, or an unknown weight.

    Example:
        >>> scores, labels = np.array([[3.0, 2, 1], [1, 2, 0]]), np.array([[1, 0, 0], [1, 0, 0]])
        >>> grouped_auc(scores, labels, mask=np.array([[1, 1, 1], [1, 1, 0]], bool))
        0.6

    Zhu et al. (2017), Optimized cost per click in Taobao display advertising; Zhou et al. (2018), Deep interest
    network for click-through rate prediction.
    """
    if user_weight not in USER_WEIGHTS:
        raise ValueError(f"user_weight must be one of {', '.join(USER_WEIGHTS)}; received {user_weight!r}")
    scores, labels, mask = _pools(scores, labels, mask)
    areas = user_auc(scores, labels, mask)
    counted = mask if user_weight == "candidates" else mask & (labels > 0)
    weight = np.ones(len(areas)) if user_weight == "none" else counted.sum(axis=1).astype(np.float64)
    weight[np.isnan(areas)] = 0.0
    return float(np.nansum(areas * weight) / weight.sum()) if weight.any() else float("nan")


def log_loss(probabilities: np.ndarray, labels: np.ndarray, clip: float = 1e-7) -> float:
    """Mean of −y ln p − (1 − y) ln(1 − p).

    Args:
        probabilities: of any shape, in [0, 1].
        labels: alike, in [0, 1].
        clip: probabilities are moved into [clip, 1 − clip], so that one certainty that fails is no infinite loss.

    Returns:
        At least 0; NaN without examples.

    Raises:
        ValueError: shapes that differ, or values outside [0, 1].

    Example:
        >>> round(log_loss(np.array([0.8, 0.5]), np.array([1, 0])), 4)
        0.4581
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    if not 0.0 < clip < 0.5:
        raise ValueError(f"clip must be in (0, 0.5); received {clip}")
    inside = np.clip(probabilities, clip, 1.0 - clip)
    losses = -labels * np.log(inside) - (1.0 - labels) * np.log1p(-inside)
    return float(losses.mean()) if losses.size else float("nan")


def rmse(predictions: np.ndarray, ratings: np.ndarray) -> float:
    """Root mean squared error of predicted ratings.

    Args:
        predictions: of any shape.
        ratings: alike; NaN is unknown and does not count.

    Returns:
        At least 0; NaN when no rating is known.

    Raises:
        ValueError: shapes that differ.

    Example:
        >>> rmse(np.array([3.0, 1.0, 4.0]), np.array([4.0, 2.0, np.nan]))
        1.0
    """
    predictions, ratings = np.asarray(predictions, np.float64), np.asarray(ratings, np.float64)
    if predictions.shape != ratings.shape:
        raise ValueError(
            f"predictions and ratings must have one shape; received {list(predictions.shape)} and "
            f"{list(ratings.shape)}"
        )
    known = ~np.isnan(ratings)
    if not known.any():
        return float("nan")
    return float(np.sqrt(np.mean((predictions[known] - ratings[known]) ** 2)))


def pool_ndcg(
    scores: np.ndarray,
    labels: np.ndarray,
    mask: np.ndarray | None = None,
    k: int | None = None,
    gain: str = "exponential",
) -> np.ndarray:
    """NDCG of each user's candidates in the order of their scores, against the best order of the same candidates.

    Candidates of one score share the discounts of their places: the value is the mean over all orders of them
    (McSherry and Najork, 2008), so that a model that scores all alike gets what chance gets.

    Args:
        scores: `[users, n]`.
        labels: `[users, n]`, graded relevance, at least 0.
        mask: bool `[users, n]`, which candidates are there; all by default. Others have no influence.
        k: only the first k places count; None: all.
        gain: `"exponential"`: 2^label − 1; `"linear"`: the label. The same for labels of 0 and 1.

    Returns:
        float64 `[users]` in [0, 1]; NaN for users without a relevant candidate.

    Raises:
        ValueError: shapes that differ, a score of NaN, an unknown gain, or k below 1.

    Example:
        >>> pool_ndcg(np.array([[3.0, 2, 1]]), np.array([[0, 1, 1]])).round(4)
        array([0.6934])

    Järvelin and Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques; Burges et al. (2005), Learning to
    rank using gradient descent.
    """
    if gain not in GAINS:
        raise ValueError(f"gain must be one of {', '.join(GAINS)}; received {gain!r}")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1; received {k}")
    scores, labels, mask = _pools(scores, labels, mask)
    users, width = scores.shape
    gains = np.where(mask, np.exp2(labels) - 1.0 if gain == "exponential" else labels, 0.0)
    discounts = rank_discount(width)
    discounts[width if k is None else k :] = 0.0
    order = np.lexsort((np.where(mask, -scores, 0.0), ~mask), axis=1)
    # No candidate ties with what is masked, not even at minus infinity.
    ordered = np.take_along_axis(np.where(mask, scores, np.nan), order, axis=1)
    won = np.take_along_axis(gains, order, axis=1)
    # A tie is a run of equal scores of one user.
    first = np.ones(scores.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = np.cumsum(first.ravel()) - 1
    size = np.bincount(run)
    shared = np.bincount(run, np.tile(discounts, users)) / size
    total = (won.ravel() * shared[run]).reshape(users, width).sum(axis=1) if width else np.zeros(users)
    best = -np.sort(-gains, axis=1) @ discounts
    return np.divide(total, best, out=np.full(users, np.nan), where=best > 0)


def check_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks probabilities and what came of them.

    Args:
        probabilities: of any shape, in [0, 1].
        labels: alike, in [0, 1].

    Returns:
        Both as float64.

    Raises:
        ValueError: shapes that differ, or values outside [0, 1].
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    if probabilities.shape != labels.shape:
        raise ValueError(
            f"probabilities and labels must have one shape; received {list(probabilities.shape)} and "
            f"{list(labels.shape)}"
        )
    for name, values in (("probabilities", probabilities), ("labels", labels)):
        inside = (values >= 0.0) & (values <= 1.0)
        if not inside.all():
            raise ValueError(f"{name} must be in [0, 1]; received {values[~inside].flat[0]}")
    return probabilities, labels


def _same_shape(name: str, scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if scores.shape != labels.shape:
        raise ValueError(
            f"{name} and labels must have one shape; received {list(scores.shape)} and {list(labels.shape)}"
        )
    return scores, labels


def _pools(
    scores: np.ndarray, labels: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, labels = _same_shape("scores", scores, labels)
    mask = np.ones(scores.shape, bool) if mask is None else np.asarray(mask, bool)
    if scores.ndim != 2 or mask.shape != scores.shape:
        raise ValueError(
            "scores, labels and mask must have the shape [users, n]; received scores of "
            f"{list(scores.shape)} and a mask of {list(mask.shape)}"
        )
    if np.isnan(scores[mask]).any():
        raise ValueError("scores must be numbers; received NaN")
    return scores, labels, mask


def _grouped_areas(scores: np.ndarray, relevant: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """The area of each group, by the ranks of the relevant (Mann and Whitney, 1947)."""
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers; received NaN")
    # Ranks within a group: those over all, when groups come one after the other, less the places before it.
    dense = rankdata(scores, method="dense") if len(scores) else np.zeros(0)
    rank = rankdata(group * (dense.max(initial=0) + 1.0) + dense, method="average")
    count = np.bincount(group, minlength=groups)
    before = np.cumsum(count) - count
    positive = np.bincount(group, relevant, minlength=groups)
    total = np.bincount(group, np.where(relevant, rank - before[group], 0.0), minlength=groups)
    pairs = positive * (count - positive)
    wins = total - positive * (positive + 1.0) / 2.0
    return np.divide(wins, pairs, out=np.full(groups, np.nan), where=pairs > 0)
