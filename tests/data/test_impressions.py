"""Impressions in columns."""

from __future__ import annotations

import numpy as np

from tfrec_div.data.impressions import Impressions


def make(**changes):
    columns = {
        "user": [1, 0, 0],
        "item": [2, 3, 4],
        "timestamp": [5, 7, 7],
        "position": [1, 2, 1],
        "clicked": [1, 0, 1],
    }
    return Impressions.from_rows(**{**columns, **changes})


def test_rows_are_sorted_by_user_time_and_position():
    rows = make(propensity=[0.5, 1, np.nan])
    assert rows.user.tolist() == [0, 0, 1]
    assert rows.item.tolist() == [4, 3, 2]
    assert rows.clicked.tolist() == [True, False, True]
    np.testing.assert_array_equal(rows.propensity, [np.nan, 1, 0.5])


def test_some_rows():
    rows = make().take(np.array([True, False, True]))
    assert rows.item.tolist() == [4, 2]
    assert rows.propensity is None
    assert len(rows) == 2


def test_equality():
    assert make().equals(make())
    assert not make().equals(make(clicked=[1, 1, 1]))
    assert not make().equals(make(propensity=[1, 1, 1]))
