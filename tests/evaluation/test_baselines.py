"""Popular and random items, without what the user has seen."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.evaluation import Popularity, Random, baselines

COUNTS = np.array([4, 9, 4, 0, 7])
SEEN = (np.array([1, 0, 4, 1, 2, 3]), np.array([0, 1, 1, 6]))  # user 0: item 1; user 1: none; user 2: all


def test_popular_unseen_items_in_order_ties_by_the_lower_row():
    rows = Popularity(COUNTS).recommend_rows(np.array([0, 1, 2]), 4, SEEN)
    assert rows.tolist() == [[4, 0, 2, 3], [1, 4, 0, 2], [-1, -1, -1, -1]]
    assert rows.dtype == np.int32


def test_users_may_come_in_any_order_and_be_unknown():
    rows = Popularity(COUNTS).recommend_rows(np.array([-1, 0, 0]), 1, SEEN)
    assert rows.tolist() == [[1], [4], [4]]


@pytest.mark.parametrize("baseline", [Popularity(np.arange(30)), Random(30, seed=3)])
@pytest.mark.parametrize("block", [1, 64, 10_000])
def test_never_a_seen_item_never_one_twice_whatever_the_block(baseline, block, monkeypatch):
    rng = np.random.default_rng(0)
    lists = [rng.permutation(30)[: rng.integers(0, 31)] for _ in range(40)]
    seen = (np.concatenate(lists), np.concatenate([[0], np.cumsum([len(x) for x in lists])]))
    users = rng.permutation(40)
    expected = baseline.recommend_rows(users, 8, seen)
    monkeypatch.setattr(baselines, "_BLOCK", block)
    rows = baseline.recommend_rows(users, 8, seen)
    np.testing.assert_array_equal(rows, expected)
    for user, row in zip(users, rows, strict=True):
        items = row[row >= 0].tolist()
        assert len(items) == len(set(items)) == min(8, 30 - len(lists[user]))
        assert not set(items) & set(lists[user].tolist())
        assert (row[len(items) :] == -1).all()


def test_random_depends_on_seed_and_user_only():
    first = Random(100, seed=1).recommend_rows(np.array([3, 8]), 5)
    again = Random(100, seed=1).recommend_rows(np.array([8, 3]), 5)
    np.testing.assert_array_equal(first[::-1], again)
    assert first[0].tolist() != first[1].tolist()
    assert Random(100, seed=2).recommend_rows(np.array([3]), 5)[0].tolist() != first[0].tolist()


def test_random_gives_every_item_the_same_chance():
    rows = Random(20, seed=0).recommend_rows(np.arange(4000), 5)
    counts = np.bincount(rows.ravel(), minlength=20)
    assert np.abs(counts - 1000).max() < 5 * (4000 * 0.25 * 0.75) ** 0.5
    first = np.bincount(rows[:, 0], minlength=20)
    assert np.abs(first - 200).max() < 5 * (4000 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("baseline", [Popularity(COUNTS), Random(5)])
def test_more_places_than_items_are_padded(baseline):
    rows = baseline.recommend_rows(np.array([1]), 7, SEEN)
    assert sorted(rows[0].tolist()) == [-1, -1, 0, 1, 2, 3, 4]
