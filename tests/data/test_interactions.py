"""The order of interactions, what is relevant, and how strong it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec_div.data.interactions import Interactions

ROOT = Path(__file__).resolve().parents[2]
USERS, ITEMS = tuple("abcd"), tuple("vwxyz")


def log(user, item, **columns):
    return Interactions.from_rows(user, item, USERS, ITEMS, **columns)


@st.composite
def logs(draw, timed=None, max_size=40):
    """Interactions of four users and five items, with ties of time."""
    n = draw(st.integers(0, max_size))
    user = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    item = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    timed = draw(st.booleans()) if timed is None else timed
    time = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)) if timed else None
    return log(user, item, timestamp=time)


def test_rows_are_sorted_by_user_then_time_and_columns_follow():
    rows = log(
        [1, 0, 1, 0],
        [0, 1, 2, 3],
        timestamp=[5, 9, 3, 1],
        rating=[1, 2, 3, 4],
        event=["p", "q", "r", "s"],
        dwell=[0.5, 1.5, 2.5, np.nan],
        weight=[1, 2, 3, 4],
        review=["one", "two", "three", "four"],
    )
    assert rows.user.tolist() == [0, 0, 1, 1]
    assert rows.item.tolist() == [3, 1, 2, 0]
    assert rows.timestamp.tolist() == [1, 9, 3, 5]
    assert rows.rating.tolist() == [4, 2, 3, 1]
    assert rows.event.tolist() == ["s", "q", "r", "p"]
    assert rows.weight.tolist() == [4, 2, 3, 1]
    assert rows.review.tolist() == ["four", "two", "three", "one"]
    np.testing.assert_array_equal(rows.dwell, np.array([np.nan, 1.5, 2.5, 0.5], np.float32))
    dtypes = (rows.user.dtype, rows.item.dtype, rows.rating.dtype, rows.timestamp.dtype)
    assert dtypes == (np.int32, np.int32, np.float32, np.int64)
    assert rows.columns == ("rating", "timestamp", "event", "dwell", "weight", "review")


@pytest.mark.parametrize("columns", [{}, {"timestamp": np.full(200, 7)}])
def test_the_order_within_a_tie_does_not_follow_the_items(columns):
    items = [f"{number:03d}" for number in range(200)]
    order = Interactions.from_rows(np.zeros(200), np.arange(200), ["u"], items, **columns).item
    # For a random order, the correlation with the item row has a standard deviation of 0.07.
    assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.25
    other = Interactions.from_rows(np.zeros(200), np.arange(200), ["other"], items, **columns).item
    assert abs(np.corrcoef(order, other)[0, 1]) < 0.25


@given(st.permutations(range(12)))
def test_the_order_does_not_depend_on_the_order_of_the_rows(order):
    user, item = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    rows = log(user[order], item[order], timestamp=np.zeros(12))
    assert rows.equals(log(user, item, timestamp=np.zeros(12)))


def test_the_order_within_a_tie_follows_the_ids_not_the_rows():
    one = Interactions.from_rows([0, 0, 0], [0, 1, 2], ["u"], ["x", "y", "z"])
    two = Interactions.from_rows([0, 0, 0], [0, 1, 2], ["u"], ["z", "x", "y"])
    assert [["x", "y", "z"][row] for row in one.item] == [["z", "x", "y"][row] for row in two.item]


def test_the_order_is_the_same_in_another_process():
    code = (
        "from tfrec_div.data import Interactions\n"
        "rows = Interactions.from_rows([0] * 30, range(30), ['u'], [f'i{n}' for n in range(30)])\n"
        "print(rows.item.tolist())"
    )
    run = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for seed in ("1", "2")
    ]
    assert run[0].stdout == run[1].stdout != b""


def test_rows_in_another_order_are_refused():
    rows = log([0, 0], [0, 1], timestamp=[1, 2])
    with pytest.raises(ValueError, match="from_rows"):
        Interactions(rows.user, rows.item, 4, 5, rows.tie, timestamp=rows.timestamp[::-1])
    with pytest.raises(ValueError, match="2 values of rating"):
        Interactions(rows.user, rows.item, 4, 5, rows.tie, rating=np.ones(3, np.float32))


def test_an_unknown_column_is_named():
    with pytest.raises(TypeError, match="stars"):
        log([0], [0], stars=[1])


def test_take_keeps_the_order_whatever_the_indices():
    rows = log([0, 0, 1, 2], [0, 1, 2, 3], timestamp=[1, 2, 3, 4])
    assert rows.take(np.array([3, 0, 2])).item.tolist() == [0, 2, 3]
    assert rows.take(np.array([True, False, False, True])).item.tolist() == [0, 3]
    assert len(rows.take(np.zeros(4, bool))) == 0
    with pytest.raises(ValueError, match="mask of 4"):
        rows.take(np.ones(3, bool))


def test_counts_and_histories():
    rows = log([2, 0, 0, 2, 2], [1, 4, 0, 1, 3], timestamp=[3, 2, 1, 1, 2])
    assert rows.item_counts().tolist() == [1, 2, 0, 1, 1]
    assert rows.user_counts().tolist() == [2, 0, 3, 0]
    values, row_splits = rows.histories()
    assert values.tolist() == [0, 4, 1, 3, 1]
    assert row_splits.tolist() == [0, 2, 2, 5, 5]
    assert (values.dtype, row_splits.dtype) == (np.int32, np.int64)


@given(logs())
def test_histories_hold_every_interaction_once(rows):
    values, row_splits = rows.histories()
    assert row_splits[-1] == len(values) == len(rows)
    for user in range(4):
        assert (
            values[row_splits[user] : row_splits[user + 1]].tolist() == rows.item[rows.user == user].tolist()
        )


def test_four_and_five_of_five_stars_are_relevant():
    rows = log([0] * 5, range(5), timestamp=range(5), rating=[1, 2, 3, 4, 5])
    assert rows.relevant().tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(rows.strength(), [0.1, 0.2, 0.3, 1, 1], rtol=1e-6)


def test_a_subset_keeps_the_rating_scale():
    rows = log([0] * 5, range(5), timestamp=range(5), rating=[1, 2, 3, 4, 5])
    middle = rows.take(np.array([1, 2]))
    assert middle.rating_scale == (1.0, 5.0)
    assert middle.relevant().tolist() == [False, False]


def test_a_scale_can_be_given():
    rows = log([0], [0], rating=[3], rating_scale=(1, 5))
    assert rows.relevant().tolist() == [False]


def test_one_rating_for_all_makes_all_relevant():
    rows = log([0, 0], [0, 1], rating=[1, 1])
    assert rows.relevant().tolist() == [True, True]
    assert rows.strength().tolist() == [1, 1]


def test_a_threshold_that_float32_cannot_hold():
    rows = log([0] * 3, range(3), timestamp=range(3), rating=[0, 0.9, 1.2])  # 0.75 · 1.2 = 0.9
    assert rows.relevant().tolist() == [False, True, True]


def test_a_missing_rating_is_not_relevant_and_counts_as_the_middle():
    rows = log([0] * 3, range(3), timestamp=range(3), rating=[1, np.nan, 5])
    assert rows.relevant().tolist() == [False, False, True]
    np.testing.assert_allclose(rows.strength(), [0.1, 0.3, 1.0], rtol=1e-6)


def test_a_purchase_without_a_rating_is_relevant():
    events = ["purchase", "purchase", "view"]
    rows = log(
        [0] * 3, range(3), timestamp=range(3), rating=[1, np.nan, np.nan], event=events, rating_scale=(1, 5)
    )
    assert rows.relevant().tolist() == [False, True, False]


def test_ratings_that_are_all_missing_say_nothing():
    rows = log([0], [0], rating=[np.nan])
    assert rows.relevant().tolist() == [True]
    assert rows.strength().tolist() == [1.0]


def test_what_goes_beyond_a_view_is_relevant():
    events = ["view", "save", "cart", "purchase", "share", ""]
    rows = log([0] * 6, [0, 1, 2, 3, 4, 0], timestamp=range(6), event=events)
    assert rows.relevant().tolist() == [False, True, True, True, False, False]
    np.testing.assert_allclose(rows.strength(), [0.2, 0.6, 0.6, 1.0, 0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("events", [["view", "view"], ["purchase", "cart"], ["share", "view"]])
def test_events_of_one_level_are_all_relevant(events):
    assert log([0, 0], [0, 1], event=events).relevant().tolist() == [True, True]


def test_a_subset_of_views_stays_irrelevant():
    rows = log([0] * 2, range(2), timestamp=range(2), event=["view", "purchase"])
    assert rows.take(np.array([0])).relevant().tolist() == [False]


def test_without_ratings_and_events_all_is_relevant_and_full_strength():
    rows = log([0, 1], [0, 1])
    assert rows.relevant().tolist() == [True, True]
    assert rows.strength().tolist() == [1, 1]
    assert rows.strength().dtype == np.float32


def test_weights_multiply_the_strength():
    rows = log([0, 0], [0, 1], timestamp=[0, 1], rating=[1, 5], weight=[2, 0.5])
    np.testing.assert_allclose(rows.strength(), [0.2, 0.5], rtol=1e-6)


def test_no_interactions_at_all():
    rows = log([], [], timestamp=[], rating=[], event=[])
    assert len(rows) == len(rows.relevant()) == len(rows.strength()) == 0
    assert rows.histories()[1].tolist() == [0, 0, 0, 0, 0]


def test_equality_sees_columns_and_scale():
    rows = log([0, 0], [0, 1], rating=[1, np.nan])
    assert rows.equals(log([0, 0], [0, 1], rating=[1, np.nan]))
    assert not rows.equals(log([0, 0], [0, 1], rating=[1, 2]))
    assert not rows.equals(log([0, 0], [0, 1], rating=[1, np.nan], rating_scale=(1, 5)))
    assert not rows.equals(log([0, 0], [0, 1]))
