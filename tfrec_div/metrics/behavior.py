"""What a re-ranking did to the order it was given: one value per user.

`after` is the page, `before` the candidates in the order of their scores. With positions, as re-rankers return them
for candidates sorted by score, `before` is not needed: position 0 is the best candidate.
"""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.lists import check_rows


def displacement(after: np.ndarray, before: np.ndarray | None = None, statistic: str = "mean") -> np.ndarray:
    """By how many places the items of a page were moved.

    Args:
        after: `[users, k]` the pages: positions in candidates sorted by score, or item rows when `before` is given;
            padded with −1.
        before: `[users, n]` item rows in the order of their scores, with all items of the page; None for positions.
        statistic: `"mean"` or `"max"` over the items of the page, of |place before − place after|.

    Returns:
        float64 `[users]`; 0 for an empty page.

    Raises:
        ValueError: an unknown statistic, or an item of the page that is not in `before`.

    Example:
        >>> displacement(np.array([[0, 5, 1]]))
        array([1.66666667])
        >>> displacement(np.array([[7, 9]]), before=np.array([[9, 8, 7]]), statistic="max")
        array([2.])
    """
    if statistic not in ("mean", "max"):
        raise ValueError(f"statistic must be mean or max; received {statistic!r}")
    places = _places(after, before)
    moved = np.where(places >= 0, np.abs(places - np.arange(places.shape[1])), 0)
    if statistic == "max":
        return moved.max(axis=1, initial=0).astype(np.float64)
    return moved.sum(axis=1) / np.maximum((places >= 0).sum(axis=1), 1)


