"""The fronts that `benchmarks/tradeoff.py` compares, by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "fronts.py"


@pytest.fixture(scope="module")
def fronts():
    spec = importlib.util.spec_from_file_location("fronts", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_front_leaves_out_what_is_beaten_or_equalled(fronts):
    points = np.array([[0.8, 0.15], [0.7, 0.20], [0.7, 0.18], [0.75, 0.15], [0.9, 0.10], [0.9, 0.10]])
    assert points[fronts.front(points)].tolist() == [[0.7, 0.20], [0.8, 0.15], [0.9, 0.10]]


def test_thinned_front_keeps_both_ends_and_is_evenly_spaced(fronts):
    line = np.stack([np.linspace(0.0, 1.0, 101), np.linspace(1.0, 0.0, 101)], 1)
    assert fronts.front(line, 5).tolist() == [0, 25, 50, 75, 100]
    # Of [0, 0.5, 1] the level 0.5 is reached by the point at 0.6 first.
    some = np.array([[0.0, 1.0], [0.45, 0.9], [0.6, 0.8], [0.7, 0.7], [1.0, 0.0]])
    assert fronts.front(some, 3).tolist() == [0, 2, 4]


def test_hypervolume_is_the_area_of_the_stairs(fronts):
    # Stairs: 1 x 3, 1 x 2, 2 x 1 above (0, 0); the point (1, 1) is beaten, (5, -1) lies below the reference.
    points = np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 1.0], [4.0, 1.0], [5.0, -1.0]])
    assert fronts.hypervolume(points, (0.0, 0.0)) == pytest.approx(7.0)
    assert fronts.hypervolume(points, (1.0, 0.0)) == pytest.approx(4.0)
    assert fronts.hypervolume(points, (0.0, 1.0)) == pytest.approx(3.0)
    assert fronts.hypervolume(np.stack([points, 2 * points]), (0.0, 0.0)).tolist() == [7.0, 28.0]


def test_level_between_two_points_lies_on_the_line(fronts):
    points = np.array([[0.9, 0.1], [0.7, 0.2], [0.8, 0.0]])
    got = fronts.second_at(points, np.array([0.5, 0.7, 0.75, 0.9, 0.91]))
    np.testing.assert_allclose(got, [0.2, 0.2, 0.175, 0.1, -np.inf])


def test_resamples_are_shares_of_users(fronts):
    weights = fronts.resamples(50, 400, seed=3)
    assert weights.shape == (400, 50)
    np.testing.assert_allclose(weights.sum(1), 1.0)
    # Draws with replacement: the variance of a weight is (1 - 1/50) / 50 of its mean.
    assert weights.var() * 50**2 == pytest.approx(0.98, rel=0.05)
    np.testing.assert_array_equal(weights, fronts.resamples(50, 400, seed=3))
