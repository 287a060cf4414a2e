"""Intervals and tests: by hand where they are exact, by simulation where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.evaluation import bootstrap_interval, bootstrap_rows, holm, paired_test
from tfrec_div.metrics import catalog_coverage


def test_interval_is_near_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=1000)
    mean, low, high = bootstrap_interval(values)
    assert mean == values.mean()
    half = 1.959964 * values.std() / 1000**0.5
    assert low == pytest.approx(mean - half, abs=0.1 * half)
    assert high == pytest.approx(mean + half, abs=0.1 * half)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        interval = bootstrap_interval(rng.exponential(1.0, size=60), level=0.9, resamples=400)
        covered += interval.low <= 1.0 <= interval.high
    assert 160 <= covered <= 192  # 0.9 * 200 = 180, a little less for skewed values


def test_users_with_nan_are_left_out():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    assert bootstrap_interval(values) == bootstrap_interval(np.array([1.0, 3.0]))
    assert bootstrap_interval(values).mean == 2.0


@pytest.mark.parametrize(("values", "expected"), [([0.25], 0.25), ([0.5, 0.5], 0.5)])
def test_nothing_to_resample(values, expected):
    assert bootstrap_interval(np.array(values)) == (expected, expected, expected)


def test_no_users():
    assert np.isnan(bootstrap_interval(np.array([np.nan]))).all()
    assert paired_test(np.array([np.nan]), np.array([1.0])).users == 0


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(2).random(50)
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)


def test_a_wider_level_gives_a_wider_interval():
    values = np.random.default_rng(3).random(50)
    narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_level_is_a_share(level):
    with pytest.raises(ValueError, match="level must lie in"):
        bootstrap_interval(np.arange(3.0), level=level)


def test_interval_of_coverage_holds_the_coverage():
    # A bootstrap sample repeats users and covers less: the percentile interval would lie below the value.
    rows = np.random.default_rng(4).integers(0, 300, size=(100, 5))
    value, low, high = bootstrap_rows(lambda r: catalog_coverage(r, 300), rows)
    assert value == len(set(rows.ravel().tolist())) / 300
    assert low < value < high
    assert high - low < 0.15


def test_several_metrics_of_all_lists_share_their_resamples():
    rows = np.random.default_rng(5).integers(0, 50, size=(40, 3))
    both = bootstrap_rows(lambda r: np.array([catalog_coverage(r, 50), r.mean()]), rows, seed=1)
    one = bootstrap_rows(lambda r: catalog_coverage(r, 50), rows, seed=1)
    np.testing.assert_allclose([x[0] for x in both], one)


def test_paired_test_counts_all_sign_changes_when_they_are_few():
    # Differences 1, 2, 3: of 8 sign patterns two are as extreme as the sum 6: p = 2/8.
    test = paired_test(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert test.p_value == 0.25
    assert test.mean_difference == 2.0
    assert test.users == 3
    # Differences 1, 2, -3: the sum 0 is the least extreme of all.
    assert paired_test(np.array([1.0, 2.0, 0.0]), np.array([0.0, 0.0, 3.0])).p_value == 1.0


def test_paired_test_sees_a_small_difference_that_all_users_share():
    rng = np.random.default_rng(6)
    a = rng.random(300)
    b = a + 0.01 + 0.02 * rng.normal(size=300)
    test = paired_test(b, a)
    assert test.p_value < 0.001
    assert test.low > 0.0
    assert test.low < test.mean_difference < test.high
    assert paired_test(a, b).mean_difference == pytest.approx(-test.mean_difference)


def test_paired_test_does_not_cry_wolf():
    rng = np.random.default_rng(7)
    p_values = [paired_test(*rng.normal(size=(2, 40)), resamples=499).p_value for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10


def test_equal_systems_have_the_p_value_one():
    a = np.random.default_rng(8).random(20)
    assert paired_test(a, a.copy()).p_value == 1.0


def test_users_missing_in_one_system_are_left_out_of_both():
    test = paired_test(np.array([1.0, np.nan, 5.0]), np.array([0.0, 100.0, 2.0]))
    assert (test.mean_difference, test.users) == (2.0, 2)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"received \[3\] and \[2\]"):
        paired_test(np.zeros(3), np.zeros(2))


def test_holm_of_the_textbook():
    # .005*4, .01*3, .03*2 and .04*1 raised to the .06 before it.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_one_and_passes_over_nan():
    corrected = holm([0.5, np.nan, 0.9])
    assert corrected[0] == 1.0
    assert corrected[2] == 1.0
    assert np.isnan(corrected[1])
    assert holm([]).tolist() == []