def least_promoted(after: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """The deepest place by score that was brought onto a page.

    Args:
        after: `[users, k]` the pages, as for `displacement`.
        before: `[users, n]` item rows in the order of their scores, or None for positions.

    Returns:
        int64 `[users]`, counted from 1: k for a page in the order of the scores; 0 for an empty page.

    Raises:
        ValueError: an item of the page is not in `before`.

    Example:
        >>> least_promoted(np.array([[0, 5, 1], [0, 1, 2]]))
        array([6, 3])
    """
    return _places(after, before).max(axis=1, initial=-1) + 1


def relevance_lost(
    after: np.ndarray,
    scores: np.ndarray,
    before: np.ndarray | None = None,
    definition: str = "score",
    normalized: bool = True,
) -> np.ndarray:
    """Share of the relevance of the best page that a page gives up, by the model's own scores.

    Args:
        after: `[users, k]` the pages, as for `displacement`.
        scores: `[users, n]` scores of the candidates, in the order of the positions or of `before`; NaN and −inf where
            there is no candidate.
        before: `[users, n]` item rows, or None for positions. The scores need not be sorted.
        definition: `"score"`: 1 − sum of the page's scores / sum of the highest scores. `"dcg"`: the same with each
            score divided by log2(1 + place), so that the order of the page counts.
        normalized: map each user's scores to [0, 1] first, so that the share does not depend on their scale (the
            default of the re-rankers' `score_normalization` too). Without it, scores must not be negative.

    Returns:
        float64 `[users]` in [0, 1]; 0 for an empty page, and where nothing can be lost.

    Raises:
        ValueError: an unknown definition, shapes that do not fit, a page with a place without a candidate, an infinite
            score, or negative scores that are not normalized.

    Example:
        >>> scores = np.array([[1.0, 0.8, 0.2, 0.0]])
        >>> relevance_lost(np.array([[0, 2]]), scores).round(4)
        array([0.3333])
        >>> relevance_lost(np.array([[1, 0]]), scores, definition="dcg").round(4)
        array([0.0491])
    """
    if definition not in ("score", "dcg"):
        raise ValueError(f"definition must be score or dcg; received {definition!r}")
    places = _places(after, before)
    gains = _gains(scores, len(places), normalized)
    if before is not None and gains.shape != np.shape(before):
        raise ValueError(
            f"scores must have the shape {list(np.shape(before))} of before; received {list(gains.shape)}"
        )
    if places.size and places.max() >= gains.shape[1]:
        raise ValueError(f"after must be positions below {gains.shape[1]}; received {places.max()}")
    there = places >= 0
    page = np.take_along_axis(np.pad(gains, [(0, 0), (0, 1)]), places, axis=1)  # −1 takes the last, 0
    if np.isnan(page).any():
        user, place = np.argwhere(np.isnan(page))[0]
        raise ValueError(f"after must hold candidates; received {places[user, place]}, which has no score")
    best = -np.sort(-np.nan_to_num(gains, nan=0.0), axis=1)[:, : page.shape[1]]
    weights = rank_discount(page.shape[1], "log2") if definition == "dcg" else np.ones(page.shape[1])
    # The best page has as many items as this one, wherever its places are.
    possible = np.where(np.arange(page.shape[1]) < there.sum(axis=1)[:, np.newaxis], 1.0, 0.0) * weights
    got, most = (page * weights).sum(axis=1), (best * possible[:, : best.shape[1]]).sum(axis=1)
    return np.where(most > 0.0, np.clip(1.0 - got / np.where(most > 0.0, most, 1.0), 0.0, 1.0), 0.0)


def _gains(scores: np.ndarray, users: int, normalized: bool) -> np.ndarray:
    """Scores that are at least 0, NaN where there is no candidate."""
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or len(scores) != users:
        raise ValueError(f"scores must have the shape [{users}, candidates]; received {list(scores.shape)}")
    if np.isposinf(scores).any():
        user, place = np.argwhere(np.isposinf(scores))[0]
        raise ValueError(f"scores must be below infinity; received inf for candidate {place} of user {user}")
    gains = np.where(np.isneginf(scores), np.nan, scores)
    if normalized:
        known = ~np.isnan(gains)
        lowest = np.where(known, gains, np.inf).min(axis=1, initial=np.inf)[:, np.newaxis]
        highest = np.where(known, gains, -np.inf).max(axis=1, initial=-np.inf)[:, np.newaxis]
        spread = np.where(highest > lowest, highest - lowest, 1.0)
        return (gains - np.where(np.isfinite(lowest), lowest, 0.0)) / spread
    if (gains < 0.0).any():
        raise ValueError(f"scores must not be negative unless normalized; received {gains[gains < 0.0][0]}")
    return gains


def _places(after: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Place before, from 0, of each item of a page; −1 where the page is padded."""
    after = check_rows(after)
    if before is None:
        return after.astype(np.int64)
    found = find_places(after, before)
    if ((after >= 0) & (found < 0)).any():
        user, place = np.argwhere((after >= 0) & (found < 0))[0]
        raise ValueError(
            f"before must hold all items of after; received a page of user {user} with item {after[user, place]}, "
            "which is not in it"
        )
    return found


def find_places(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Place from 0 of each item of one list in another, int64 in the shape of `after`; −1 where it is not there.

    Args:
        after: `[users, k]`, padded with −1; an item occurs once in a list.
        before: `[users, n]`, likewise.

    Raises:
        ValueError: not the same number of users.
    """
    after, before = check_rows(after), check_rows(before)
    if len(after) != len(before):
        raise ValueError(f"before must have {len(after)} users; received {len(before)}")
    width = max(after.max(initial=0), before.max(initial=0)) + 2
    users = np.arange(len(after))[:, np.newaxis] * width + 1
    keys, wanted = (users + before).ravel(), users + after
    order = np.argsort(keys, kind="stable")
    at = np.searchsorted(keys, wanted, sorter=order)
    at = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(wanted.shape, np.int64)
    hit = (after >= 0) & (np.append(keys, -1)[at] == wanted)
    return np.where(hit, at - np.arange(len(after))[:, np.newaxis] * before.shape[1], -1)
