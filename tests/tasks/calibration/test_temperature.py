"""One temperature, by hand and as planted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div.tasks.calibration import TemperatureScaling


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_the_temperature_of_two_logits_by_hand():
    # Half of the examples at 2, half at -2; at each 80 of 100 as the sign says. n₁ = n₀ = 100, so that a label of 1
    # counts 101/102 and the share at 2 is .8 · 101/102 + .2 · 1/102.
    logits = np.repeat([2.0, -2.0], 100)
    labels = (np.tile(np.arange(100), 2) < np.repeat([80, 20], 100)).astype(float)
    layer = TemperatureScaling().fit(logits, labels)
    share = 0.8 * 101 / 102 + 0.2 / 102
    assert layer.temperature == pytest.approx(2 / logit(share), rel=1e-5)


def test_two_logits_and_a_bias_by_hand():
    logits = np.repeat([3.0, 1.0], 100)
    labels = (np.tile(np.arange(100), 2) < np.repeat([30, 10], 100)).astype(float)
    layer = TemperatureScaling(bias=True).fit(logits, labels)
    # 40 of 1, 160 of 0.
    one, zero = 41 / 42, 1 / 162
    shares = [0.3 * one + 0.7 * zero, 0.1 * one + 0.9 * zero]
    np.testing.assert_allclose(layer(np.array([3.0, 1.0])), shares, rtol=1e-4)
    assert layer.temperature == pytest.approx(2 / (logit(shares[0]) - logit(shares[1])), rel=1e-4)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_planted_temperature_and_bias_are_found_whatever_the_size_of_the_logits(size):
    rng = np.random.default_rng(0)
    truth = rng.normal(-2, 1.5, 100_000)
    labels = rng.random(len(truth)) < 1 / (1 + np.exp(-truth))
    layer = TemperatureScaling(bias=True).fit((truth - 1.5) * size, labels)
    assert layer.temperature == pytest.approx(size, rel=0.03)
    assert float(layer(np.array([-1.5 * size]))[0]) == pytest.approx(0.5, abs=0.01)


def test_logits_that_tell_all_apart_make_no_certainties():
    layer = TemperatureScaling().fit(np.array([-1.0] * 50 + [1.0] * 50), np.array([0] * 50 + [1] * 50))
    assert float(layer(np.array([1.0]))[0]) == pytest.approx(51 / 52, rel=1e-4)


def test_labels_against_the_logits_leave_the_order_and_nearly_no_difference():
    layer = TemperatureScaling(bias=True).fit(np.array([-1.0, 1.0] * 50), np.array([1, 0] * 50))
    low, high = layer(np.array([-1.0, 1.0])).numpy()
    assert low <= high
    assert (low, high) == pytest.approx((0.5, 0.5), abs=1e-3)


def test_logits_of_zero_are_no_error():
    layer = TemperatureScaling(bias=True).fit(np.zeros(8), np.array([1, 0, 0, 0, 0, 0, 0, 0]))
    expected = (1 / 8) * (2 / 3) + (7 / 8) * (1 / 9)
    assert float(layer(np.zeros(1))[0]) == pytest.approx(expected, rel=1e-4)
