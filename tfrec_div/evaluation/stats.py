"""Intervals and paired tests over users. No metric is reported without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

# Elements of one block of resamples: bounds the memory whatever the number of users.
_BLOCK = 2**23


class Interval(NamedTuple):
    """A value and its bootstrap interval.

    Attributes:
        mean: the value itself.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float


class PairedTest(NamedTuple):
    """Two systems compared on the same users.

    Attributes:
        mean_difference: mean of a − b.
        low: lower end of the bootstrap interval of the mean difference.
        high: upper end.
        p_value: two-sided, of the paired randomisation test.
        users: number of users compared.
    """

    mean_difference: float
    low: float
    high: float
    p_value: float
    users: int


def bootstrap_interval(
    values: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over users with a percentile bootstrap interval (Efron, 1979).

    Args:
        values: `[users]`; NaN users are left out.
        level: confidence, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.

    Returns:
        Mean and interval; NaN without users, the mean itself with a single one.

    Raises:
        ValueError: `values` has more than one axis, or `level` is out of range.
    """
    values = _known(values)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1); received {level!r}")
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    if np.ptp(values) == 0.0:  # nothing to resample
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(values)),
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def bootstrap_rows(
    statistic: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval of metrics of all lists together (coverage, Gini, …) by resampling users.

    For what can be had from counts, `bootstrap_counts` gives the same without running the statistic on each sample.

    A bootstrap sample repeats users, so it recommends fewer distinct items: its coverage is lower than that
    of the lists themselves. Hence only the spread is taken from the bootstrap; the interval is centred on
    the value.

    Args:
        statistic: takes rows `[users, k]` and gives a number, or an array of several.
        rows: `[users, k]` recommended item rows.
        level: confidence, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.

    Returns:
        Value, lower and upper end, each in the shape of the statistic.
    """
    value = np.asarray(statistic(rows), np.float64)
    rng = np.random.default_rng(seed)
    samples = np.stack([statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(resamples)])
    return spread_around(value, samples, level)


def spread_around(
    value: np.ndarray, samples: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the value with the ends of an interval: the spread of the samples, moved from their mean to the value.

    Args:
        value: A number, or an array of several.
        samples: `[resamples, ...]` the same of bootstrap samples.
        level: Confidence, in (0, 1).
    """
    low, high = np.quantile(samples, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    centre = samples.mean(axis=0)
    return value, value + low - centre, value + high - centre


def paired_test(
    a: np.ndarray, b: np.ndarray, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> PairedTest:
    """Compare two systems by the paired randomisation test (Fisher, 1935; Smucker et al., 2007).

    Args:
        a: `[users]` values of one system.
        b: `[users]` values of the other, in the same order; users with NaN in either are left out.
        level: confidence of the interval of the difference.
        resamples: number of random sign changes; all of them when there are fewer.
        seed: the same seed gives the same result.

    Returns:
        Mean difference a − b with interval and p-value.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> paired_test(np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0])).p_value
        0.25
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"a and b must have the same shape [users]; received {list(a.shape)} and {list(b.shape)}"
        )
    difference = _known(a - b)
    if len(difference) == 0:
        return PairedTest(np.nan, np.nan, np.nan, np.nan, 0)
    interval = bootstrap_interval(difference, level, seed=seed)
    if not difference.any():
        return PairedTest(*interval, 1.0, len(difference))
    p_value = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",  # of one sample: random signs
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(difference)),
        random_state=np.random.default_rng(seed),
    ).pvalue
    return PairedTest(*interval, float(p_value), len(difference))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for the size of their family (Holm, 1979); NaN is no member of it.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, np.float64)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    corrected = np.full(p_values.shape, np.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def _known(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1:
        raise ValueError(f"values must have the shape [users]; received {list(values.shape)}")
    return values[~np.isnan(values)]
