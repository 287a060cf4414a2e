from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.user_profile import UserProfile

ASPECTS = tf.constant([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])


def profile(table, seen, weight, half_life=None):
    found = tf.function(UserProfile(tf.Variable(table), half_life))(tf.constant(seen), tf.constant(weight))
    return found.numpy().tolist()


def test_an_items_weight_is_shared_by_its_values():
    # 1 for the first, 0.5 shared by two, 0.5 for the third whatever the size of its entry; the last has no value.
    found = profile(ASPECTS, [[0, 1, 2, 3]], [[1.0, 0.5, 0.5, 9.0]])
    assert found == [pytest.approx([0.625, 0.125, 0.25])]


def test_padding_and_histories_without_the_feature_are_nothing():
    assert profile(ASPECTS, [[-1, -1], [3, -1], [2, -1]], [[1.0, 1.0], [1.0, 1.0], [0.3, 1.0]]) == [
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0],
    ]
    assert profile(ASPECTS, np.zeros((2, 0), np.int32), np.zeros((2, 0), np.float32)) == [[0.0] * 3] * 2


def test_what_lies_a_half_life_back_counts_half():
    # The latest first: weights 1, 1/2, 1/4.
    assert profile(ASPECTS, [[0, 2, 2]], [[1.0, 1.0, 1.0]], half_life=1) == [pytest.approx([4 / 7, 0, 3 / 7])]


def test_codes_are_counted_and_minus_one_is_none():
    assert profile(tf.constant([0, 1, 1, -1]), [[0, 1, 2, 3], [3, -1, -1, -1]], tf.ones([2, 4]).numpy()) == [
        pytest.approx([1 / 3, 2 / 3]),
        [0.0, 0.0],
    ]


def test_a_history_that_has_an_item_twice_counts_it_twice():
    assert profile(ASPECTS, [[2, 0, 2]], [[1.0, 1.0, 1.0]]) == [pytest.approx([1 / 3, 0, 2 / 3])]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="profile_half_life must be above 0 items, or None; got 0"):
        UserProfile(tf.Variable(ASPECTS), 0)
    with pytest.raises(ValueError, match="at least 0; got one with negative values"):
        UserProfile(tf.Variable([[-1.0]]))
