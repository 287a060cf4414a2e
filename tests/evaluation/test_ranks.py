"""Exact ranks by counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.evaluation import target_ranks


def rank_by_sorting(queries, items, targets, exclude=None):
    """The definition, one query at a time, in whole numbers: no rounding."""
    ranks = []
    for n, target in enumerate(targets):
        scores = items @ queries[n]
        hidden = (
            set()
            if exclude is None
            else set(exclude[0][exclude[1][n] : exclude[1][n + 1]].tolist()) - {target}
        )
        others = [i for i in range(len(items)) if i != target and i not in hidden]
        ranks.append(1 + sum(scores[i] >= scores[target] for i in others))
    return ranks


@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 7), with_exclusions=st.booleans())
@settings(max_examples=60, deadline=None)
def test_equals_the_definition_ties_included(seed, batch, with_exclusions):
    rng = np.random.default_rng(seed)
    queries, items = rng.integers(-3, 4, size=(6, 3)), rng.integers(-3, 4, size=(20, 3))
    targets = rng.integers(0, 20, 6)
    exclude = None
    if with_exclusions:
        values = rng.integers(0, 20, 15)
        exclude = (values, np.concatenate([[0], np.sort(rng.integers(0, 16, 5)), [15]]))
    got = target_ranks(queries, items, targets, exclude, batch_size=batch)
    assert got.tolist() == rank_by_sorting(queries, items, targets, exclude)


@pytest.mark.parametrize("dim", [3, 64, 100, 384])
@pytest.mark.parametrize("queries", [1, 5, 130])
def test_a_collapsed_model_has_no_hits(dim, queries):
    rng = np.random.default_rng(dim)
    vector = rng.normal(size=(1, dim)).astype(np.float32)
    items = np.repeat(vector, 1237, axis=0)
    ranks = target_ranks(np.repeat(vector, queries, axis=0), items, rng.integers(0, 1237, queries))
    assert (ranks == 1237).all()


def test_batch_size_changes_nothing():
    rng = np.random.default_rng(0)
    queries, items = rng.normal(size=(50, 8)), rng.normal(size=(300, 8))
    targets = rng.integers(0, 300, 50)
    expected = target_ranks(queries, items, targets)
    for size in (1, 7, 50, 1000):
        np.testing.assert_array_equal(target_ranks(queries, items, targets, batch_size=size), expected)


def test_an_excluded_item_does_not_compete_and_counts_once():
    items = np.array([[3.0], [2.0], [1.0], [4.0]])
    rank = target_ranks(np.ones((1, 1)), items, np.array([2]), (np.array([0, 0, 2]), np.array([0, 3])))
    assert rank.tolist() == [3]  # behind items 3 and 1; the target itself stays


def test_no_queries():
    assert target_ranks(np.zeros((0, 2)), np.zeros((3, 2)), np.zeros(0, int)).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 3)), np.zeros((4, 5)), np.array([0, 1])), r"received \[2, 3\] and \[4, 5\]"),
        (
            (np.zeros((2, 3)), np.zeros((4, 3)), np.array([0])),
            r"targets must have the shape \[2\]; received \[1\]",
        ),
        ((np.zeros((2, 3)), np.zeros((4, 3)), np.array([0, 4])), "rows of 4 items; received 4"),
        (
            (np.zeros((1, 3)), np.zeros((4, 3)), np.array([0]), (np.array([1]), np.array([0]))),
            "2 splits, the last 1",
        ),
        (
            (np.full((1, 3), np.nan), np.zeros((4, 3)), np.array([0])),
            "query 0: the score of its target is NaN",
        ),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        target_ranks(*arguments)
