"""Intra-list similarity, and the distances that come from it: by hand and against other libraries."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import intra_list_distance, intra_list_similarity


def test_jaccard_by_hand():
    # {a, b}, {a}, {c}, none: Jaccard 1/2 for the first pair, 0 for all others.
    genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    rows = np.array([[0, 1, -1], [0, 1, 2], [0, 3, -1], [3, -1, -1]])
    np.testing.assert_allclose(intra_list_distance(rows, genres, "jaccard"), [0.5, 1 - 0.5 / 3, 1.0, 0.0])
    np.testing.assert_allclose(intra_list_similarity(rows, genres, "jaccard"), [0.5, 0.5 / 3, 0.0, 0.0])
    np.testing.assert_allclose(intra_list_distance(np.array([[3, 3]]), genres, "jaccard"), [1.0])


def test_similarity_by_hand_in_both_definitions():
    # Cosines: a-b 0.6, a-c 0, b-c 0.8.
    vectors = np.array([[2.0, 0.0], [0.6, 0.8], [0.0, 5.0]])
    rows = np.array([[0, 1, 2], [0, 2, -1], [1, -1, -1]])
    np.testing.assert_allclose(intra_list_similarity(rows, vectors), [1.4 / 3, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(
        intra_list_similarity(rows, vectors, definition="sum"), [1.4, 0.0, 0.0], atol=1e-12
    )
    # Three attributes of four agree.
    genres = np.array([[1, 0, 1, 0], [1, 1, 1, 0]])
    assert intra_list_similarity(np.array([[0, 1]]), genres, "hamming").tolist() == [0.75]


def test_the_distance_of_the_example_of_informfully():
    vectors = np.array([[1, 2, 3], [4, 2, 5], [4, 2, 5], [4, 2, 5]])
    np.testing.assert_allclose(intra_list_distance(np.array([[0, 1, 2, 3]]), vectors), [0.041829033088482404])


def test_the_similarities_of_two_rows_that_recmetrics_averages():
    # As sklearn's cosine_similarity of the rows' features, mean of the upper triangle.
    rng = np.random.default_rng(3)
    vectors = rng.random((10, 4))
    rows = np.argsort(rng.random((5, 10)), axis=1)[:, :6]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    upper = np.triu_indices(6, k=1)
    expected = [(unit[row] @ unit[row].T)[upper].mean() for row in rows]
    np.testing.assert_allclose(intra_list_similarity(rows, vectors), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"similarity": "rbf"}, "cosine, jaccard, hamming; received 'rbf'"),
        ({"definition": "max"}, "mean or sum; received 'max'"),
        ({"vectors": np.ones(2)}, r"shape \[items, dim\]; received \[2\]"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        intra_list_similarity(np.array([[0, 1]]), **{"vectors": np.eye(2), **arguments})
