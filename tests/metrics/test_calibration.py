"""Calibration: by hand, and the numbers of Informfully."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import jensenshannon

from tfrec_div.metrics import calibration_js, calibration_kl, recency_weights

# Informfully's tests: one history of twelve interactions, a list of the first five items.
HISTORY = np.array([0, 1, 2, 3, 4, 8, 7, 6, 5, 1, 1, 2]), np.array([0, 12])
LIST = np.arange(5)[np.newaxis]
GENRES = np.eye(5)[[0, 1, 2, 2, 3, 4, 4, 1, 2]]

TWO = np.array([[1, 0], [0, 1]])


def test_the_examples_of_informfully():
    # The numbers of its first version, before it rounded.
    value = calibration_kl(LIST, *HISTORY, np.eye(9), "informfully")
    np.testing.assert_allclose(value, [3.039184897133893], rtol=1e-12)
    value = calibration_js(LIST, *HISTORY, GENRES, "informfully")
    np.testing.assert_allclose(value, [0.36362464942732303], rtol=1e-12)


def test_the_definition_of_steck_by_hand():
    # History .75 / .25, list 1 / 0: q smoothed by .01 is .9975 / .0025.
    value = calibration_kl(np.array([[0]]), [0, 0, 0, 1], [0, 4], TWO)
    np.testing.assert_allclose(value, [0.75 * np.log(0.75 / 0.9975) + 0.25 * np.log(0.25 / 0.0025)])
    value = calibration_kl(np.array([[0]]), [0, 0, 0, 1], [0, 4], TWO, alpha=0.1)
    np.testing.assert_allclose(value, [0.75 * np.log(0.75 / 0.975) + 0.25 * np.log(0.25 / 0.025)])
    assert calibration_kl(np.array([[0]]), [0, 1], [0, 2], TWO, alpha=0.0).tolist() == [np.inf]
    assert calibration_kl(np.array([[0]]), [0, 0], [0, 2], TWO, alpha=0.0).tolist() == [0.0]


def test_items_share_their_weight_among_their_categories():
    # History: .5 + .5/2 = .75, .25; list: both categories half.
    matrix = np.array([[1, 0], [1, 1], [0, 0]])
    value = calibration_kl(np.array([[1, 2]]), [0, 1, 2], [0, 3], matrix)
    smoothed = 0.99 * np.array([0.5, 0.5]) + 0.01 * np.array([0.75, 0.25])
    np.testing.assert_allclose(value, [0.75 * np.log(0.75 / smoothed[0]) + 0.25 * np.log(0.25 / smoothed[1])])


def test_an_item_has_a_category_or_not():
    rows, history = np.array([[1]]), ([0, 0, 1], [0, 3])
    value = calibration_kl(rows, *history, np.array([[5, 1], [0, 3]]))
    assert value == calibration_kl(rows, *history, np.array([[1, 1], [0, 1]]))


def test_weights_of_the_history_and_discounts_of_the_list():
    weights = np.array([3.0, 1.0])
    plain = calibration_js(np.array([[0]]), [0, 0, 0, 1], [0, 4], TWO)
    assert calibration_js(np.array([[0]]), [0, 1], [0, 2], TWO, history_weights=weights) == plain
    # A list a, b with places 1 and 1/2 is 2/3, 1/3.
    value = calibration_js(np.array([[0, 1]]), [0, 0, 1], [0, 3], TWO, discount="reciprocal")
    np.testing.assert_allclose(value, [0.0], atol=1e-15)


def test_jensen_shannon_is_scipys():
    rng = np.random.default_rng(0)
    matrix = np.eye(6)
    rows = np.argsort(rng.random((10, 6)), axis=1)[:, :3]
    values, splits = rng.integers(0, 6, 40), np.arange(0, 41, 4)
    expected = [
        jensenshannon(np.bincount(values[u * 4 : u * 4 + 4], minlength=6), np.bincount(row, minlength=6), 2)
        ** 2
        for u, row in enumerate(rows)
    ]
    np.testing.assert_allclose(calibration_js(rows, values, splits, matrix), expected, atol=1e-12)


def test_it_is_one_when_nothing_is_shared_and_zero_when_all_is():
    rows = np.array([[0, -1], [1, 0]])
    assert calibration_js(rows, [1, 0, 1], [0, 1, 3], TWO).tolist() == [1.0, 0.0]
    assert calibration_kl(rows, [1, 0, 1], [0, 1, 3], TWO).round(12).tolist() == [
        4.605170185988,
        0.0,
    ]  # ln 100


def test_nothing_to_compare_is_undefined():
    matrix = np.array([[1, 0], [0, 1], [0, 0]])
    rows = np.array([[0], [-1], [2], [0]])
    for metric in (calibration_kl, calibration_js):
        value = metric(rows, [0, 0, 2], [0, 0, 1, 2, 3], matrix)
        assert np.isnan(value).all(), metric.__name__  # no history; no list; list, history without categories


def test_sparse_categories_are_the_same():
    rows = np.array([[0, 2], [3, 4]])
    dense = calibration_kl(rows, [0, 1, 5, 6], [0, 2, 4], GENRES)
    assert (calibration_kl(rows, [0, 1, 5, 6], [0, 2, 4], sparse.coo_array(GENRES)) == dense).all()


def test_recency_weights_by_hand():
    assert recency_weights([0, 3, 3, 4], half_life=2.0).tolist() == [0.5, 0.5**0.5, 1.0, 1.0]
    times = np.array([100, 130, 130, 7])
    assert recency_weights([0, 3, 4], half_life=30.0, timestamps=times).tolist() == [0.5, 1.0, 1.0, 1.0]
    assert recency_weights([0, 0], half_life=1.0).tolist() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibration_kl(LIST, *HISTORY, GENRES, "js"), "steck or informfully; received 'js'"),
        (
            lambda: calibration_js(LIST, *HISTORY, GENRES, "steck"),
            "divergence or informfully; received 'steck'",
        ),
        (
            lambda: calibration_kl(LIST, [0], [0, 0], GENRES),
            "history_row_splits must have 2 entries, from 0 to 1",
        ),
        (
            lambda: calibration_kl(LIST, [9], [0, 1], GENRES),
            "history_values must be rows of the catalogue of 9 items; received 9",
        ),
        (lambda: calibration_kl(LIST, [0], [0, 1], GENRES, history_weights=np.ones(2)), "must be 1 numbers"),
        (
            lambda: calibration_kl(LIST, [0], [0, 1], GENRES, alpha=2),
            r"alpha must be in \[0, 1\]; received 2",
        ),
        (lambda: recency_weights([0, 2, 1], half_life=1.0), "must not decrease; received 2 and then 1"),
        (lambda: recency_weights([0, 1], half_life=0.0), "half_life must be above 0; received 0.0"),
        (
            lambda: recency_weights([0, 2], 1.0, np.ones(3)),
            r"timestamps must be 2 numbers; received \[3\]",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
