from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import tf
from tfrec_div.index.brute_force import BruteForce


def index_of(vectors):
    index = BruteForce(dim=vectors.shape[1])
    index.update(vectors)
    return index


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 10_000))
def test_rows_are_those_of_a_full_sort(count, k, seed):
    random = np.random.default_rng(seed)
    vectors, query = random.normal(size=(count, 4)), random.normal(size=(2, 4))
    rows, scores = index_of(vectors)(tf.constant(query, tf.float32), k=k)
    product = query.astype(np.float32) @ vectors.astype(np.float32).T
    np.testing.assert_array_equal(rows, np.argsort(-product, axis=1)[:, :k])
    np.testing.assert_allclose(scores, -np.sort(-product, axis=1)[:, :k], rtol=1e-5, atol=1e-6)


def test_an_excluded_row_never_comes_back_however_high_its_score():
    # TFRS' exclusion subtracts 1e5, which a large score survives.
    index = index_of(np.array([[1e7], [1.0], [0.5]]))
    rows, _ = index(tf.constant([[1.0]]), k=2, exclude=tf.constant([[0, -1]]))
    assert rows.numpy().tolist() == [[1, 2]]


def test_more_rows_than_there_are_is_all_there_are_and_gaps_are_padding():
    index = index_of(np.array([[1.0], [2.0]]))
    rows, scores = index(tf.constant([[1.0]]), k=5, exclude=tf.constant([[1]]))
    assert rows.numpy().tolist() == [[0, -1]]
    assert np.isneginf(scores[0, 1])


def test_include_is_for_all_queries_or_for_each():
    index = index_of(np.array([[3.0], [2.0], [1.0]]))
    queries = tf.ones([2, 1])
    assert index(queries, k=1, include=tf.constant([False, True, True]))[0].numpy().tolist() == [[1], [1]]
    each = tf.constant([[True, False, False], [False, False, True]])
    assert index(queries, k=1, include=each)[0].numpy().tolist() == [[0], [2]]


def test_the_index_grows_without_a_new_graph():
    index = index_of(np.array([[1.0]]))
    ask = tf.function(lambda q: index(q, k=1)[0], input_signature=[tf.TensorSpec([None, 1])])
    assert ask(tf.ones([1, 1])).numpy().tolist() == [[0]]
    index.update([[1.0], [5.0]])
    assert ask(tf.ones([1, 1])).numpy().tolist() == [[1]]


def test_vectors_of_another_length_are_refused_by_name():
    with pytest.raises(ValueError, match=r"vectors: expected shape \[rows, 3\], got \(2, 2\)"):
        BruteForce(dim=3).update(np.zeros((2, 2)))
