"""Claims about feature interactions: what the papers' formulas and TFRS say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.towers.interactions import (
    DCN,
    DLRM,
    INTERACTIONS,
    DeepFM,
    WideDeep,
    interaction_layer,
    pairwise_dots,
    pairwise_sum,
)

NAMES = sorted(INTERACTIONS)


def inputs_of(
    *lead: int, fields: int = 3, dim: int = 4, width: int = 5, seed: int = 0
) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    return {
        "fields": tf.constant(rng.normal(size=(*lead, fields, dim)), tf.float32),
        "numbers": tf.constant(rng.normal(size=(*lead, width)), tf.float32),
    }


@pytest.mark.parametrize("name", NAMES)
def test_candidates_in_lists_are_treated_as_rows_by_themselves(name):
    layer = interaction_layer(name, hidden_units=(8,))
    inputs = inputs_of(2, 6)
    lists = layer(inputs).numpy()
    rows = layer({key: tf.reshape(value, [12, *value.shape[2:]]) for key, value in inputs.items()}).numpy()
    np.testing.assert_allclose(lists.reshape(12, -1), rows, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_made_again_from_its_configuration_and_weights(name):
    layer = interaction_layer(name, hidden_units=(8, 4), dropout=0.5)
    inputs = inputs_of(7)
    expected = layer(inputs).numpy()
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs).numpy(), expected)


@pytest.mark.parametrize("name", NAMES)
def test_it_works_in_a_graph_with_unknown_lengths_and_in_half_precision(name):
    layer = interaction_layer(name, hidden_units=(8,))
    specs = {
        "fields": tf.TensorSpec([None, None, 3, 4]),
        "numbers": tf.TensorSpec([None, None, 5]),
    }
    graph = tf.function(lambda given: layer(given), input_signature=[specs])
    inputs = inputs_of(2, 6)
    np.testing.assert_allclose(graph(inputs).numpy(), layer(inputs).numpy(), rtol=1e-5, atol=1e-6)
    half = INTERACTIONS[name](hidden_units=(8,), dtype="mixed_bfloat16")
    assert half(inputs).dtype == tf.bfloat16
    assert {weight.dtype for weight in half.weights} == {tf.float32}


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name):
    layer = interaction_layer(name, hidden_units=(64,), dropout=0.5)
    inputs = inputs_of(3)
    np.testing.assert_array_equal(layer(inputs).numpy(), layer(inputs).numpy())
    assert not np.allclose(layer(inputs, training=True).numpy(), layer(inputs).numpy())


def test_a_cross_layer_multiplies_by_hand():
    # x0 = (1, 2, 3), W = diag(1, 2, 0), b = (0, 0, 1): x0 * (W x0 + b) + x0 = (1, 8, 3) + (1, 2, 3).
    layer = DCN(hidden_units=(), cross_layers=1)
    inputs = {"fields": tf.constant([[[1.0, 2.0]]]), "numbers": tf.constant([[3.0]])}
    layer(inputs)
    layer.set_weights([np.diag([1.0, 2.0, 0.0]), np.array([0.0, 0.0, 1.0])])
    assert layer(inputs).numpy().tolist() == [[2.0, 10.0, 6.0]]
    # A second one of W = I and no bias: x0 * x1 + x1 = (2, 20, 18) + (2, 10, 6).
    deeper = DCN(hidden_units=(), cross_layers=2)
    deeper(inputs)
    deeper.set_weights([*layer.get_weights(), np.eye(3), np.zeros(3)])
    assert deeper(inputs).numpy().tolist() == [[4.0, 30.0, 24.0]]


def test_a_low_rank_cross_layer_has_two_thin_matrices():
    layer = DCN(hidden_units=(), cross_layers=1, projection_dim=2)
    layer(inputs_of(1))
    assert [weight.shape.as_list() for weight in layer.weights] == [[17, 2], [2, 17], [17]]


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_linear_form_of_a_factorisation_machine_is_the_sum_over_all_pairs(fields, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(2, 3, fields, dim))
    pairs = sum(vectors[..., i, :] * vectors[..., j, :] for i, j in combinations(range(fields), 2))
    found = pairwise_sum(tf.constant(vectors, tf.float32)).numpy()
    np.testing.assert_allclose(found, pairs, rtol=1e-4, atol=1e-4)


def test_deepfm_is_its_published_sum():
    # Fields (1, 2) and (3, 4), one number 5 whose vector is 5 * (1, 0): pairs 11 + 5 + 15 = 31.
    layer = DeepFM(hidden_units=())
    inputs = {"fields": tf.constant([[[1.0, 2.0], [3.0, 4.0]]]), "numbers": tf.constant([[5.0]])}
    layer(inputs)
    layer.set_weights([np.array([[1.0, 1.0], [10.0, 0.0]]), np.array([[1.0, 0.0]])])
    assert layer(inputs).numpy().tolist() == [[5.0, 3.0, 30.0, 31.0]]


def test_the_products_of_pairs_are_those_of_tfrs():
    vectors = inputs_of(6, fields=5)["fields"]
    theirs = tfrs.layers.feature_interaction.DotInteraction()(tf.unstack(vectors, axis=1))
    np.testing.assert_allclose(pairwise_dots(vectors).numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_dlrm_returns_the_numbers_vector_and_the_products_without_a_top():
    layer = DLRM(hidden_units=(), bottom_units=())
    inputs = {"fields": tf.constant([[[1.0, 2.0], [3.0, 4.0]]]), "numbers": tf.constant([[5.0]])}
    layer(inputs)
    layer.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    # ReLU(5, -5) = (5, 0); with the fields 5 and 15, and between them 11.
    assert layer(inputs).numpy().tolist() == [[5.0, 0.0, 5.0, 15.0, 11.0]]


def test_wide_and_deep_keeps_the_numbers_beside_the_network():
    layer = WideDeep(hidden_units=(2,))
    inputs = {"fields": tf.constant([[[1.0, 2.0]]]), "numbers": tf.constant([[-3.0]])}
    layer(inputs)
    layer.set_weights([np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.zeros(2)])
    assert layer(inputs).numpy().tolist() == [[-3.0, 3.0, 0.0]]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"interaction: expected one of dcn, .*'fm'"):
        interaction_layer("fm")
    with pytest.raises(ValueError, match="cross_layers: expected at least 1, got 0"):
        DCN(cross_layers=0)
    with pytest.raises(ValueError, match=r"hidden_units: expected numbers of at least 1, got \[0\]"):
        DCN(hidden_units=(0,))
