"""Profiles of histories: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import history_profile

ASPECTS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 2], [0, 0, 0]])


def test_shares_by_hand():
    # Items 0 and 1: (1 + 1/2, 1/2, 0) / 2. Item 2 has one aspect, whatever its value. Item 3 has none.
    profile = history_profile([0, 1, 2, 3, 0, 0, 2], [0, 2, 4, 4, 7], ASPECTS)
    expected = [[0.75, 0.25, 0], [0, 0, 1], [0, 0, 0], [2 / 3, 0, 1 / 3]]
    np.testing.assert_allclose(profile, expected, atol=1e-7)
    assert profile.dtype == np.float32


def test_half_life_in_interactions():
    # The ages are 2, 1, 0: weights 1/4, 1/2, 1 of 0, 2, 0.
    profile = history_profile([0, 2, 0], [0, 3], ASPECTS, half_life=1.0)
    np.testing.assert_allclose(profile, [[1.25 / 1.75, 0, 0.5 / 1.75]], atol=1e-7)


def test_half_life_in_the_units_of_the_timestamps():
    # 200 before the latest is two half-lives; every user's latest counts 1.
    when = [1000, 1200, 50, 150]
    profile = history_profile([0, 2, 2, 0], [0, 2, 4], ASPECTS, half_life=100.0, timestamps=when)
    np.testing.assert_allclose(profile, [[0.2, 0, 0.8], [2 / 3, 0, 1 / 3]], atol=1e-7)


def test_users_without_a_history():
    assert history_profile([], [0, 0, 0], ASPECTS, half_life=2.0).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"half_life": 0.0}, r"half_life must be above 0; received 0\.0"),
        ({"aspects": [1.0, 2.0]}, r"aspects must be \[items, aspects\] of at least 0; received \[2\]"),
        ({"aspects": [[1.0, -2.0]] * 4}, r"of at least 0; received \[4, 2\] with -2.0"),
        ({"history_row_splits": [0, 2]}, "must have 2 entries, from 0 to 3; received .* from 0 to 2"),
        ({"history_row_splits": [0, 4, 3]}, "history_row_splits must not decrease; received 4 and then 3"),
        ({"half_life": 1.0, "timestamps": [1.0]}, r"timestamps must be 3 numbers; received \[1\]"),
        (
            {"history_values": [0, 1, 4]},
            "history_values must be rows of the catalogue of 4 items; received 4",
        ),
        (
            {"history_values": [0, -1, 2]},
            "history_values must be rows of the catalogue of 4 items; received -1",
        ),
    ],
)
def test_each_mistake_has_its_message(changes, message):
    given = {"history_values": [0, 1, 2], "history_row_splits": [0, 3], "aspects": ASPECTS}
    with pytest.raises(ValueError, match=message):
        history_profile(**{**given, **changes})
