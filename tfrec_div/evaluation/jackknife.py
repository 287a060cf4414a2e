"""A value per user of what is measured on all lists together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec_div.evaluation.system import SystemMetric
from tfrec_div.metrics import SystemCounts

# So many say how far values spread within 2 %; more would only take time.
MOST_UNITS = 2000
# What differs by less is the same number: a rounding error must not become a difference of users, nor 0 a base.
_DIGITS = 13


def jackknife_units(users: int, seed: int = 0, most: int = MOST_UNITS) -> np.ndarray:
    """The unit of each user: a unit is a user, and where there are too many a random group of users.

    Args:
        users: Number of users.
        seed: Of the groups.
        most: Largest number of units. With more users there are from half of it to all of it, alike in size.

    Returns:
        Int64 `[users]`, from 0 without gaps.

    Example:
        >>> jackknife_units(3)
        array([0, 1, 2])
        >>> np.bincount(jackknife_units(7, most=4))
        array([3, 2, 2])
    """
    size = -(-users // most)
    if size <= 1:
        return np.arange(users)
    return np.random.default_rng(seed).permutation(users) % (users // size)


def jackknife_counts(
    metrics: Mapping[str, SystemMetric], rows: np.ndarray, num_items: int, units: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Values of units whose mean is a metric of all lists together, and whose spread gives its standard error.

    They are the pseudo-values of the jackknife (Tukey, 1958), n·θ − (n − 1)·θ₋ᵢ, where θ₋ᵢ is the metric without unit
    i of n, all moved by one constant so that their mean is θ itself. Unmoved, their mean is the metric corrected for
    its bias, such as the coverage that more users would give; it is the metric of these users that `evaluate` reports.
    For a metric that is a mean over users they are the users' values.

    The standard error is that of a mean of n values. On average it is not too small, whatever the metric (Efron and
    Stein, 1981): too large rather, where much hangs on items of a single list, as coverage does.

    Args:
        metrics: What is measured on a `SystemCounts`, by name, such as `SYSTEM_METRICS`.
        rows: `[users, k]` recommended item rows, padded with −1.
        num_items: Size of the catalogue.
        units: Int `[users]`, the unit of each user, from 0 without gaps, as from `jackknife_units`; None is one each.

    Returns:
        Float64 `[units]` by name.

    Raises:
        ValueError: `units` is not one for each user.

    Example:
        >>> from tfrec_div.evaluation import SYSTEM_METRICS
        >>> rows = np.array([[0, 1], [0, 2], [3, 4]])  # without the last list, two items less instead of one
        >>> jackknife_counts(SYSTEM_METRICS, rows, num_items=10)["coverage"].round(3)
        array([0.433, 0.433, 0.633])
    """
    rows = np.asarray(rows)
    units = np.arange(len(rows)) if units is None else np.asarray(units)
    if units.shape != (len(rows),):
        raise ValueError(f"units must have the shape [{len(rows)}]; received {list(units.shape)}")
    number = int(units.max(initial=-1)) + 1
    members = np.split(np.argsort(units, kind="stable"), np.bincount(units, minlength=number).cumsum()[:-1])
    whole = SystemCounts(num_items).update(rows)
    value = np.array([[metric(whole)] for metric in metrics.values()]).round(_DIGITS)
    without = np.empty((len(metrics), number))
    for unit, lists in enumerate(members[:number]):
        rest = whole.without(SystemCounts(num_items).update(rows[lists]))
        without[:, unit] = [metric(rest) for metric in metrics.values()]
    added = (without - value).round(_DIGITS)
    return dict(zip(metrics, value + (number - 1) * (added.mean(axis=1, keepdims=True) - added), strict=True))


def unit_means(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Values of units from values of users: the mean over units is the mean over users, a unit counts by its users.

    Args:
        values: `[users]`, NaN where a user has none.
        units: Int `[users]`, the unit of each user, from 0 without gaps.

    Returns:
        Float64 `[units]`: the users' values when each is a unit; else the mean of the unit's users, moved towards the
        mean of all when it has fewer users with a value than others, and away from it when it has more.

    Example:
        >>> unit_means(np.array([1.0, 3.0, 5.0, np.nan]), np.array([0, 0, 1, 1]))
        array([1.66666667, 4.33333333])
    """
    values, units = np.asarray(values, np.float64), np.asarray(units)
    number = int(units.max(initial=-1)) + 1
    if number == len(values):
        return values[np.argsort(units)]
    known = ~np.isnan(values)
    if not known.any():
        return np.full(number, np.nan)
    mean = values[known].mean()
    return mean + number * np.bincount(units[known], values[known] - mean, number) / np.count_nonzero(known)
