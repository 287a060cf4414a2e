"""Whether probabilities hold: of what is foreseen with 30 %, do 30 % come true."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfrec_div.metrics.prediction import check_probabilities

STRATEGIES = ("uniform", "quantile")


class ReliabilityCurve(NamedTuple):
    """What was foreseen and what came, by bins of probability.

    Args:
        predicted: float64 `[bins]`, mean probability; NaN for an empty bin.
        observed: float64 `[bins]`, mean label; NaN for an empty bin.
        counts: int64 `[bins]`, examples.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray


def reliability_curve(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15, strategy: str = "uniform"
) -> ReliabilityCurve:
    """Means of probabilities and labels by bins.

    Args:
        probabilities: of any shape, in [0, 1].
        labels: alike, in [0, 1].
        bins: at least 1.
        strategy: `"uniform"`: bins of one width, ((i − 1)/bins, i/bins], as in the paper; `"quantile"`: of about the
            same number of examples (Nguyen and O'Connor, 2015), which shows more where most probabilities are
            small. Equal probabilities are never parted: some of these bins may be empty.

    Returns:
        The curve.

    Raises:
        ValueError: shapes that differ, values outside [0, 1], no bins, or an unknown strategy.

    Example:
        >>> curve = reliability_curve(np.array([0.1, 0.3, 0.9]), np.array([0, 1, 1]), bins=2)
        >>> curve.predicted, curve.observed, curve.counts
        (array([0.2, 0.9]), array([0.5, 1. ]), array([2, 1]))

    Niculescu-Mizil and Caruana (2005), Predicting good probabilities with supervised learning.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}; received {strategy!r}")
    if bins < 1:
        raise ValueError(f"bins must be at least 1; received {bins}")
    probabilities, labels = check_probabilities(probabilities, labels)
    probabilities, labels = probabilities.ravel(), labels.ravel()
    inner = np.arange(1, bins) / bins
    if strategy == "quantile" and probabilities.size:
        inner = np.quantile(probabilities, inner)
    place = np.searchsorted(inner, probabilities, side="left")
    count = np.bincount(place, minlength=bins)
    empty = np.full(bins, np.nan)
    predicted, observed = (
        np.divide(np.bincount(place, values, minlength=bins), count, out=empty.copy(), where=count > 0)
        for values in (probabilities, labels)
    )
    return ReliabilityCurve(predicted, observed, count)


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15, strategy: str = "uniform"
) -> float:
    """Mean over the examples of how far their bin's mean probability is from its mean label, ECE.

    It depends on the bins, and is above 0 for probabilities that hold, by chance: compare values of one strategy and
    about the same number of examples.

    Args:
        probabilities: of any shape, in [0, 1].
        labels: alike, in [0, 1].
        bins: at least 1.
        strategy: as for `reliability_curve`.

    Returns:
        In [0, 1]; NaN without examples.

    Raises:
        ValueError: as for `reliability_curve`.

    Example:
        >>> round(expected_calibration_error(np.array([0.1, 0.3, 0.9]), np.array([0, 1, 1]), bins=2), 4)
        0.2333

    Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning; Guo, Pleiss,
    Sun and Weinberger (2017), On calibration of modern neural networks.
    """
    curve = reliability_curve(probabilities, labels, bins, strategy)
    if not curve.counts.any():
        return float("nan")
    filled = curve.counts > 0
    gaps = np.abs(curve.predicted[filled] - curve.observed[filled])
    return float(np.average(gaps, weights=curve.counts[filled]))
