from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers.views import CodeView, NumberView, VectorView


def test_vectors_are_centred_turned_to_their_components_and_brought_to_length_one():
    view = VectorView(input_dim=3, dim=2)
    # Around (10, 0, 5): 2 to either side along the first axis, 1 along the second.
    view.adapt(np.array([[12, 0, 5], [8, 0, 5], [10, 1, 5], [10, -1, 5]], np.float32))
    found = np.abs(view(tf.constant([[12.0, 0, 5], [10, 1, 5], [10, 0, 5]])).numpy())
    # The mean square length of the four is (4 + 4 + 1 + 1) / 4 = 2.5.
    np.testing.assert_allclose(found, np.array([[2, 0], [0, 1], [0, 0]]) / np.sqrt(2.5), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(items=st.integers(2, 12), seed=st.integers(0, 100))
def test_with_room_for_all_components_products_are_those_of_the_centred_vectors(items, seed):
    vectors = np.random.default_rng(seed).normal(3, 1, size=(items, 6)).astype(np.float32)
    view = VectorView(input_dim=6, dim=64)
    assert view.dim == 6
    view.adapt(vectors)
    centred = vectors - vectors.mean(0)
    centred /= np.sqrt((centred**2).sum(1).mean())
    found = view(tf.constant(vectors)).numpy()
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-3)


def test_missing_vectors_are_zero_and_teach_nothing():
    view = VectorView(input_dim=2, dim=2)
    view.adapt(np.array([[1, 1], [3, 1], [0, 0]], np.float32))
    np.testing.assert_allclose(
        np.abs(view(tf.constant([[3.0, 1], [0, 0]])).numpy()), [[1, 0], [0, 0]], atol=1e-5
    )


def test_codes_by_hand():
    view = CodeView(num_codes=2, dim=8)
    assert view.dim == 2
    view.adapt(np.array([[1, 0], [1, 0], [1, 2], [0, 0]], np.int32))
    # Shares 1 and 1/3; only the second code varies: (-1/3, -1/3, 2/3), mean square 2/9.
    expected = np.array([[0, -1 / 3], [0, 2 / 3], [0, 0], [-1, 2 / 3]]) / np.sqrt(2 / 9)
    found = view(tf.constant([[1, 0], [1, 2], [0, 0], [2, 0]]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_many_codes_are_nearly_at_right_angles():
    view = CodeView(num_codes=1000, dim=64)
    rows = view.raw(tf.range(1, 1001)[:, tf.newaxis]).numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (rows @ rows.T)[~np.eye(1000, dtype=bool)]
    assert rows.shape == (1000, 64)
    assert abs(cosines.mean()) < 0.01
    assert cosines.std() < 0.15


def test_near_numbers_are_more_alike_than_far_ones():
    view = NumberView()
    view.adapt(np.stack([np.linspace(-2, 2, 50), np.ones(50)], axis=1).astype(np.float32))
    a, b, c, missing, far = view(tf.constant([[0.0, 1], [0.3, 1], [1.5, 1], [0, 0], [50, 1]])).numpy()
    assert a @ b > a @ c
    assert not missing.any()
    np.testing.assert_array_equal(far, view(tf.constant([[2.0, 1.0]])).numpy()[0])


@pytest.mark.parametrize(
    ("view", "feature"),
    [
        (VectorView(3, 2), np.array([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]], np.float32)),
        (CodeView(4, 2), np.array([[1], [1]])),
        (NumberView(), np.array([[1.0, 1.0], [1.0, 1.0]], np.float32)),
    ],
)
def test_what_all_items_share_tells_nothing_and_nothing_is_not_adapted(view, feature):
    view.adapt(feature[:0])
    view.adapt(feature)
    np.testing.assert_allclose(view(tf.constant(feature)).numpy(), 0, atol=1e-5)


@pytest.mark.parametrize("view", [VectorView(3, 2), CodeView(40, 8), CodeView(2, 8), NumberView()])
def test_round_trip(view):
    feature = {
        VectorView: np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32),
        CodeView: np.array([[1, 2], [2, 0], [1, 0]]),
        NumberView: np.array([[0.1, 1], [0.9, 1]], np.float32),
    }[type(view)]
    view.adapt(feature)
    again = keras.layers.deserialize(keras.layers.serialize(view))
    again.set_weights(view.get_weights())
    expected = view(tf.constant(feature)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_array_equal(again(tf.constant(feature)), expected)
    spec = tf.TensorSpec([None, feature.shape[1]], feature.dtype)
    np.testing.assert_allclose(tf.function(again, input_signature=[spec])(feature), expected, atol=1e-6)
    assert not again.trainable_weights


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("count", [5, 50])
def test_the_size_of_vectors_does_not_matter(size, count):
    vectors = np.random.default_rng(0).normal(size=(count, 20)).astype(np.float32)
    views = [VectorView(20, 4), VectorView(20, 4)]
    found = []
    for view, scale in zip(views, (1.0, size), strict=True):
        view.adapt(vectors * np.float32(scale))
        found.append(view(tf.constant(vectors * np.float32(scale))).numpy())
    assert np.abs(found[0]).max() > 0.1
    np.testing.assert_allclose(found[1] @ found[1].T, found[0] @ found[0].T, atol=1e-2)
