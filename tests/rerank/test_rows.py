"""Rows of features: both layouts, with factors that are yet to be applied, give the same products."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.rerank.rows import Rows

ROWS = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]], [[0.5, 0.0], [0.0, 2.0], [1.0, 1.0]]], np.float32)
FACTORS = np.array([[1.0, 0.5, 2.0], [4.0, 1.0, 0.0]], np.float32)
PICK = tf.constant([1, 0])


def layouts(rows: np.ndarray, factors: np.ndarray) -> list[Rows]:
    """The first list in all layouts: in a batch, alone, and in two blocks."""
    first = tf.constant(factors[:1])
    return [
        Rows(tf.constant(rows)).times(tf.constant(factors)),
        Rows(tf.constant(rows[0])).times(first),
        Rows(tf.constant(rows[0, :2]), tf.constant(rows[0, 2:])).times(first),
    ]


@pytest.mark.parametrize("layout", range(3))
def test_factors_count_in_everything(layout):
    rows = layouts(ROWS, FACTORS)[layout]
    lists = len(ROWS) if layout == 0 else 1
    scaled = (ROWS * FACTORS[:, :, np.newaxis])[:lists]
    pick = PICK[:lists]
    row = scaled[np.arange(lists), pick]
    products = np.einsum("bnd,bd->bn", scaled, row)
    np.testing.assert_allclose(rows.take(pick), row)
    np.testing.assert_allclose(rows.dot(tf.constant(row)), products)
    np.testing.assert_allclose(rows.dot_picked(pick), products)
    np.testing.assert_allclose(rows.products(), np.einsum("bnd,bmd->bnm", scaled, scaled))
    np.testing.assert_allclose(rows.norms(), np.linalg.norm(scaled, axis=-1), rtol=1e-6)
    np.testing.assert_allclose(rows.mix(tf.ones([lists, 3])), scaled.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(
        rows.times(tf.constant(FACTORS[:lists])).take(pick),
        row * FACTORS[np.arange(lists), pick][:, np.newaxis],
    )


@pytest.mark.parametrize("layout", range(3))
def test_a_factor_of_zero_removes_a_row_that_is_not_finite(layout):
    spoiled = ROWS.copy()
    spoiled[0, 0] = np.nan
    spoiled[0, 2, 1] = np.inf
    factors = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]], np.float32)
    rows = layouts(spoiled, factors)[layout]
    np.testing.assert_allclose(rows.dot_picked(PICK[: 2 if layout == 0 else 1])[0], [0.0, 25.0, 0.0])
    gone = tf.constant([0, 0][: 2 if layout == 0 else 1])
    np.testing.assert_allclose(rows.take(gone)[0], [0.0, 0.0])
    np.testing.assert_allclose(rows.dot_picked(gone)[0], [0.0, 0.0, 0.0])


def test_unit_rows_of_missing_and_spoiled_vectors_are_like_nothing():
    rows = Rows(tf.constant([[[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0], [0.0, -2.0]]])).unit()
    np.testing.assert_allclose(rows.dot_picked(tf.constant([0]))[0], [1.0, 0.0, 0.0, -0.8], atol=1e-6)
    np.testing.assert_allclose(rows.dot_picked(tf.constant([2]))[0], [0.0, 0.0, 0.0, 0.0])
