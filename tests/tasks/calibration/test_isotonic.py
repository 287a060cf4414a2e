"""The best increasing function, by hand and as planted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div.tasks.calibration import IsotonicCalibration


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def examples(at, counts, relevant):
    """Examples at some logits, so many of them relevant."""
    counts, relevant = np.asarray(counts), np.asarray(relevant)
    logits = np.repeat(np.asarray(at, float), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return logits, (place < np.repeat(relevant, counts)).astype(float)


def test_pools_what_falls_and_goes_through_the_centres_of_the_steps():
    # Shares .1, .4, .3, .8: the middle two are one step of (40 + 90) / 400 at (1 · 100 + 2 · 300) / 400.
    layer = IsotonicCalibration().fit(*examples([0, 1, 2, 5], [100, 100, 300, 100], [10, 40, 90, 80]))
    found = layer(np.array([0.0, 1.75, 5.0]))
    np.testing.assert_allclose(found, [0.1, 0.325, 0.8], rtol=2e-3)


def test_is_straight_in_the_logit_between_and_of_the_same_slope_beyond():
    layer = IsotonicCalibration().fit(*examples([0, 2, 4], [100, 100, 100], [10, 20, 90]))
    slope = (logit(0.9) - logit(0.1)) / 4
    expected = [logit(0.1) - 3 * slope, (logit(0.1) + logit(0.2)) / 2, logit(0.9) + 2 * slope]
    found = layer(np.array([-3.0, 1.0, 6.0])).numpy().astype(float)
    np.testing.assert_allclose(np.log(found / (1 - found)), expected, rtol=2e-3)


def test_no_share_of_examples_is_a_certainty():
    layer = IsotonicCalibration().fit(*examples([0, 1], [49, 49], [0, 49]))
    np.testing.assert_allclose(layer(np.array([0.0, 1.0])), [0.01, 0.99], rtol=2e-3)


def test_labels_that_fall_make_one_probability_and_still_keep_order():
    layer = IsotonicCalibration().fit(*examples([0, 1, 2], [100, 100, 100], [60, 50, 10]))
    found = layer(np.array([0.0, 1.0, 2.0])).numpy()
    np.testing.assert_allclose(found, 0.4, atol=1e-3)
    assert found[0] < found[1] < found[2]


def test_a_form_that_no_temperature_has_is_found():
    rng = np.random.default_rng(0)
    logits = rng.uniform(-4, 4, 50_000)

    def truth(z):
        return np.where(z < 0, 0.1, 0.1 + 0.8 * np.minimum(z, 2) / 2)

    layer = IsotonicCalibration().fit(logits, rng.random(len(logits)) < truth(logits))
    new = np.linspace(-3.5, 3.5, 200)
    assert np.abs(layer(new) - truth(new)).mean() < 0.02


def test_more_steps_than_knots_are_joined():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 20_000)
    labels = rng.random(len(logits)) < 1 / (1 + np.exp(-logits))
    few, many = (IsotonicCalibration(n).fit(logits, labels) for n in (12, 1000))
    assert [w.shape[0] for w in few.weights] == [12, 12]
    new = np.linspace(-4, 4, 100)
    assert np.abs(few(new) - 1 / (1 + np.exp(-new))).mean() < 0.02
    assert np.abs(few(new) - many(new)).max() > 1e-4


def test_one_example_is_enough():
    assert float(
        IsotonicCalibration().fit(np.array([3.0]), np.array([1.0]))(np.array([3.0]))[0]
    ) == pytest.approx(2 / 3, rel=1e-5)


def test_logits_that_single_precision_cannot_tell_apart_make_no_certainties():
    layer = IsotonicCalibration().fit(
        np.array([1000.0, 1000.00001, 1000.00002] * 20), np.array([0, 1, 1] * 20)
    )
    found = layer(np.array([999.0, 1000.0, 1001.0])).numpy()
    assert (np.diff(found) > 0).all()
    assert found[0] > 0
    assert found[2] < 1


def test_the_number_of_knots_is_checked():
    with pytest.raises(ValueError, match="num_knots: expected at least 4, got 3"):
        IsotonicCalibration(3)
