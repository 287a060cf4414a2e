"""Judgements: the two forms, and the greedy ideal against a straight loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tfrec_div.metrics import Judgements

CATEGORIES = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_categories_count_for_relevant_items_only():
    judged = Judgements.from_categories(
        np.array([[2, 0, -1], [1, 3, 0]]), np.array([0, 1, 3, 1]), np.array([0, 2, 4]), CATEGORIES
    )
    assert judged.gains[0].astype(int).tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert judged.gains[1].astype(int).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert judged.num_relevant.tolist() == [[2, 1, 0], [1, 0, 0]]
    assert judged.num_subtopics.tolist() == [2, 1]


def test_sparse_categories_are_the_same():
    arguments = np.array([[2, 0]]), np.array([2, 0]), np.array([0, 2])
    dense = Judgements.from_categories(*arguments, CATEGORIES)
    thin = Judgements.from_categories(*arguments, sparse.coo_array(CATEGORIES))
    assert (dense.gains == thin.gains).all()
    assert (dense.subtopics == thin.subtopics).all()


def test_an_item_may_be_relevant_for_other_subtopics_for_another_user():
    judged = Judgements.from_subtopics(
        np.array([[5], [5]]), np.array([5, 5]), np.array([0, 1, 2]), np.array([[1, 0], [0, 1]])
    )
    assert judged.gains.astype(int).tolist() == [[[1, 0]], [[0, 1]]]


def test_judgements_of_an_item_that_is_named_twice_add_up():
    judged = Judgements.from_subtopics(
        np.array([[5, 4]]), np.array([5, 4, 5]), np.array([0, 3]), np.array([[1, 0], [1, 0], [0, 1]])
    )
    assert judged.gains.astype(int).tolist() == [[[1, 1], [1, 0]]]
    assert judged.num_relevant.tolist() == [[2, 1]]


def test_nothing_relevant_at_all():
    judged = Judgements.from_categories(np.array([[0, 1]]), np.array([], int), np.array([0, 0]), CATEGORIES)
    assert not judged.gains.any()
    assert judged.gains.shape == (1, 2, 3)
    assert not judged.ideal(2).any()


def greedy(subtopics, k, alpha, highest):
    """Place by place, item by item."""
    left, seen, picked = list(range(len(subtopics))), np.zeros(subtopics.shape[1]), []
    for _ in range(min(k, len(left))):
        worth = [sum((1 - alpha) ** seen[s] for s in np.flatnonzero(subtopics[i])) for i in left]
        tied = [i for i, value in zip(left, worth, strict=True) if abs(value - max(worth)) < 1e-9]
        choice = max(tied) if highest else min(tied)
        left.remove(choice)
        picked.append(subtopics[choice])
        seen += subtopics[choice]
    return np.array(picked + [np.zeros(subtopics.shape[1])] * (k - len(picked))).astype(bool)


@given(seed=st.integers(0, 2**32 - 1), alpha=st.sampled_from([0.0, 0.3, 0.5, 1.0]), highest=st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_ideal_list_equals_a_straight_loop(seed, alpha, highest):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, 5)
    subtopics = rng.random((lengths.sum(), 4)) < 0.4
    splits = np.concatenate([[0], np.cumsum(lengths)])
    values = np.concatenate([np.sort(rng.permutation(20)[:n]) for n in lengths])
    judged = Judgements.from_subtopics(np.zeros((5, 1), int), values, splits, subtopics)
    ideal = judged.ideal(6, alpha, "highest" if highest else "lowest")
    for user in range(5):
        expected = greedy(subtopics[splits[user] : splits[user + 1]].astype(int), 6, alpha, highest)
        np.testing.assert_array_equal(ideal[user], expected)


def test_sums_that_differ_by_rounding_are_ties():
    # Items 0 and 1 come first. After them the worth of item 2 is 1 + .4 + .4 + .16 and that of item 3
    # 1 + .16 + .4 + .4, which is not the same number.
    items = [{1, 2, 3, 5, 6, 7, *range(8, 14)}, {3, 5, *range(14, 20)}, {0, 1, 2, 3}, {4, 5, 6, 7}]
    subtopics = np.array([[s in item for s in range(20)] for item in items])
    judged = Judgements.from_subtopics(np.array([[0]]), np.arange(4), np.array([0, 4]), subtopics)
    for ties, order in (("highest", [0, 1, 3, 2]), ("lowest", [0, 1, 2, 3])):
        np.testing.assert_array_equal(judged.ideal(4, 0.6, ties)[0], subtopics[order])


@pytest.mark.parametrize(
    ("splits", "values", "message"),
    [
        (
            [0, 1],
            [1, 2],
            "relevant_row_splits must have 2 entries, from 0 to 2; received 2 entries, from 0 to 1",
        ),
        ([0, 1, 2], [1, 2], "relevant_row_splits must have 2 entries"),
        (
            [1, 2],
            [1, 2],
            "relevant_row_splits must have 2 entries, from 0 to 2; received 2 entries, from 1 to 2",
        ),
        ([0, 2], [1, 9], "relevant_values must be rows of the catalogue of 4 items; received 9"),
        ([0, 2], [1, -1], "relevant_values must be rows of the catalogue of 4 items; received -1"),
    ],
)
def test_mistakes_are_named(splits, values, message):
    with pytest.raises(ValueError, match=message):
        Judgements.from_categories(np.array([[0]]), np.array(values), np.array(splits), CATEGORIES)


def test_subtopics_are_one_row_per_judgement():
    with pytest.raises(ValueError, match=r"subtopics must have 2 rows; received \[3, 2\]"):
        Judgements.from_subtopics(np.array([[0]]), np.array([0, 1]), np.array([0, 2]), np.ones((3, 2)))
