"""Values per user of metrics of all lists: by hand, against deleting lists, the bootstrap and new users."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.evaluation import SYSTEM_METRICS, bootstrap_counts, jackknife_counts, jackknife_units
from tfrec_div.evaluation.jackknife import unit_means
from tfrec_div.metrics import (
    SystemCounts,
    catalog_coverage,
    exposure_gini,
    gini,
    personalization,
    shannon_entropy,
)

PAGES = np.array([[0, 1], [0, 2], [3, 4]])


def test_the_values_of_a_mean_over_users_are_the_users_own():
    found = jackknife_counts({"mean": lambda counts: counts.popularity(np.array([4, 2, 0, 1, 7]))}, PAGES, 5)
    np.testing.assert_allclose(found["mean"], [3.0, 2.0, 4.0])


def test_coverage_by_hand():
    # Of ten items 5 are recommended; 4, 4 and 3 without one of the lists: 3 * 0.5 - 2 * 0.4 = 0.7, 0.7 and 0.9. Their
    # mean is 0.2667 more than the coverage.
    found = jackknife_counts(SYSTEM_METRICS, PAGES, 10)["coverage"]
    np.testing.assert_allclose(found, [0.7 - 0.8 / 3, 0.7 - 0.8 / 3, 0.9 - 0.8 / 3])


def test_a_unit_of_several_users_is_left_out_as_a_whole():
    # Without the first two lists 2 items are left, without the last 3: 2 * 0.5 - 0.2 = 0.8 and 0.7, mean 0.75.
    found = jackknife_counts(SYSTEM_METRICS, PAGES, 10, units=np.array([0, 0, 1]))["coverage"]
    np.testing.assert_allclose(found, [0.55, 0.45])


@given(rng=st.integers(0, 2**32 - 1).map(np.random.default_rng))
@settings(max_examples=50, deadline=None)
def test_every_metric_is_the_one_of_the_lists_that_are_left(rng):
    rows = np.argsort(rng.random((9, 12)), axis=1)[:, :4]
    rows = np.where(rng.random(rows.shape) < 0.2, -1, rows)  # some are shorter
    units = rng.permutation([0, 0, 0, 1, 1, 2, 3, 3, 4])
    found = jackknife_counts(SYSTEM_METRICS, rows, 12, units)
    for name, metric in (
        ("coverage", catalog_coverage),
        ("gini", gini),
        ("exposure_gini", exposure_gini),
        ("entropy", lambda rows, items: shannon_entropy(rows, items, "lenskit")),
        ("personalization", personalization),
    ):
        left = np.array([metric(rows[units != unit], 12) for unit in range(5)])
        pseudo = 5 * metric(rows, 12) - 4 * left
        np.testing.assert_allclose(found[name], pseudo - pseudo.mean() + metric(rows, 12), atol=1e-10)


def _pages(rng, users, items=300):
    """The five items that users of six tastes like best, among which some are liked by all."""
    tastes = np.sin(np.arange(items) * np.arange(1, 7)[:, np.newaxis]) + np.linspace(0.0, 3.0, items)
    liking = tastes[rng.integers(0, 6, users)] + rng.gumbel(size=(users, items))
    return np.argsort(-liking, axis=1)[:, :5]


def test_the_standard_error_is_that_over_other_users_and_that_of_the_bootstrap():
    rng = np.random.default_rng(0)
    others = [SystemCounts(300).update(_pages(rng, 300)) for _ in range(200)]
    rows = _pages(rng, 300)
    resampled = bootstrap_counts(SYSTEM_METRICS, rows, 300)
    for name, values in jackknife_counts(SYSTEM_METRICS, rows, 300).items():
        found = values.std(ddof=1) / 300**0.5
        truth = np.std([SYSTEM_METRICS[name](counts) for counts in others], ddof=1)
        _, low, high = resampled[name]
        bootstrap = (high - low) / (2 * 1.96)
        # 200 draws tell a standard deviation within 10 %. What hangs on items of one list, it takes to be larger.
        largest = 1.7 if name == "coverage" else 1.25
        assert 0.9 < found / truth < largest, name
        assert 0.8 < found / bootstrap < largest + 0.1, name


def test_groups_of_users_tell_the_same_error_as_users():
    rows = _pages(np.random.default_rng(1), 2000)
    one_by_one = jackknife_counts(SYSTEM_METRICS, rows, 300)
    grouped = jackknife_counts(SYSTEM_METRICS, rows, 300, jackknife_units(2000, most=500))
    for name, values in grouped.items():
        assert len(values) == 500
        assert values.mean() == pytest.approx(one_by_one[name].mean(), abs=1e-12)
        # The spread of 500 values is told within 6 % (two standard errors); coverage hangs on 20 items.
        error, expected = values.std(ddof=1) / 500**0.5, one_by_one[name].std(ddof=1) / 2000**0.5
        assert error == pytest.approx(expected, rel=0.25 if name == "coverage" else 0.1), name


def test_units_are_users_or_random_groups_alike_in_size():
    assert jackknife_units(2000).tolist() == list(range(2000))
    for users, number in ((2001, 1000), (5000, 1666), (100_000, 2000)):
        sizes = np.bincount(jackknife_units(users))
        assert len(sizes) == number
        assert sizes.max() - sizes.min() <= 1
    assert (jackknife_units(5000, seed=1) == jackknife_units(5000, seed=1)).all()
    assert (jackknife_units(5000, seed=1) != jackknife_units(5000, seed=2)).any()


def test_values_of_groups_have_the_mean_and_the_error_of_users():
    rng = np.random.default_rng(2)
    values = rng.gamma(2.0, size=5000)
    values[rng.random(5000) < 0.1] = np.nan
    units = jackknife_units(5000)
    found = unit_means(values, units)
    assert found.mean() == pytest.approx(np.nanmean(values), abs=1e-12)
    expected = np.nanstd(values, ddof=1) / np.count_nonzero(~np.isnan(values)) ** 0.5
    assert found.std(ddof=1) / len(found) ** 0.5 == pytest.approx(expected, rel=0.05)


def test_a_group_counts_by_its_users_with_a_value():
    nan = np.nan
    # The mean is 3. Two of three values are of the first group: 3 + 2 * (2 * (2 - 3)) / 3, and 3 + 2 * (1 * 2) / 3.
    np.testing.assert_allclose(unit_means(np.array([1, 3, 5, nan]), np.array([0, 0, 1, 1])), [5 / 3, 13 / 3])
    # A group without a value says nothing but the mean.
    np.testing.assert_allclose(unit_means(np.array([1.0, 3.0, nan, nan]), np.array([0, 0, 1, 1])), [2, 2])
    assert np.isnan(unit_means(np.full(4, nan), np.array([0, 0, 1, 1]))).all()
    np.testing.assert_array_equal(unit_means(np.array([1.0, nan]), np.arange(2)), [1.0, nan])


@pytest.mark.parametrize(("users", "k"), [(943, 10), (100, 5), (37, 7)])
def test_rounding_errors_are_no_differences(users, k):
    rows = np.tile(np.arange(k), (users, 1))  # the same page for everybody
    found = jackknife_counts(SYSTEM_METRICS, rows, 50)
    for name, values in found.items():
        assert np.ptp(values) == 0.0, name
    assert (found["personalization"] == 0.0).all()
    assert found["coverage"][0] == pytest.approx(k / 50, abs=1e-15)


def test_a_hundred_thousand_users_take_little_memory():
    rows = np.random.default_rng(3).integers(0, 20_000, size=(100_000, 10), dtype=np.int32)
    units = jackknife_units(len(rows))
    tracemalloc.start()
    try:
        jackknife_counts(SYSTEM_METRICS, rows, 20_000, units)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All items for all groups would be 320 MB; the lists are 4 MB.
    assert peak < 40e6


def test_a_unit_for_each_user_is_asked_for():
    with pytest.raises(ValueError, match=r"units must have the shape \[3\]; received \[2\]"):
        jackknife_counts(SYSTEM_METRICS, PAGES, 10, np.array([0, 1]))
