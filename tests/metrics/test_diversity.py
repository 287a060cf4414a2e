"""Diversity metrics: by hand, by brute force over all pairs, and against the numbers of other libraries."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import category_entropy, intra_list_distance

FEATURES = np.array([[0, 0], [0, 1], [1, 1], [0, 0]])  # rectools' example, items 1..4


@pytest.mark.parametrize(("k", "expected"), [(1, [0, 0]), (2, [1, 0]), (3, [1.33333333, 0])])
def test_hamming_distance_of_the_example_in_rectools(k, expected):
    rows = np.array([[0, 1, 2], [0, 3, -1]])[:, :k]
    np.testing.assert_allclose(intra_list_distance(rows, FEATURES, "hamming"), expected, atol=1e-8)


def test_cosine_distance_by_hand():
    # Cosines: a-b 0.6, a-c 0, b-c 0.8; d is opposite to a; e is missing.
    vectors = np.array([[2.0, 0.0], [0.6, 0.8], [0.0, 5.0], [-1.0, 0.0], [0.0, 0.0]])
    rows = np.array([[0, 1, 2], [0, 3, -1], [0, 4, -1], [4, -1, -1], [-1, -1, -1]])
    expected = [1 - 1.4 / 3, 2.0, 1.0, 0.0, 0.0]
    np.testing.assert_allclose(intra_list_distance(rows, vectors), expected, atol=1e-12)


def test_missing_vectors_are_similar_to_nothing_not_even_to_each_other():
    assert intra_list_distance(np.array([[0, 1]]), np.zeros((2, 3))).tolist() == [1.0]


def test_equal_vectors_have_no_distance_and_none_below_zero():
    vectors = np.tile(np.random.default_rng(0).normal(size=(1, 50)), (9, 1))
    value = intra_list_distance(np.arange(9)[np.newaxis], vectors)[0]
    assert 0.0 <= value < 1e-12


def distance_by_pairs(rows, vectors, distance):
    values = []
    for row in rows:
        row = [r for r in row if r >= 0]
        pairs = list(combinations(row, 2))
        total = 0.0
        for a, b in pairs:
            if distance == "hamming":
                total += np.count_nonzero((vectors[a] != 0) != (vectors[b] != 0))
            else:
                norms = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
                total += 1 - (vectors[a] @ vectors[b] / norms if norms else 0.0)
        values.append(total / len(pairs) if pairs else 0.0)
    return values


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8), distance=st.sampled_from(["cosine", "hamming"]))
@settings(max_examples=60, deadline=None)
def test_closed_forms_equal_the_mean_over_pairs(seed, k, distance):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(15, 4)) * (rng.random((15, 4)) < 0.6)
    rows = np.argsort(rng.random((6, 15)), axis=1)[:, :k]
    rows = np.where(rng.random(rows.shape) < 0.2, -1, rows)
    expected = distance_by_pairs(rows, vectors, distance)
    np.testing.assert_allclose(intra_list_distance(rows, vectors, distance), expected, atol=1e-9)


def test_category_entropy_by_hand():
    matrix = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    rows = np.array([[0, 1], [1, 2], [3, -1], [-1, -1]])
    # Shares .75 / .25 / 0: the first item splits its weight.
    expected = [-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)), 1.0, 0.0, 0.0]
    np.testing.assert_allclose(category_entropy(rows, matrix), expected, atol=1e-12)


def test_an_unknown_distance_is_named():
    with pytest.raises(ValueError, match="hamming or jaccard; received 'euclid'"):
        intra_list_distance(np.array([[0, 1]]), FEATURES, "euclid")


def test_ten_thousand_users_take_a_moment():
    import time

    rng = np.random.default_rng(0)
    rows = rng.integers(0, 10_000, size=(10_000, 20))
    vectors = rng.normal(size=(10_000, 64)).astype(np.float32)
    start = time.perf_counter()
    intra_list_distance(rows, vectors)
    assert time.perf_counter() - start < 3.0  # pair by pair: minutes
