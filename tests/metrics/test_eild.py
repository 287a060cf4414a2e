"""Expected intra-list distance: by hand, Informfully's number, and a loop of the published formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import expected_intra_list_distance, intra_list_distance

# a and c are the same direction, b is orthogonal to both.
VECTORS = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])


def test_the_example_of_informfully():
    # Its tests: items 1 and 3, ratings .4 and .5 over a threshold of .1, so relevance 2^.3/2^.4 and 1; base .9.
    vectors = np.array([[10, 1, 22, 3, 99, 5], [0, 2, 2, 3, 4, 9]])
    value = expected_intra_list_distance(
        np.array([[0, 1]]),
        vectors,
        np.array([[2**-0.1, 1.0]]),
        discount="exponential",
        definition="informfully",
        base=0.9,
    )
    np.testing.assert_allclose(value, [0.5257061364698357], rtol=1e-12)


def test_by_hand_as_published():
    # a b c; disc 1, 1/2, 1/3. Of a: below it b at distance 1 (disc 1), c at 0 (disc 1/2) -> 1 / 1.5.
    # Of b: a and c at 1 -> 1. Of c: a at 0, b at 1, both above (disc 1) -> 1/2.
    value = expected_intra_list_distance(np.array([[0, 1, 2]]), VECTORS, discount="reciprocal")
    np.testing.assert_allclose(value, [(1 / 1.5 + 1 / 2 + 0.5 / 3) / (1 + 1 / 2 + 1 / 3)])


def test_relevance_by_hand():
    # c is not relevant: neither counts it itself nor its distances, but its place is in the norm.
    relevance = np.array([[True, True, False]])
    value = expected_intra_list_distance(np.array([[0, 1, 2]]), VECTORS, relevance, discount="reciprocal")
    np.testing.assert_allclose(value, [(1 + 1 / 2) / (1 + 1 / 2 + 1 / 3)])
    product = expected_intra_list_distance(
        np.array([[0, 1, 2]]), VECTORS, relevance, discount="reciprocal", definition="product"
    )
    np.testing.assert_allclose(product, [1.0])


def test_the_closed_form_of_product_weights():
    # ((Σw)² − Σw² − (‖Σwe‖² − Σw²)) / ((Σw)² − Σw²)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 6))
    rows = np.argsort(rng.random((7, 20)), axis=1)[:, :8]
    weight = 0.85 ** np.arange(8)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    total, squares = weight.sum() ** 2, (weight**2).sum()
    centers = np.square((weight[:, np.newaxis] * unit[rows]).sum(axis=1)).sum(axis=1)
    expected = (total - squares - (centers - squares)) / (total - squares)
    value = expected_intra_list_distance(rows, vectors, discount="exponential", definition="product")
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def published(row, vectors, relevance, weight):
    """Item by item, as RankSys' EILD."""
    total = norm = 0.0
    for i, a in enumerate(row):
        if a < 0:
            continue
        inner = inner_norm = 0.0
        for j, b in enumerate(row):
            if b < 0 or i == j:
                continue
            lengths = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
            w = weight[max(0, j - i - 1)] * relevance[j]
            inner += w * (1 - (vectors[a] @ vectors[b] / lengths if lengths else 0.0))
            inner_norm += w
        if inner_norm > 0:
            total += weight[i] * relevance[i] * inner / inner_norm
        norm += weight[i]
    return total / norm if norm else 0.0


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_equals_the_loop_of_ranksys(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(15, 4)) * (rng.random((15, 4)) < 0.6)
    rows = np.argsort(rng.random((6, 15)), axis=1)[:, :7]
    rows = np.where(rng.random(rows.shape) < 0.2, -1, rows)
    relevance = rng.random(rows.shape) * (rng.random(rows.shape) < 0.7)
    weight = 1 / np.log2(np.arange(2, 9))
    expected = [published(row, vectors, rel, weight) for row, rel in zip(rows, relevance, strict=True)]
    np.testing.assert_allclose(expected_intra_list_distance(rows, vectors, relevance), expected, atol=1e-9)


@pytest.mark.parametrize("definition", ["vargas", "informfully", "product"])
@pytest.mark.parametrize("distance", ["cosine", "jaccard"])
def test_without_rank_and_relevance_it_is_the_intra_list_distance(definition, distance):
    rng = np.random.default_rng(1)
    vectors = (rng.random((12, 5)) < 0.5).astype(float)
    rows = np.argsort(rng.random((9, 12)), axis=1)[:, :6]
    value = expected_intra_list_distance(
        rows, vectors, distance=distance, discount="none", definition=definition
    )
    np.testing.assert_allclose(value, intra_list_distance(rows, vectors, distance), atol=1e-12)


def test_hamming_is_a_share_of_the_attributes_here():
    vectors = np.array([[1, 0, 1, 0], [1, 1, 1, 0]])
    assert expected_intra_list_distance(np.array([[0, 1]]), vectors, distance="hamming").tolist() == [0.25]


def test_short_lists_have_no_distance_and_missing_vectors_are_far():
    rows = np.array([[0, -1], [-1, -1], [0, 3], [3, 3]])
    assert expected_intra_list_distance(rows, VECTORS).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"definition": "castells"}, "one of vargas, informfully, product; received 'castells'"),
        ({"distance": "euclid"}, "one of cosine, jaccard, hamming; received 'euclid'"),
        ({"discount": "linear"}, "one of none, log2, reciprocal, exponential; received 'linear'"),
        ({"discount": np.ones(1)}, "at least 2 weights"),
        ({"relevance": np.ones((1, 3))}, r"shape \[1, 2\]; received float64 \[1, 3\]"),
        ({"relevance": np.array([[1, -1]])}, "relevance must be numbers of at least 0"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        expected_intra_list_distance(np.array([[0, 1]]), VECTORS, **arguments)
