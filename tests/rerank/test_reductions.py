"""Reductions are the same numbers in a plain graph and compiled by XLA, where they are taken by halves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import tf
from tfrec_div.rerank.reductions import highest, lowest, position_of_highest, sum_of_squares, total

# Below, at and above the window of 32, odd and even, and what needs several halvings.
SIZES = (1, 2, 31, 32, 33, 63, 64, 65, 100, 1000, 1023)
PLACES = pytest.mark.parametrize("xla", [False, True], ids=["plain", "XLA"])


def run(function, *values, xla: bool) -> np.ndarray:
    return tf.function(function, jit_compile=xla, autograph=False)(*map(tf.constant, values)).numpy()


def position(values: np.ndarray, xla: bool) -> np.ndarray:
    index = np.arange(values.shape[1], dtype=np.int32)[np.newaxis]
    return run(position_of_highest, values, index, xla=xla)


@PLACES
@pytest.mark.parametrize("size", SIZES)
def test_against_numpy(size, xla):
    values = np.random.default_rng(size).normal(size=(3, size)).astype(np.float32)
    np.testing.assert_allclose(run(total, values, xla=xla)[:, 0], values.sum(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(run(highest, values, xla=xla)[:, 0], values.max(axis=1))
    np.testing.assert_array_equal(run(lowest, values, xla=xla)[:, 0], values.min(axis=1))
    np.testing.assert_array_equal(position(values, xla), values.argmax(axis=1))


@PLACES
@pytest.mark.parametrize("size", SIZES)
def test_whole_numbers_are_counted_exactly(size, xla):
    flags = (np.random.default_rng(size).random((2, size)) < 0.5).astype(np.int32)
    np.testing.assert_array_equal(run(total, flags, xla=xla)[:, 0], flags.sum(axis=1))


@PLACES
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 3.0, 3.0, 2.0], 1),
        ([-np.inf, -np.inf, -5.0], 2),
        ([-np.inf, -np.inf], 0),
        ([-1.0, -1e-30, -2.0], 1),
        ([-1e-37, 0.0], 1),
        ([-0.0, 0.0], 0),
        ([0.0, -0.0], 0),
        ([1.0, np.inf], 1),
        ([1.0, np.nextafter(np.float32(1.0), np.float32(2.0)), 1.0], 1),
    ],
)
def test_the_first_of_the_largest(values, expected, xla):
    short = np.array([values], np.float32)
    assert position(short, xla) == [expected]
    # The same behind the window's border: what comes before is smaller or closed.
    wide = np.pad(short, [(0, 0), (70, 0)], constant_values=-np.inf)
    if np.isfinite(values).any():
        assert position(wide, xla) == [70 + expected]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-2.5, -1.0, -0.0, 0.0, 0.5, 2.0, -np.inf]), min_size=40, max_size=40))
def test_ties_go_to_the_lowest_position(values):
    assert position(np.array([values], np.float32), xla=True) == [int(np.argmax(values))]


@PLACES
@pytest.mark.parametrize("dim", [1, 16, 63, 64, 65, 128])
def test_sum_of_squares(dim, xla):
    rows = np.random.default_rng(dim).normal(size=(2, 5, dim)).astype(np.float32)
    np.testing.assert_allclose(
        run(sum_of_squares, rows, xla=xla), (rows.astype(np.float64) ** 2).sum(-1), rtol=1e-5
    )


@PLACES
def test_a_row_that_is_not_finite_leaves_the_others_alone(xla):
    rows = np.array([[np.nan, 1.0, np.inf], [3.0, 0.0, 4.0], [np.inf, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    found = run(sum_of_squares, rows, xla=xla)
    np.testing.assert_allclose(found[[1, 3]], [25.0, 0.0], rtol=1e-6)
    assert not np.isfinite(found[[0, 2]]).any()
