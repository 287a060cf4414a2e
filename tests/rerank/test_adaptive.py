from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras
from tfrec_div.rerank import Adaptive

# Categories of four items, and of a fifth that has none.
ASPECTS = np.array([[1, 0], [0, 1], [1, 1], [1, 0], [0, 0]], np.float32)


def of(*histories):
    lengths = [len(history) for history in histories]
    items = np.array([item for history in histories for item in history], np.int32)
    return items, np.concatenate([[0], np.cumsum(lengths)])


def test_entropy_is_shannons_of_the_categories_over_its_largest_value():
    spread = Adaptive(by="entropy").spread(*of([0, 3], [0, 1], [0, 2], [2], [0, 4]), ASPECTS)
    # Item 2 counts half for each category: (3/4, 1/4) has 0.8112781 bits.
    np.testing.assert_allclose(spread, [0.0, 1.0, 0.8112781, 1.0, 0.0], atol=1e-7)


def test_dispersion_is_one_minus_the_squared_length_of_the_mean_unit_vector():
    vectors = np.array([[2, 0], [0, 5], [-1, 0], [0, 0]], np.float32)
    spread = Adaptive(by="dispersion").spread(*of([0], [0, 1], [0, 2], [0, 0, 2], [1, 3]), vectors)
    np.testing.assert_allclose(spread, [0.0, 0.5, 1.0, 8 / 9, 0.0], atol=1e-7)


def test_levels_go_by_the_rank_among_the_users_and_equal_spreads_share_theirs():
    levels = Adaptive(0.2, 0.8).levels(*of([0, 0, 1], [0], [0, 1], [3], [1, 1, 1, 1, 0]), ASPECTS)
    # Spreads in order: two of 0, (4/5, 1/5), (2/3, 1/3), (1/2, 1/2); the first two share the ranks 0 and 1 of 0 to 4.
    np.testing.assert_allclose(levels, [0.65, 0.275, 0.8, 0.275, 0.5], atol=1e-6)
    assert levels.dtype == np.float32


def test_an_empty_history_and_one_without_the_feature_have_no_level():
    levels = Adaptive(0.1, 0.3).levels(*of([0], [], [4, 4], [0, 1]), ASPECTS)
    np.testing.assert_allclose(levels, [0.1, np.nan, np.nan, 0.3], atol=1e-7)


def test_a_single_user_has_the_middle_and_nobody_nothing():
    np.testing.assert_allclose(Adaptive(0.2, 0.6).levels(*of([0, 1]), ASPECTS), [0.4], atol=1e-7)
    assert Adaptive().levels(*of(), ASPECTS).shape == (0,)
    assert np.isnan(Adaptive().levels(*of([0]), np.zeros((5, 0)))).all()


def test_blocks_of_users_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    histories = of(*(rng.integers(0, 5, rng.integers(0, 9)) for _ in range(40)))
    whole = Adaptive().levels(*histories, ASPECTS)
    monkeypatch.setattr("tfrec_div.rerank.adaptive._BLOCK", 6)
    np.testing.assert_array_equal(Adaptive().levels(*histories, ASPECTS), whole)


def test_the_configuration_makes_the_same_levels():
    adaptive = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(Adaptive(0.1, 0.7, "dispersion"))
    )
    assert adaptive.get_config() == {"low": 0.1, "high": 0.7, "by": "dispersion"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "variance"}, "by must be one of entropy, dispersion; received 'variance'"),
        ({"low": 0.6, "high": 0.2}, "expected 0 <= low <= high <= 1; received 0.6 and 0.2"),
        ({"high": 1.2}, "received 0.0 and 1.2"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Adaptive(**arguments)
