"""The long tail: by hand, against the rules of elliot and RecBole, and popularity against rectools."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import aclt, aplt, catalog_coverage, long_tail, popularity

# 20 interactions; 80 % are 16: 10 + 5 are too few, so the item with 2 is still in the head, the lower row of the two.
COUNTS = np.array([2, 10, 1, 5, 2, 0])


def test_the_head_holds_the_share_of_the_interactions():
    assert np.flatnonzero(long_tail(COUNTS)).tolist() == [2, 4, 5]
    assert np.flatnonzero(long_tail(COUNTS, 0.5)).tolist() == [0, 2, 3, 4, 5]  # 10 of 20 are reached exactly
    assert np.flatnonzero(long_tail(COUNTS, 0.51)).tolist() == [0, 2, 4, 5]
    assert np.flatnonzero(long_tail(COUNTS, 1.0)).tolist() == [5]


def test_the_least_popular_items_of_recbole():
    # Five items were used: half of them, rounded down, are the items with 1 and with 2 (the lower row).
    assert np.flatnonzero(long_tail(COUNTS, 0.5, "recbole")).tolist() == [0, 2]
    assert np.flatnonzero(long_tail(COUNTS, definition="recbole")).tolist() == [2]  # at least one


def elliot_long_tail(pops, share):
    """The rule of elliot.evaluation.popularity_utils, item by item."""
    by_popularity = sorted(range(len(pops)), key=lambda item: pops[item], reverse=True)
    limit, head = sum(pops) * share, []
    for item in by_popularity:
        head.append(item)
        limit -= pops[item]
        if limit <= 0:
            break
    return [item for item in range(len(pops)) if item not in head]


def recbole_tail(pops, share):
    """The rule of RecBole's TailPercentage for a ratio, item by item."""
    used = sorted(((count, item) for item, count in Counter(dict(enumerate(pops))).items() if count > 0))
    return sorted(item for _, item in used[: max(int(len(used) * share), 1)])


@given(
    pops=st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any),
    share=st.sampled_from([0.25, 0.5, 0.75]),
)
@settings(max_examples=100, deadline=None)
def test_rules_of_the_libraries_item_by_item(pops, share):
    assert np.flatnonzero(long_tail(np.array(pops), share)).tolist() == elliot_long_tail(pops, share)
    assert np.flatnonzero(long_tail(np.array(pops), share, "recbole")).tolist() == recbole_tail(pops, share)


def test_share_and_number_of_tail_items_by_hand():
    tail = long_tail(COUNTS)  # 2, 4, 5
    rows = np.array([[2, 4, 1], [0, 5, -1], [1, 3, 0], [-1, -1, -1]])
    np.testing.assert_allclose(aplt(rows, tail), [2 / 3, 1 / 2, 0, 0])
    assert aclt(rows, tail).tolist() == [2, 1, 0, 0]
    assert catalog_coverage(rows, 6, among=tail) == 1.0


def test_popularity_of_the_example_in_rectools():
    # AvgRecPopularity: items 1, 2, 3 were used 3, 2 and 1 times, of 6 interactions.
    counts = np.array([3, 2, 1])
    rows = np.array([[0, 1, -1], [2, 0, 1], [2, 1, -1]])
    assert popularity(rows[:, :1], counts).tolist() == [3, 1, 1]
    assert popularity(rows, counts).tolist() == [2.5, 2, 1.5]
    # normalize=True
    np.testing.assert_allclose(popularity(rows, counts / 6), [0.41666667, 0.33333333, 0.25], atol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: long_tail(COUNTS, definition="lenskit"), "elliot or recbole; received 'lenskit'"),
        (lambda: long_tail(COUNTS, 0.0), r"share must lie in \(0, 1\]; received 0.0"),
        (lambda: long_tail(COUNTS, 80), r"share must lie in \(0, 1\]; received 80"),
        (lambda: aplt(np.array([[6]]), long_tail(COUNTS)), "catalogue of 6 items; received 6"),
        (lambda: aclt(np.array([[6]]), long_tail(COUNTS)), "catalogue of 6 items; received 6"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
