"""What every encoder of a history must satisfy, whatever its method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers.history import HISTORY_ENCODERS, GRUHistoryEncoder, history_layer

DIM, ITEM_DIM = 6, 4
MAKERS = {
    **HISTORY_ENCODERS,
    "gru, 5 units": lambda dim: GRUHistoryEncoder(dim, units=5),
    "one block of two heads": lambda dim: HISTORY_ENCODERS["self_attention"](dim, num_blocks=1, num_heads=2),
}
every_encoder = pytest.mark.parametrize("name", sorted(MAKERS))
# A mean is the same in any order; the others read how far back an item lies.
ORDERLESS = {"mean"}


def inputs_of(vectors, weights):
    return {"vectors": tf.constant(vectors, tf.float32), "weights": tf.constant(weights, tf.float32)}


def some(batch: int, steps: int, seed: int = 0):
    """Histories of random lengths, the last of which is full."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, steps + 1, batch)
    lengths[-1:] = steps
    weights = random.uniform(0.1, 1, (batch, steps)) * (np.arange(steps) < lengths[:, None])
    return random.normal(size=(batch, steps, ITEM_DIM)).astype(np.float32), weights.astype(np.float32)


def trained(name: str, seed: int = 0):
    """An encoder with random weights throughout."""
    layer = MAKERS[name](DIM)
    layer(inputs_of(*some(2, 3)))
    random = np.random.default_rng(seed)
    values = [
        np.full(w.shape, 0, w.dtype) if w.dtype == np.int64 else random.normal(0, 0.5, w.shape)
        for w in layer.get_weights()
    ]
    layer.set_weights(values)
    return layer


LAYERS = {name: trained(name) for name in MAKERS}


@every_encoder
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), more=st.integers(0, 4), rubbish=st.sampled_from([0.0, -3.0, 1e6]))
def test_padding_changes_nothing(name, seed, more, rubbish):
    vectors, weights = some(3, 4, seed)
    expected = LAYERS[name](inputs_of(vectors, weights)).numpy()
    spoilt = np.where(weights[..., None] > 0, vectors, np.float32(rubbish))
    spoilt = np.concatenate([spoilt, np.full((3, more, ITEM_DIM), rubbish, np.float32)], axis=1)
    padded = np.pad(weights, [(0, 0), (0, more)])
    np.testing.assert_allclose(LAYERS[name](inputs_of(spoilt, padded)), expected, rtol=1e-4, atol=1e-5)


@every_encoder
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_empty_history_is_zero_and_not_present(name, steps):
    inputs = inputs_of(np.ones((2, steps, ITEM_DIM)), np.zeros((2, steps)))
    assert LAYERS[name](inputs).numpy().tolist() == [[0.0] * DIM] * 2
    assert LAYERS[name].present(inputs).numpy().tolist() == [False, False]
    assert LAYERS[name].present(inputs_of(*some(1, 2))).numpy().tolist() == [True]


@every_encoder
def test_vectors_strengths_and_for_all_but_the_mean_the_order_count(name):
    vectors, weights = some(1, 4, seed=3)
    weights[:] = [[1.0, 0.5, 0.3, 0.8]]
    found = LAYERS[name](inputs_of(vectors, weights)).numpy()
    for step in range(4):
        moved = vectors.copy()
        moved[:, step, 0] += 0.5  # one entry: attention reads vectors without their mean
        assert not np.allclose(LAYERS[name](inputs_of(moved, weights)), found, atol=1e-4), step
    weaker = weights * np.array([[1.0, 1.0, 0.2, 1.0]])
    assert not np.allclose(LAYERS[name](inputs_of(vectors, weaker)), found, atol=1e-4)
    turned = LAYERS[name](inputs_of(vectors[:, ::-1], weights[:, ::-1])).numpy()
    assert np.allclose(turned, found, rtol=1e-4, atol=1e-5) == (name in ORDERLESS)


@every_encoder
def test_a_batch_is_its_rows_one_by_one(name):
    vectors, weights = some(5, 4, seed=1)
    together = LAYERS[name](inputs_of(vectors, weights))
    alone = [LAYERS[name](inputs_of(vectors[[n]], weights[[n]]))[0] for n in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert LAYERS[name](inputs_of(vectors[:0], weights[:0])).shape == (0, DIM)


@every_encoder
def test_works_in_a_graph_that_knows_neither_batch_nor_steps(name):
    spec = {"vectors": tf.TensorSpec([None, None, ITEM_DIM]), "weights": tf.TensorSpec([None, None])}
    graph = tf.function(lambda inputs: LAYERS[name](inputs), input_signature=[spec])
    for batch, steps in ((3, 4), (2, 1), (1, 60)):
        inputs = inputs_of(*some(batch, steps, seed=steps))
        np.testing.assert_allclose(graph(inputs), LAYERS[name](inputs), rtol=1e-4, atol=1e-5)
    empty = inputs_of(np.zeros((2, 0, ITEM_DIM)), np.zeros((2, 0)))
    assert graph(empty).numpy().tolist() == [[0.0] * DIM] * 2


@every_encoder
def test_config_round_trip(name):
    layer = LAYERS[name]
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    inputs = inputs_of(*some(3, 4))
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs), layer(inputs))


@every_encoder
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_the_full_one(name, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        layer = MAKERS[name](DIM)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    inputs = inputs_of(*some(4, 5))
    assert layer(inputs).dtype == policy.removeprefix("mixed_")
    layer.set_weights(LAYERS[name].get_weights())
    assert all(weight.dtype == tf.float32 for weight in layer.trainable_weights)
    found = tf.cast(layer(inputs), tf.float32)
    np.testing.assert_allclose(found, LAYERS[name](inputs), rtol=0.1, atol=0.1)


@every_encoder
def test_gradients_are_finite_none_reaches_padding_and_all_weights_learn(name):
    layer = trained(name, seed=2)
    vectors, weights = some(6, 4)
    weights[0] = 0
    vectors = tf.constant(vectors)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss = tf.reduce_sum(layer({"vectors": vectors, "weights": tf.constant(weights)}) ** 2)
    to_vectors, *to_weights = tape.gradient(loss, [vectors, *layer.trainable_weights])
    assert (to_vectors.numpy()[weights == 0] == 0).all()
    assert (to_vectors.numpy()[weights > 0] != 0).any(axis=-1).all()
    for weight, gradient in zip(layer.trainable_weights, to_weights, strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all(), weight.name
        assert (gradient != 0).any(), weight.name


def test_an_encoder_is_found_by_its_name_or_is_the_layer_itself():
    for name, cls in HISTORY_ENCODERS.items():
        assert type(history_layer(name, 4)) is cls
    assert history_layer("pools", 4, half_lives=[2.0]).half_lives == (2.0,)
    layer = GRUHistoryEncoder(4)
    assert history_layer(layer, 4) is layer
    with pytest.raises(ValueError, match="one of pools, mean, gru, self_attention, or a layer, got 'lstm'"):
        history_layer("lstm", 4)
    with pytest.raises(ValueError, match="a layer whose dim is 8, the embedding_dim, got 4"):
        history_layer(layer, 8)
