"""Fronts of two measures that are both better when higher: which points lie on them, how large they are."""

from __future__ import annotations

import numpy as np


def front(points: np.ndarray, most: int | None = None) -> np.ndarray:
    """Indices of the points `[n, 2]` that no other point beats in both measures, by rising first measure.

    Args:
        points: one row a point.
        most: keep at most this many, both ends included: for so many evenly spaced levels of the first measure, the
            point best in the second of those that reach the level.

    Example:
        >>> front(np.array([[0.7, 0.20], [0.8, 0.15], [0.75, 0.14], [0.9, 0.10]]))
        array([0, 1, 3])
    """
    order = np.lexsort((-points[:, 1], -points[:, 0]))
    best = np.maximum.accumulate(np.r_[-np.inf, points[order, 1]])[:-1]
    kept = order[points[order, 1] > best][::-1]
    if most is None or len(kept) <= most:
        return kept
    first = points[kept, 0]
    reaching = np.searchsorted(first, np.linspace(first[0], first[-1], most) - 1e-12)
    return kept[np.unique(reaching)]


def hypervolume(points: np.ndarray, reference: tuple[float, float]) -> np.ndarray:
    """Area that is beaten by the points `[..., n, 2]` and beats the reference point.

    Example:
        >>> float(hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), (0.0, 0.0)))
        3.0
    """
    order = np.argsort(-points[..., 0], axis=-1)[..., np.newaxis]
    first, second = np.moveaxis(np.take_along_axis(points, order, axis=-2), -1, 0)
    first = np.maximum(first, reference[0])
    height = np.maximum(np.maximum.accumulate(second, axis=-1) - reference[1], 0.0)
    floor = np.full_like(first[..., :1], reference[0])
    return ((first - np.concatenate([first[..., 1:], floor], axis=-1)) * height).sum(axis=-1)


def second_at(points: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The second measure of a front at levels of the first, between its points in a straight line.

    A mixture of two settings over users reaches every point of the line between them. Below the first point its
    second measure holds, beyond the last one nothing is reached: minus infinity.

    Example:
        >>> second_at(np.array([[0.7, 0.2], [0.9, 0.1]]), np.array([0.6, 0.8, 0.95])).round(3)
        array([0.2 , 0.15, -inf])
    """
    kept = points[front(points)]
    return np.interp(levels, kept[:, 0], kept[:, 1], right=-np.inf)


def resamples(users: int, times: int, seed: int = 0) -> np.ndarray:
    """Weights `[times, users]` of users drawn with replacement, each row of sum 1."""
    return np.random.default_rng(seed).multinomial(users, np.full(users, 1.0 / users), size=times) / users
