"""Diversity metrics: by hand, by brute force over all pairs, and against the numbers of other libraries."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import (
    average_overlap,
    catalog_coverage,
    category_entropy,
    gini,
    intra_list_distance,
    personalization,
    shannon_entropy,
)

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


def test_overlap_by_hand():
    # Pairs: 1/2, 1/2, 1.
    assert average_overlap(ROWS, 5) == pytest.approx(2 / 3)
    assert personalization(ROWS, 5) == pytest.approx(1 / 3)
    assert average_overlap(np.array([[0, 1, 2]] * 4), 5) == pytest.approx(1.0)
    assert average_overlap(np.array([[0], [1]]), 2) == 0.0
    assert average_overlap(np.array([[0, 1]]), 2) == 0.0


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intra_list_distance(ROWS, FEATURES, "euclid"), "hamming or jaccard; received 'euclid'"),
        (lambda: gini(ROWS, 5, "lenskit"), "recbole or elliot; received 'lenskit'"),
        (lambda: shannon_entropy(ROWS, 5, "elliot"), "recbole or lenskit; received 'elliot'"),
        (lambda: catalog_coverage(ROWS, 2), "catalogue of 2 items; received 2"),
        (lambda: catalog_coverage(np.array([[-2]]), 2), "received -2"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ten_thousand_users_take_a_moment():
    import time

    rng = np.random.default_rng(0)
    rows = rng.integers(0, 10_000, size=(10_000, 20))
    vectors = rng.normal(size=(10_000, 64)).astype(np.float32)
    start = time.perf_counter()
    intra_list_distance(rows, vectors)
    average_overlap(rows, 10_000)
    gini(rows, 10_000)
    assert time.perf_counter() - start < 3.0  # pair by pair: minutes
