"""Rank-biased overlap of two orders of items: one value per user."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.behavior import find_places
from tfrec_div.metrics.lists import check_rows


def rbo(
    after: np.ndarray, before: np.ndarray | None = None, p: float = 0.9, definition: str = "ext"
) -> np.ndarray:
    """Rank-biased overlap (Webber, Moffat and Zobel, 2010): 1 for the same order, 0 with nothing in common.

    The share of items that two lists have in common down to a depth, averaged over all depths, the first ones weighing
    most: a reader goes on from each place to the next with probability `p`. Lists may differ in length and in items.

    Args:
        after: `[users, k]`, padded with −1: positions in candidates sorted by score, or item rows when `before` is
            given; an item occurs once in a list.
        before: `[users, n]` item rows of the other list, padded with −1; None compares positions with the order of the
            scores, cut to the length of the page.
        p: in (0, 1); the first k places hold a share of the weight of about 0.86 at p = 0.9 and k = 10.
        definition: `"ext"`: the value extrapolated from the depth that is seen (equation 32, for lists of uneven
            lengths), as `rbo_ext` of the package rbo. `"min"`: the least that longer lists could have (equation 11, to
            the end of the longer list). `"res"`: how much more they could have (equation 30); `min + res` is the most.

    Returns:
        float64 `[users]`; of two empty lists `"ext"` is 1, of one empty list 0, as in the package rbo.

    Raises:
        ValueError: an unknown definition, p out of range, or another number of users.

    Example:
        >>> rbo(np.array([[0, 1, 2], [2, 1, 0]])).round(4)
        array([1.   , 0.855])
        >>> rbo(np.array([[4, 7, -1]]), before=np.array([[7, 9, 4]]), p=0.5, definition="min").round(4)
        array([0.2613])
    """
    if definition not in ("ext", "min", "res"):
        raise ValueError(f"definition must be ext, min or res; received {definition!r}")
    if not 0.0 < p < 1.0:
        raise ValueError(f"p must lie in (0, 1); received {p!r}")
    after = _filled(after)
    length = (after >= 0).sum(axis=1)
    if before is None:
        places = np.arange(after.shape[1])
        before = np.where(places < length[:, np.newaxis], places, -1)
    before = _filled(before)
    found = find_places(after, before)
    other = (before >= 0).sum(axis=1)
    short, long = np.minimum(length, other), np.maximum(length, other)
    # In common down to the depths 1, 2, …: an item counts from the deeper of its two places.
    width = max(after.shape[1], before.shape[1], 1)
    user, place = np.nonzero(found >= 0)
    seen_from = np.maximum(found[user, place], place)
    shared = np.bincount(user * width + seen_from, minlength=len(after) * width).reshape(len(after), width)
    shared = np.cumsum(shared, axis=1)
    all_shared = shared[:, -1]
    depth = np.arange(1, 2 * width + 1)
    weight = p**depth / depth
    scale, tail = (1.0 - p) / p, -np.log(1.0 - p)
    if definition == "min":
        return scale * ((shared - all_shared[:, np.newaxis]) @ weight[:width] + all_shared * tail)
    if definition == "res":
        total = np.concatenate([[0.0], np.cumsum(weight)])
        agreed = long + short - all_shared  # from this depth on the lists could be the same
        lacking = (
            short * (total[agreed] - total[short])
            + long * (total[agreed] - total[long])
            + all_shared * (tail - total[agreed])
        )
        return p**short + p**long - p**agreed - scale * lacking
    shared_short = np.where(short > 0, shared[np.arange(len(after)), np.maximum(short - 1, 0)], 0)
    ratio = shared_short / np.maximum(short, 1)
    beyond = np.maximum(depth[:width] - short[:, np.newaxis], 0) * ratio[:, np.newaxis]
    reached = np.where(depth[:width] <= long[:, np.newaxis], shared + beyond, 0.0) @ weight[:width]
    rest = ((all_shared - shared_short) / np.maximum(long, 1) + ratio) * p**long
    return np.where(long == 0, 1.0, np.where(short == 0, 0.0, scale * reached + rest))


def _filled(rows: np.ndarray) -> np.ndarray:
    """The items of each list in their order, the padding last."""
    rows = check_rows(rows)
    return np.take_along_axis(rows, np.argsort(rows < 0, axis=1, kind="stable"), axis=1)
