"""System metrics: by hand, by brute force over all pairs of users, and against the formulas of other libraries."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div import metrics
from tfrec_div.metrics import (
    SystemCounts,
    aclt,
    aplt,
    average_overlap,
    catalog_coverage,
    exposure_gini,
    gini,
    novelty,
    personalization,
    popularity,
    shannon_entropy,
)

# Items 0, 1, 2 recommended 3, 1 and 2 times; items 3 and 4 never.
ROWS = np.array([[0, 1], [0, 2], [0, 2]])


def test_coverage_by_hand():
    assert catalog_coverage(ROWS, 5) == 0.6
    assert catalog_coverage(np.full((2, 3), -1), 5) == 0.0


def test_gini_by_hand_in_both_definitions():
    # Sorted counts 0 0 1 2 3, weights -4 -2 0 2 4: 16 / 6.
    assert gini(ROWS, 5) == pytest.approx(16 / 6 / 5)
    assert gini(ROWS, 5, "elliot") == pytest.approx(1 - 16 / 6 / 4)
    assert gini(np.array([[0, 1], [2, 3]]), 4) == 0.0
    assert gini(np.zeros((9, 1), int), 10) == pytest.approx(0.9)
    assert gini(np.zeros((9, 1), int), 10, "elliot") == pytest.approx(0.0)


def test_entropy_by_hand_in_both_definitions():
    natural = -sum(p * np.log(p) for p in (1 / 2, 1 / 6, 1 / 3))
    assert shannon_entropy(ROWS, 5) == pytest.approx(natural / 3)
    assert shannon_entropy(ROWS, 5, "lenskit") == pytest.approx(natural / np.log(2), abs=1e-4)
    assert shannon_entropy(np.array([[0, 1], [2, 3]]), 4, "lenskit") == pytest.approx(2.0)
    # Two items of which one was never recommended: p = 1e-6 / (3 + 2e-6), seen in the sixth decimal.
    p = 1e-6 / (3 + 2e-6)
    expected = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    assert shannon_entropy(np.zeros((3, 1), int), 2, "lenskit") == pytest.approx(expected, rel=1e-6)


def test_formulas_of_recbole_on_a_full_matrix():
    # As RecBole's GiniIndex and ShannonEntropy compute them, item by item.
    rng = np.random.default_rng(4)
    rows = np.argsort(rng.random((50, 30)), axis=1)[:, :5]
    counts = sorted(np.bincount(rows.ravel(), minlength=30).tolist())
    index = sum((2 * place - 30 - 1) * count for place, count in enumerate(counts, start=1)) / rows.size / 30
    assert gini(rows, 30) == pytest.approx(index)
    present = [count / rows.size for count in counts if count]
    assert shannon_entropy(rows, 30) == pytest.approx(sum(-p * np.log(p) for p in present) / len(present))


def test_counts_beyond_the_size_of_the_catalogue():
    # Twelve lists for three items: 9, 3 and 0 times; the weights are -2, 0, 2.
    rows = np.array([[0]] * 9 + [[1]] * 3)
    assert gini(rows, 3) == pytest.approx(2 * 9 / 12 / 3)
    assert gini(rows, 3, "elliot") == pytest.approx(1 - 2 * 9 / 12 / 2)
    natural = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert shannon_entropy(rows, 3) == pytest.approx(natural / 2)
    assert shannon_entropy(rows, 3, "lenskit") == pytest.approx(natural / np.log(2), abs=1e-4)
    # Four items alike, a thousand times each, and once each.
    for times in (1000, 1):
        alike = np.tile([[0], [1], [2], [3]], (times, 1))
        assert gini(alike, 4) == 0.0
        assert gini(alike, 4, "elliot") == 1.0
        assert shannon_entropy(alike, 4) == pytest.approx(np.log(4) / 4)


def test_overlap_by_hand():
    # Pairs: 1/2, 1/2, 1.
    assert average_overlap(ROWS, 5) == pytest.approx(2 / 3)
    assert personalization(ROWS, 5) == pytest.approx(1 / 3)
    assert average_overlap(np.array([[0, 1, 2]] * 4), 5) == pytest.approx(1.0)
    assert average_overlap(np.array([[0], [1]]), 2) == 0.0
    assert average_overlap(np.array([[0, 1]]), 2) == 0.0


@pytest.mark.parametrize(("users", "k"), [(31, 3), (7, 6), (9, 6)])
def test_equal_lists_are_not_more_than_equal(users, k):
    rows = np.tile(np.arange(k), (users, 1))
    streaming = metrics.streaming.Personalization(num_items=12)
    streaming.update_state(rows)
    assert 0.0 <= personalization(rows, 12) < 1e-12
    assert average_overlap(rows, 12) <= 1.0
    assert 0.0 <= float(streaming.result()) < 1e-12


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_overlap_equals_the_mean_over_pairs_of_users(seed):
    rng = np.random.default_rng(seed)
    rows = np.argsort(rng.random((7, 12)), axis=1)[:, :4]
    rows = np.where(rng.random(rows.shape) < 0.3, -1, rows)
    lists = [set(row[row >= 0].tolist()) for row in rows]
    lists = [items for items in lists if items]
    pairs = [len(a & b) / (len(a) * len(b)) ** 0.5 for a, b in combinations(lists, 2)]
    expected = np.mean(pairs) if pairs else 0.0
    assert average_overlap(rows, 12) == pytest.approx(expected, abs=1e-12)


def test_coverage_among_some_items():
    # Of the items 2, 3 and 4 only 2 is recommended.
    assert catalog_coverage(ROWS, 5, among=np.array([False, False, True, True, True])) == pytest.approx(1 / 3)
    assert catalog_coverage(ROWS, 5, among=np.zeros(5, bool)) == 0.0


def test_exposure_by_hand():
    # Item 0 is first three times, item 1 second once and item 2 twice: 3, x, 2x with x = 1 / log2(3), 0, 0.
    x = 1 / np.log2(3)
    expected = (4 * 3 + 2 * 2 * x) / (3 + 3 * x) / 5
    assert exposure_gini(ROWS, 5) == pytest.approx(expected)
    assert exposure_gini(ROWS, 5, "elliot") == pytest.approx(1 - expected * 5 / 4)
    # Seen alike at all places, exposure is how often an item is recommended.
    assert exposure_gini(ROWS, 5, discount=np.array([1.0, 1.0])) == pytest.approx(16 / 6 / 5)
    # The second place unseen: only the item 0 has any exposure.
    assert exposure_gini(ROWS, 5, discount=np.array([1.0, 0.0])) == pytest.approx(0.8)
    # A padded place exposes nothing, and the place after it is still the third.
    assert exposure_gini(np.array([[0, -1, 1]]), 2, discount=np.array([1.0, 0.9, 0.25])) == pytest.approx(
        0.75 / 1.25 / 2
    )


def test_exposure_of_lenskit():
    # lenskit.metrics.ranking.ExposureGini: weights 0.85 ** rank summed by item, then the Gini coefficient as
    # (n + 1 - 2 * sum of cumulative sums / total) / n. Here .85 + .85, .85**2 + .85**2, 0 -> 1.7, 1.445, 0.
    cumulative = 0.0 + 1.445 + (1.445 + 1.7)
    expected = (3 + 1 - 2 * cumulative / (1.7 + 1.445)) / 3
    assert exposure_gini(np.array([[0, 1], [0, 1]]), 3, discount="exponential") == pytest.approx(expected)


LISTS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def some_lists(rng, users=9, items=12, k=4):
    rows = np.argsort(rng.random((users, items)), axis=1)[:, :k]
    return np.where(rng.random(rows.shape) < rng.choice([0.0, 0.3]), -1, rows)


@given(
    rng=LISTS,
    cuts=st.lists(st.integers(0, 9), max_size=3),
    discount=st.sampled_from(["log2", np.array([1, 0.5, 0, 2])]),
)
@settings(max_examples=50, deadline=None)
def test_chunks_of_any_size_and_merged_counters_give_what_all_lists_at_once_give(rng, cuts, discount):
    rows, values = some_lists(rng), rng.random(12)
    tail = values < 0.5
    counts = SystemCounts(12, discount)
    for chunk in np.split(rows[:6], sorted(cuts)):
        counts.update(chunk)
    counts.merge(SystemCounts(12, discount).update(rows[6:]))
    for one_shot, found in [
        (catalog_coverage(rows, 12), counts.coverage()),
        (catalog_coverage(rows, 12, tail), counts.coverage(tail)),
        (gini(rows, 12), counts.gini()),
        (gini(rows, 12, "elliot"), counts.gini("elliot")),
        (exposure_gini(rows, 12, discount=discount), counts.exposure_gini()),
        (shannon_entropy(rows, 12), counts.shannon_entropy()),
        (shannon_entropy(rows, 12, "lenskit"), counts.shannon_entropy("lenskit")),
        (personalization(rows, 12), counts.personalization()),
        (popularity(rows, values).mean(), counts.popularity(values)),
        (aplt(rows, tail).mean(), counts.aplt(tail)),
        (aclt(rows, tail).mean(), counts.aclt(tail)),
        (novelty(rows, values, 20, "smoothed").mean(), counts.list_mean(-np.log2((values + 1) / 21))),
    ]:
        assert found == pytest.approx(one_shot, abs=1e-12)


@given(rng=LISTS)
@settings(max_examples=50, deadline=None)
def test_a_sample_is_the_counts_of_its_lists_written_out(rng):
    rows = some_lists(rng)
    repeats = rng.integers(0, 4, size=(3, len(rows)))
    for sample, counts in zip(repeats, SystemCounts.samples(rows, 12, repeats), strict=True):
        written = SystemCounts(12).update(np.repeat(rows, sample, axis=0))
        assert (counts.lists, counts.filled) == (written.lists, written.filled)
        np.testing.assert_array_equal(counts.counts, written.counts)
        np.testing.assert_allclose(counts.exposure, written.exposure, atol=1e-12)
        np.testing.assert_allclose(counts.shares, written.shares, atol=1e-12)
        assert counts.personalization() == pytest.approx(written.personalization(), abs=1e-12)


@given(rng=LISTS)
@settings(max_examples=50, deadline=None)
def test_without_some_lists_the_counts_are_those_of_the_others(rng):
    rows = some_lists(rng)
    there = rng.random(len(rows)) < 0.5
    whole = SystemCounts(12).update(rows)
    before = whole.counts.copy()
    left, written = whole.without(SystemCounts(12).update(rows[~there])), SystemCounts(12).update(rows[there])
    assert (left.lists, left.filled) == (written.lists, written.filled)
    np.testing.assert_array_equal(left.counts, written.counts)
    np.testing.assert_allclose(left.exposure, written.exposure, atol=1e-12)
    np.testing.assert_allclose(left.shares, written.shares, atol=1e-12)
    assert left.personalization() == pytest.approx(written.personalization(), abs=1e-12)
    # The counter itself stays as it is.
    np.testing.assert_array_equal(whole.counts, before)


@given(rng=LISTS)
@settings(max_examples=50, deadline=None)
def test_neither_the_order_of_users_nor_padding_nor_names_of_items_matter(rng):
    rows = some_lists(rng)
    names = np.append(rng.permutation(12), -1)
    other = np.pad(names[rng.permutation(rows)], [(0, 0), (0, 2)], constant_values=-1)
    for metric in (catalog_coverage, gini, exposure_gini, shannon_entropy, personalization):
        assert metric(other, 12) == pytest.approx(metric(rows, 12), abs=1e-12)


@given(rng=LISTS)
@settings(max_examples=50, deadline=None)
def test_ranges(rng):
    rows = some_lists(rng)
    for metric in (catalog_coverage, gini, exposure_gini, personalization):
        assert -1e-12 <= metric(rows, 12) <= 1 + 1e-12
    assert 0.0 <= shannon_entropy(rows, 12, "lenskit") <= np.log2(12) + 1e-12


def test_empty_lists_count_as_lists_of_nothing():
    counts = SystemCounts(3).update(np.array([[0, 1], [-1, -1]]))
    assert (counts.lists, counts.filled) == (2, 1)
    assert counts.aclt(np.array([True, True, False])) == 1.0  # two and none
    assert counts.popularity(np.array([6.0, 2.0, 0.0])) == 2.0  # four and none


def test_a_catalogue_of_one_item():
    one = np.zeros((3, 1), int)
    assert (catalog_coverage(one, 1), gini(one, 1), gini(one, 1, "elliot"), personalization(one, 1)) == (
        1,
        0,
        1,
        0,
    )


def test_nobody_gets_anything():
    nothing = np.full((2, 3), -1)
    assert (catalog_coverage(nothing, 4), gini(nothing, 4), exposure_gini(nothing, 4)) == (0.0, 0.0, 0.0)
    assert (shannon_entropy(nothing, 4), personalization(nothing, 4)) == (0.0, 1.0)
    assert shannon_entropy(nothing, 4, "lenskit") == pytest.approx(2.0)  # all four alike
    assert SystemCounts(4).popularity(np.ones(4)) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gini(ROWS, 5, "lenskit"), "recbole or elliot; received 'lenskit'"),
        (lambda: shannon_entropy(ROWS, 5, "elliot"), "recbole or lenskit; received 'elliot'"),
        (lambda: catalog_coverage(ROWS, 2), "catalogue of 2 items; received 2"),
        (lambda: catalog_coverage(np.array([[-2]]), 2), "received -2"),
        (lambda: catalog_coverage(ROWS, 5, np.ones(4)), r"among must have the shape \[5\]; received \[4\]"),
        (
            lambda: exposure_gini(ROWS, 5, discount="linear"),
            "none, log2, reciprocal, exponential; received 'linear'",
        ),
        (lambda: exposure_gini(ROWS, 5, discount=np.array([1.0])), "at least 2 weights of at least 0"),
        (lambda: exposure_gini(ROWS, 5, discount=np.array([1.0, -0.5])), "at least 2 weights of at least 0"),
        (lambda: SystemCounts(5, None).update(ROWS).exposure_gini(), "discount must be given"),
        (lambda: SystemCounts(5).merge(SystemCounts(4)), "other must count 5 items; received 4"),
        (lambda: SystemCounts(5).without(SystemCounts(4)), "other must count 5 items; received 4"),
        (
            lambda: SystemCounts(5).merge(SystemCounts(5, None)),
            "other must have the discount 'log2'; received None",
        ),
        (lambda: SystemCounts(2).list_mean([1.0, np.nan]), "received nan for item 1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ten_thousand_users_take_a_moment():
    import time

    rows = np.random.default_rng(0).integers(0, 10_000, size=(10_000, 20))
    start = time.perf_counter()
    average_overlap(rows, 10_000)
    gini(rows, 10_000)
    exposure_gini(rows, 10_000)
    assert time.perf_counter() - start < 1.0  # pair by pair: minutes
