"""Unexpectedness: by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import item_unexpectedness, unexpectedness

VECTORS = np.array([[2.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 0.0]])


def test_by_hand():
    history = np.array([0, 1, 3]), np.array([0, 2, 3, 3])
    rows = np.array([[2, 0, -1], [2, -1, -1], [2, -1, -1]])
    # To c: .4 and .2; to a: 0 and 1. The second user knows an item without a vector, the third nothing.
    np.testing.assert_allclose(unexpectedness(rows, *history, VECTORS), [(0.3 + 0.5) / 2, 1.0, np.nan])
    nearest = unexpectedness(rows, *history, VECTORS, definition="min")
    np.testing.assert_allclose(nearest, [(0.2 + 0.0) / 2, 1.0, np.nan], atol=1e-15)


def test_attributes_by_hand():
    genres = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
    arguments = np.array([[0]]), np.array([1, 2]), np.array([0, 2]), genres
    np.testing.assert_allclose(unexpectedness(*arguments, "jaccard"), [(0.5 + 1.0) / 2])
    np.testing.assert_allclose(unexpectedness(*arguments, "jaccard", "min"), [0.5])
    np.testing.assert_allclose(unexpectedness(*arguments, "hamming"), [(0.25 + 0.75) / 2])
    np.testing.assert_allclose(unexpectedness(*arguments, "hamming", "min"), [0.25])


def test_per_item():
    rows = np.array([[2, -1], [1, 0]])
    value = item_unexpectedness(rows, np.array([1]), np.array([0, 0, 1]), VECTORS)
    np.testing.assert_allclose(value, [[np.nan, np.nan], [0.0, 1.0]])


def test_empty_lists_are_zero():
    assert unexpectedness(np.array([[-1, -1]]), [0], [0, 1], VECTORS).tolist() == [0.0]


def cosine_distance(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return 1.0 - (a @ b / lengths if lengths else 0.0)


@given(seed=st.integers(0, 2**32 - 1), definition=st.sampled_from(["mean", "min"]))
@settings(max_examples=30, deadline=None)
def test_equals_the_loop_over_items(seed, definition):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(15, 4)) * (rng.random((15, 4)) < 0.6)
    rows = np.where(rng.random((6, 5)) < 0.2, -1, np.argsort(rng.random((6, 15)), axis=1)[:, :5])
    splits = np.concatenate([[0], np.cumsum(rng.integers(1, 8, 6))])
    values = rng.integers(0, 15, splits[-1])
    expected = []
    for user, row in enumerate(rows):
        known = values[splits[user] : splits[user + 1]]
        each = [[cosine_distance(vectors[i], vectors[h]) for h in known] for i in row if i >= 0]
        of_items = [np.mean(to) if definition == "mean" else min(to) for to in each]
        expected.append(np.mean(of_items) if of_items else 0.0)
    value = unexpectedness(rows, values, splits, vectors, definition=definition)
    np.testing.assert_allclose(value, expected, atol=1e-9)


def test_many_users_with_long_histories_are_taken_some_at_a_time():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 32))
    rows = np.argsort(rng.random((300, 500)), axis=1)[:, :20]
    lengths = np.where(np.arange(300) % 50 == 0, 4_000, 3)
    splits = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.integers(0, 500, splits[-1])
    together = unexpectedness(rows, values, splits, vectors, definition="min")
    for user in (0, 1, 50, 299):
        own = values[splits[user] : splits[user + 1]]
        alone = unexpectedness(rows[user : user + 1], own, [0, len(own)], vectors, definition="min")
        assert together[user] == pytest.approx(alone[0], rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"definition": "max"}, "mean or min; received 'max'"),
        ({"distance": "euclid"}, "one of cosine, jaccard, hamming; received 'euclid'"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        unexpectedness(np.array([[0]]), [0], [0, 1], VECTORS, **arguments)


def test_histories_are_rows_of_the_catalogue():
    with pytest.raises(
        ValueError, match="history_values must be rows of the catalogue of 4 items; received 4"
    ):
        unexpectedness(np.array([[0]]), [4], [0, 1], VECTORS)
