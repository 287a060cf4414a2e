"""The table of FA*IR: how many protected items the beginning of a list must have."""

from __future__ import annotations

import numpy as np
from scipy import stats


def minimum_protected(length: int, p: float, alpha: float) -> np.ndarray:
    """m(1), …, m(length): the smallest number that a binomial test does not reject (Zehlike et al., 2017).

    Args:
        length: number of prefixes.
        p: minimum proportion of protected items, above 0 and below 1.
        alpha: significance of each test, from 0 (nothing is required) to below 1.

    Returns:
        int64 `[length]`, not decreasing.

    Example:
        >>> minimum_protected(12, 0.5, 0.1)
        array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4])
    """
    if alpha <= 0.0:
        return np.zeros(length, np.int64)
    return stats.binom.ppf(alpha, np.arange(1, length + 1), p).astype(np.int64)


def failure_probability(minimum: np.ndarray, p: float) -> float:
    """The share of fair lists, each place protected with probability p, that miss a requirement somewhere.

    Args:
        minimum: `[length]`, required number of protected items among the first 1, 2, ….
        p: probability of a protected item.

    Example:
        >>> round(failure_probability(np.array([0, 0, 1]), 0.5), 4)
        0.125
    """
    chance = np.ones(1)  # of each number of protected items so far, with no requirement missed
    for required in minimum:
        chance = np.append(chance * (1.0 - p), 0.0) + np.append(0.0, chance * p)
        chance[:required] = 0.0
    return float(1.0 - chance.sum())


def adjusted_alpha(length: int, p: float, alpha: float) -> float:
    """The significance of a single test, so that all tests together fail fair lists with probability alpha.

    The requirements change at finitely many significances only (Zehlike, Sühr and Castillo, 2020): of the tables
    that these give, none stricter than that of `alpha` itself, the one is taken whose probability of failure is
    nearest to `alpha`, the less strict one of two.

    Args:
        length: number of tests.
        p: minimum proportion of protected items, above 0 and below 1.
        alpha: share of fair lists that may fail, above 0 and below 1.

    Returns:
        A significance that gives that table, at most alpha.

    Example:
        >>> minimum_protected(20, 0.25, adjusted_alpha(20, 0.25, 0.1))
        array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    """
    most = int(minimum_protected(length, p, alpha)[-1])
    lengths = np.arange(1, length + 1)[:, np.newaxis]
    steps = stats.binom.cdf(np.arange(most + 1), lengths, p)
    # Above a step, one more protected item is required somewhere; between two, the table is the same.
    edges = np.concatenate([[0.0], np.unique(steps[steps < alpha]), [alpha]])
    choices = np.concatenate([[0.0], (edges[1:-1] + edges[2:]) / 2.0])

    def failure(number: int) -> float:
        return failure_probability(minimum_protected(length, p, choices[number]), p)

    low, high = 0, len(choices) - 1
    if failure(high) <= alpha:
        return alpha
    while high - low > 1:  # low fails at most alpha of the lists, high more
        middle = (low + high) // 2
        low, high = (middle, high) if failure(middle) <= alpha else (low, middle)
    nearest = low if alpha - failure(low) <= failure(high) - alpha else high
    return float(choices[nearest])
