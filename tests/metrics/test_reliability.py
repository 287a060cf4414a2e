"""Reliability and ECE by hand and as planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import expected_calibration_error, reliability_curve

PROBABILITIES = np.array([0.05, 0.1, 0.15, 0.2, 0.6, 1.0])
LABELS = np.array([0, 0, 1, 0, 1, 1])


def test_bins_of_one_width_are_closed_above():
    curve = reliability_curve(PROBABILITIES, LABELS, bins=5)
    # (0, .2]: four, with the .2; (.4, .6]: the .6; (.8, 1].
    assert curve.counts.tolist() == [4, 0, 1, 0, 1]
    np.testing.assert_allclose(curve.predicted, [0.125, np.nan, 0.6, np.nan, 1.0])
    np.testing.assert_allclose(curve.observed, [0.25, np.nan, 1.0, np.nan, 1.0])


def test_zero_is_in_the_first_bin():
    assert reliability_curve(np.array([0.0, 1.0]), np.array([0, 1]), bins=4).counts.tolist() == [1, 0, 0, 1]


def test_ece_by_hand():
    assert expected_calibration_error(PROBABILITIES, LABELS, bins=5) == pytest.approx((4 * 0.125 + 0.4) / 6)
    assert expected_calibration_error(PROBABILITIES, LABELS, bins=1) == pytest.approx(abs(3 / 6 - 2.1 / 6))


def test_bins_of_one_size():
    curve = reliability_curve(PROBABILITIES, LABELS, bins=3, strategy="quantile")
    assert curve.counts.tolist() == [2, 2, 2]
    np.testing.assert_allclose(curve.predicted, [0.075, 0.175, 0.8])
    np.testing.assert_allclose(curve.observed, [0, 0.5, 1])
    found = expected_calibration_error(PROBABILITIES, LABELS, bins=3, strategy="quantile")
    assert found == pytest.approx((0.075 + 0.325 + 0.2) / 3)


def test_bins_of_one_size_see_what_small_probabilities_hide():
    """Two kinds of candidates at 1 % and 3 % that come true the other way round: one bin of the same width."""
    probabilities = np.repeat([0.01, 0.03], 10_000)
    labels = np.concatenate([np.arange(10_000) < 300, np.arange(10_000) < 100]).astype(float)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(probabilities, labels, 15, "quantile") == pytest.approx(0.02)


def test_equal_probabilities_are_not_parted():
    curve = reliability_curve(np.full(10, 0.3), np.arange(10) < 4, bins=4, strategy="quantile")
    assert sorted(curve.counts.tolist()) == [0, 0, 0, 10]
    assert np.nanmax(curve.observed) == 0.4


@settings(max_examples=40)
@given(
    examples=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    bins=st.integers(1, 20),
    strategy=st.sampled_from(["uniform", "quantile"]),
)
def test_every_example_counts_once(examples, bins, strategy):
    probabilities, labels = (np.array(x, float) for x in zip(*examples, strict=True))
    curve = reliability_curve(probabilities, labels, bins, strategy)
    there = curve.counts > 0
    assert curve.counts.sum() == len(examples)
    assert (np.isnan(curve.predicted) == ~there).all()
    assert (curve.predicted * curve.counts)[there].sum() == pytest.approx(probabilities.sum())
    assert (curve.observed * curve.counts)[there].sum() == pytest.approx(labels.sum())
    assert (np.diff(curve.predicted[there]) > 0).all()
    error = expected_calibration_error(probabilities, labels, bins, strategy)
    # One bin sees least.
    assert abs(probabilities.mean() - labels.mean()) - 1e-12 <= error <= 1


def test_probabilities_that_hold_have_an_error_near_nothing():
    rng = np.random.default_rng(0)
    probabilities = rng.random(200_000)
    labels = rng.random(200_000) < probabilities
    assert expected_calibration_error(probabilities, labels) < 0.005
    assert expected_calibration_error(probabilities**2, labels) == pytest.approx(1 / 2 - 1 / 3, abs=0.005)


def test_nothing_is_unknown():
    for strategy in ("uniform", "quantile"):
        assert math.isnan(expected_calibration_error(np.array([]), np.array([]), strategy=strategy))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="strategy must be one of uniform, quantile; received 'log'"):
        reliability_curve(PROBABILITIES, LABELS, strategy="log")
    with pytest.raises(ValueError, match="bins must be at least 1; received 0"):
        reliability_curve(PROBABILITIES, LABELS, bins=0)
    with pytest.raises(ValueError, match="probabilities and labels must have one shape"):
        reliability_curve(PROBABILITIES, LABELS[:3])
    with pytest.raises(ValueError, match=r"probabilities must be in \[0, 1\]; received -0.1"):
        reliability_curve(np.array([-0.1]), np.array([0]))
