"""Claims about behaviour as a sequence of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers.behavior_sequence import BehaviorSequence, levels

ITEMS, DIM = 7, 8


@pytest.fixture(scope="module")
def layer():
    """One with larger weights than the first ones, so that positions and kinds matter."""
    keras.utils.set_random_seed(0)
    layer = BehaviorSequence(ITEMS, DIM, dropout=0.0, max_steps=6)
    random = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign_add(random.normal(0, 0.3, weight.shape).astype(np.float32))
    return layer


def read(layer, rows, strength, masked=None, places=None):
    rows = np.asarray(rows)
    inputs = {
        "vectors": tf.gather(layer.tokens, np.maximum(rows, 0)),
        "weights": tf.constant(strength, tf.float32),
        "masked": tf.constant(np.zeros(rows.shape, bool) if masked is None else masked),
        "places": tf.constant(
            np.tile(np.arange(rows.shape[1]), (len(rows), 1)) if places is None else places
        ),
    }
    return layer(inputs).numpy()


def test_it_is_bert_whose_words_are_items_and_whose_segments_are_kinds_of_events(layer):
    rows, strength = [[3, 0, 5, 2]], [[0.2, 0.6, 1.0, 0.0]]
    found = read(layer, rows, strength, masked=[[False, True, False, False]], places=[[4, 1, 0, 2]])
    expected = layer.layer(
        input_ids=tf.constant([[3, ITEMS, 5, 2]]),
        attention_mask=tf.constant([[1, 1, 1, 0]]),
        token_type_ids=tf.constant([[2, 0, 10, 1]]),
        position_ids=tf.constant([[4, 1, 0, 2]]),
    ).last_hidden_state
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_views_saves_and_purchases_are_different_tokens(layer):
    assert levels(tf.constant([0.2, 0.6, 1.0])).numpy().tolist() == [2, 6, 10]
    # Of ratings from 1 to 5: those of 1, 2, 3 and 4.
    assert levels(tf.constant([0.1, 0.2, 0.3, 1.0])).numpy().tolist() == [1, 2, 3, 10]
    viewed, bought = (read(layer, [[3, 1]], [[kind, 1.0]]) for kind in (0.2, 1.0))
    assert np.abs(viewed - bought).max() > 0.05


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), more=st.integers(0, 3))
def test_padding_changes_nothing(layer, seed, more):
    random = np.random.default_rng(seed)
    rows, strength = random.integers(0, ITEMS, (2, 3)), random.uniform(0.1, 1, (2, 3))
    wider = np.concatenate([rows, random.integers(0, ITEMS, (2, more))], axis=1)
    found = read(layer, wider, np.pad(strength, [(0, 0), (0, more)]))
    np.testing.assert_allclose(found[:, :3], read(layer, rows, strength), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(item=st.integers(0, ITEMS - 1), kind=st.sampled_from([0.1, 0.5, 1.0]))
def test_of_a_masked_token_only_the_position_is_known(layer, item, kind):
    masked = [[False, True, False]]
    expected = read(layer, [[3, 1, 4]], [[1.0, 0.3, 1.0]], masked)
    found = read(layer, [[3, item, 4]], [[1.0, kind, 1.0]], masked)
    np.testing.assert_array_equal(found, expected)
    # And that is known: elsewhere it is another token.
    moved = read(layer, [[3, item, 4]], [[1.0, kind, 1.0]], masked, places=[[0, 5, 2]])
    assert np.abs(moved - expected).max() > 0.05


def test_attention_goes_both_ways(layer):
    before, after = read(layer, [[3, 1, 4]], np.ones([1, 3])), read(layer, [[2, 1, 5]], np.ones([1, 3]))
    assert np.abs(before[:, 1] - after[:, 1]).max() > 0.05
    one_side = read(layer, [[3, 1, 5]], np.ones([1, 3]))
    assert np.abs(one_side[:, 0] - before[:, 0]).max() > 0.01
    assert np.abs(one_side[:, 1] - before[:, 1]).max() > 0.01


def test_what_is_too_long_is_cut_at_the_oldest(layer):
    rows = np.arange(9)[np.newaxis] % ITEMS
    found = read(layer, rows, np.ones([1, 9]))
    assert found.shape == (1, 6, DIM)
    np.testing.assert_allclose(found, read(layer, rows[:, :6], np.ones([1, 6])), atol=1e-6)


def test_draws_of_dropout_go_by_the_counted_step():
    keras.utils.set_random_seed(0)
    layer = BehaviorSequence(ITEMS, DIM, dropout=0.5, max_steps=3)
    inputs = {
        "vectors": tf.gather(layer.tokens, [[1, 2, 3]]),
        "weights": tf.ones([1, 3]),
        "masked": tf.fill([1, 3], False),
        "places": tf.constant([[0, 1, 2]]),
    }
    first, second = (layer(inputs, training=True).numpy() for _ in range(2))
    assert np.abs(first - second).max() > 0.1
    layer.step.assign(0)
    np.testing.assert_array_equal(layer(inputs, training=True), first)


def test_the_configuration_makes_it_again(layer):
    again = BehaviorSequence.from_config(layer.get_config())
    again.set_weights(layer.get_weights())
    expected = read(layer, [[3, 0, 5]], np.ones([1, 3]))
    np.testing.assert_array_equal(read(again, [[3, 0, 5]], np.ones([1, 3])), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_blocks": 0}, "num_blocks: expected at least 1, got 0"),
        ({"num_heads": 3}, "num_heads: expected a divisor of the vectors' length 8, got 3"),
        ({"dropout": 1.0}, r"dropout: expected a share in \[0, 1\), got 1"),
        ({"max_steps": 0}, "max_steps: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BehaviorSequence(ITEMS, DIM, **arguments)
