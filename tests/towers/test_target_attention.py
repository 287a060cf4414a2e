"""Claims about what reads a history for a candidate."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history_modalities import HistoryModalities
from tfrec_div.towers.target_attention import TargetAttention


def drawn(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def test_the_activation_unit_is_a_network_of_candidate_item_and_product():
    layer = TargetAttention(units=3)
    candidates, items, strength = drawn(2, 4, 5), drawn(2, 6, 5, seed=1), tf.ones([2, 6]) * 0.5
    found = layer(candidates, items, strength).numpy()
    of_candidate, of_item, of_product, bias, out, out_bias = layer.get_weights()
    kernel = np.concatenate([of_candidate, of_item, of_product])
    expected = np.zeros((2, 4, 5))
    for b in range(2):
        for n in range(4):
            for s in range(6):
                c, i = candidates.numpy()[b, n], items.numpy()[b, s]
                hidden = np.maximum(np.concatenate([c, i, c * i]) @ kernel + bias, 0)
                expected[b, n] += 0.5 * (hidden @ out + out_bias) * i
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_its_three_matrices_start_different():
    layer = TargetAttention()
    layer(drawn(1, 1, 4), drawn(1, 1, 4), tf.ones([1, 1]))
    first, second, third = layer.get_weights()[:3]
    assert not np.allclose(first, second)
    assert not np.allclose(second, third)


def test_a_softmax_shares_a_history_by_strength():
    layer = TargetAttention(softmax=True)
    candidates, items = tf.zeros([1, 2, 3]), tf.eye(3)[tf.newaxis]
    layer(candidates, items, tf.ones([1, 3]))
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    found = layer(candidates, items, tf.constant([[0.75, 0.25, 0.0]])).numpy()
    np.testing.assert_allclose(found, [[[0.75, 0.25, 0.0]] * 2], rtol=1e-6)


@pytest.mark.parametrize("softmax", [True, False])
def test_padding_and_what_a_candidate_may_not_be_told_by_have_no_influence(softmax):
    layer = TargetAttention(softmax=softmax)
    candidates, items = drawn(1, 2, 3), drawn(1, 4, 3, seed=1)
    strength = tf.constant([[1.0, 0.3, 1.0, 0.0]])
    apart = tf.constant([[[True, True, False, True], [True, True, True, True]]])
    found = layer(candidates, items, strength, apart).numpy()
    alone = layer(candidates[:, :1], items[:, :2], strength[:, :2]).numpy()
    np.testing.assert_allclose(found[:, :1], alone, rtol=1e-5)
    np.testing.assert_allclose(
        found[:, 1:], layer(candidates[:, 1:], items[:, :3], strength[:, :3]).numpy(), rtol=1e-5
    )
    nothing = layer(candidates, items, tf.zeros([1, 4])).numpy()
    assert (nothing == 0).all()


def test_a_candidates_text_finds_what_is_like_it_among_the_historys_texts_and_pictures():
    layer = HistoryModalities()
    candidate = tf.constant([[[[8.0, 0.0], [0.0, 0.0]]]])  # it has no picture
    history = tf.constant([[[[9.0, 0.0], [0.0, 0.0]], [[0.0, 9.0], [0.0, 9.0]]]])
    layer(candidate, history, tf.ones([1, 2]))
    eye = np.eye(2).reshape(2, 1, 2)
    layer.set_weights([eye, eye, eye, eye.reshape(1, 2, 2), np.zeros((2, 2))])
    found = layer(candidate, history, tf.ones([1, 2])).numpy()
    np.testing.assert_allclose(found, [[[9.0, 0.0]]], atol=1e-5)
    # Without the first item, only what is unlike is left.
    apart = tf.constant([[[False, True]]])
    np.testing.assert_allclose(
        layer(candidate, history, tf.ones([1, 2]), apart).numpy(), [[[0.0, 9.0]]], atol=1e-5
    )
    assert (layer(tf.zeros_like(candidate), history, tf.ones([1, 2])).numpy() == 0).all()
    assert (layer(candidate, history, tf.zeros([1, 2])).numpy() == 0).all()


@pytest.mark.parametrize("layer", [TargetAttention(units=2, softmax=True), HistoryModalities(num_heads=2)])
def test_it_is_made_again_from_its_configuration(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
