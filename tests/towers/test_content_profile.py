from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.content_profile import ContentProfile
from tfrec_div.towers.views import CodeView, VectorView


@pytest.fixture
def profile():
    """Four items: the views are set by hand."""
    profile = ContentProfile({"text": VectorView(2, 2), "brand": CodeView(2, 2)}, num_items=4)
    profile.items.assign([[0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]])
    profile.log_gain.assign(np.log([2.0, 0.5]))
    return profile


def test_scores_by_hand(profile):
    query = profile.query(tf.constant([[0, 2, -1]]), tf.constant([[1.0, 0.5, 0.0]]))
    # Views (1, 0 | 1, 0) and half of (1, 1 | 0, 1), over the root of 1.5; gains 2 and 1/2.
    roots = np.sqrt([2, 2, 0.5, 0.5])
    np.testing.assert_allclose(query, np.array([[1.5, 0.5, 1, 0.5]]) * roots / math.sqrt(1.5), rtol=1e-5)
    np.testing.assert_allclose(profile(tf.constant([2])), [[1, 1, 0, 1]] * roots, rtol=1e-5)
    scores = tf.matmul(query, profile(tf.range(4)), transpose_b=True)
    np.testing.assert_allclose(scores, [[3 + 0.5, 1 + 0.5, 4 + 0.25, 0]] / np.sqrt(1.5), rtol=1e-5)


def test_no_history_and_unknown_rows_score_nothing(profile):
    assert not profile.query(tf.constant([[-1, -1]]), tf.zeros([1, 2])).numpy().any()
    assert not profile(tf.constant([-1])).numpy().any()


def test_alone_scores_by_profile_and_bias_and_teaches_the_gains_only(profile):
    towers = tf.Variable([[5.0, 7.0]])
    with tf.GradientTape() as tape:
        content = profile.query(tf.constant([[0]]), tf.constant([[1.0]]))
        queries = tf.concat([towers, content, tf.ones([1, 1])], axis=1)
        alone = profile.alone(queries, before=2)
        items = tf.concat(
            [tf.fill([1, 2], 100.0), tf.stop_gradient(profile(tf.constant([2]))), [[0.25]]], axis=1
        )
        score = tf.reduce_sum(alone * items)
    # Text: 2 x (1, 0).(1, 1); brand: 1/2 x (1, 0).(0, 1); the bias.
    assert float(score) == pytest.approx(2 + 0 + 0.25)
    of_towers, of_gains = tape.gradient(score, [towers, profile.log_gain], unconnected_gradients="zero")
    assert not of_towers.numpy().any()
    # Of a logarithm of a gain: what its modality adds to the score.
    np.testing.assert_allclose(of_gains, [2, 0], atol=1e-6)


def test_views_learn_from_met_items_only():
    texts = np.array([[1, 0], [3, 0], [100, 100]], np.float32)
    profile = ContentProfile({"text": VectorView(2, 2)}, num_items=3)
    profile.fill({"text": texts}, met=np.array([True, True, False]))
    np.testing.assert_allclose(profile.views["text"].mean.numpy()[1], 0, atol=1e-5)
    np.testing.assert_allclose(np.abs(profile.items.numpy()[1:3, 0]), [1, 1], rtol=1e-5)
    profile.log_gain.assign([0.0])
    encoded = profile.encode({"text": tf.constant(texts)})
    np.testing.assert_allclose(profile(tf.range(3)), encoded, rtol=1e-6)


def test_round_trip(profile):
    again = ContentProfile.from_config(profile.get_config())
    again.set_weights(profile.get_weights())
    assert again.gains == pytest.approx({"text": 2.0, "brand": 0.5})
    query = tf.constant([[1, 2]]), tf.constant([[1.0, 1.0]])
    np.testing.assert_array_equal(again.query(*query), profile.query(*query))
    assert isinstance(keras.layers.deserialize(keras.layers.serialize(profile)), ContentProfile)


def test_a_profile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="views is empty"):
        ContentProfile({}, num_items=3)
