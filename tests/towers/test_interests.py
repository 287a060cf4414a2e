from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.interests import (
    EXTRACTORS,
    CapsuleInterests,
    SelfAttentiveInterests,
    interest_layer,
)

every_extractor = pytest.mark.parametrize("name", sorted(EXTRACTORS))


def inputs_of(vectors, weights):
    return {"vectors": tf.constant(vectors, tf.float32), "weights": tf.constant(weights, tf.float32)}


def some(batch: int, steps: int, dim: int = 3, seed: int = 0):
    random = np.random.default_rng(seed)
    lengths = np.append(random.integers(0, steps + 1, batch - 1), steps)
    weights = random.uniform(0.2, 1, (batch, steps)) * (np.arange(steps) < lengths[:, None])
    return random.normal(size=(batch, steps, dim)), weights


def trained(name: str, seed: int = 1):
    """Two interests of four entries, from items of three, with random weights."""
    layer = interest_layer(name, 2, 4)
    layer(inputs_of(*some(2, 3)))
    random = np.random.default_rng(seed)
    layer.set_weights([random.normal(0, 0.7, weight.shape) for weight in layer.get_weights()])
    return layer


# ---------------------------------------------------------------------- capsules


def routed(vectors, weights, kernel, start, iterations):
    """The routing of MIND's algorithm 1 for one user, item by item and capsule by capsule."""
    items, capsules = len(vectors), start.shape[1]
    votes = [kernel.T @ vector for vector in vectors]
    logits = start[:items].copy()
    for _ in range(iterations):
        made = []
        shares = np.zeros((items, capsules))
        for i in range(items):
            total = sum(math.exp(logits[i, k]) for k in range(capsules))
            for j in range(capsules):
                shares[i, j] = weights[i] * math.exp(logits[i, j]) / total
        for j in range(capsules):
            z = sum(shares[i, j] * votes[i] for i in range(items))
            length = math.sqrt(z @ z)
            made.append(length**2 / (1 + length**2) * z / length)
        for i in range(items):
            for j in range(capsules):
                logits[i, j] += votes[i] @ made[j]
    return np.array(made), (shares / shares.sum(axis=0)).T


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_is_that_of_the_paper_step_by_step(iterations):
    layer = CapsuleInterests(2, 4, iterations=iterations)
    vectors, weights = some(3, 5, seed=4)
    layer(inputs_of(vectors, weights))
    random = np.random.default_rng(2)
    kernel, start = random.normal(size=(3, 4)), random.normal(size=(100, 2))
    layer.set_weights([kernel, start])
    found, made_of = layer(inputs_of(vectors, weights))
    for user in range(3):
        there = weights[user] > 0
        if not there.any():
            continue
        expected, shares = routed(vectors[user][there], weights[user][there], kernel, start, iterations)
        np.testing.assert_allclose(found[user], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(made_of[user].numpy()[:, there], shares, rtol=1e-4, atol=1e-6)


def test_one_round_by_hand():
    layer = CapsuleInterests(2, 2, iterations=1)
    history = inputs_of([[[3.0, 0.0], [0.0, 4.0]]], [[1.0, 0.5]])
    layer(history)
    # The first item gives 3/4 and 1/4 of itself, the other half of its half to each capsule.
    start = np.zeros((100, 2))
    start[0, 0] = math.log(3)
    layer.set_weights([np.eye(2), start])
    found, made_of = layer(history)
    z = np.array([[9 / 4, 1.0], [3 / 4, 1.0]])
    square = np.array([[97 / 16], [25 / 16]])
    np.testing.assert_allclose(found[0], z * np.sqrt(square) / (1 + square), rtol=1e-5)
    np.testing.assert_allclose(made_of[0], [[3 / 4, 1 / 4], [1 / 2, 1 / 2]], rtol=1e-5)


def test_the_start_of_the_routing_is_drawn_once_from_the_seed():
    same, again, other = (CapsuleInterests(3, 4, seed=seed) for seed in (5, 5, 6))
    for layer in (same, again, other):
        layer(inputs_of(*some(2, 3)))
    np.testing.assert_array_equal(same.logits, again.logits)
    assert np.abs(same.logits - other.logits).max() > 0.5
    # Equal capsules would stay equal: the draws tell them apart.
    found, _ = same(inputs_of(*some(1, 5)))
    assert np.abs(found[0, 0] - found[0, 1]).max() > 1e-3
    same.logits.assign(tf.zeros_like(same.logits))
    found, _ = same(inputs_of(*some(1, 5)))
    np.testing.assert_allclose(found[0, 0], found[0, 1], rtol=1e-5)


def test_two_groups_of_items_go_to_a_capsule_each():
    """Routing agrees: after some rounds orthogonal groups are apart, wherever they began."""
    vectors = np.tile([[4.0, 0.0], [0.0, 4.0]], (3, 1))[None]
    layer = CapsuleInterests(2, 2, iterations=6, logit_scale=0.5)
    _, made_of = layer(inputs_of(vectors, np.ones((1, 6))))
    groups = made_of.numpy()[0].reshape(2, 3, 2).sum(axis=1)
    assert sorted(groups.argmax(axis=1)) == [0, 1]
    assert groups.max(axis=1).min() > 0.9


# ---------------------------------------------------------------------- attention


def test_attention_by_hand():
    layer = SelfAttentiveInterests(2, 2, units=1)
    history = inputs_of([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]], [[1.0, 0.5, 0.0]])
    layer(history)
    # hidden = tanh(first entry + position): tanh(1) for the latest item, tanh(0.5) for the other.
    positions = np.zeros((100, 2))
    positions[1, 0] = 0.5
    weights = {
        "hidden_kernel": [[1.0], [0.0]],
        "attention_kernel": [[0.0, 2.0]],
        "positions": positions,
        "strength_exponent": 2.0,
        "kernel": np.eye(2),
    }
    for name, value in weights.items():
        getattr(layer, name).assign(value)
    found, made_of = layer(history)
    # Without attention the strengths alone count, 1 and 1/4.
    np.testing.assert_allclose(made_of[0, 0], [0.8, 0.2, 0.0], rtol=1e-5)
    first = math.exp(2 * math.tanh(1.0))
    second = math.exp(2 * math.tanh(0.5)) / 4
    share = first / (first + second)
    np.testing.assert_allclose(made_of[0, 1], [share, 1 - share, 0.0], rtol=1e-5)
    np.testing.assert_allclose(found[0], [[0.8, 0.4], [share, 2 * (1 - share)]], rtol=1e-5)


# ---------------------------------------------------------------------- both


@every_extractor
def test_padding_changes_nothing_and_an_empty_history_gives_zeros(name):
    layer = trained(name)
    vectors, weights = some(3, 4, seed=7)
    expected, made_of = layer(inputs_of(vectors, weights))
    spoilt = np.pad(np.where(weights[..., None] > 0, vectors, 1e5), [(0, 0), (0, 2), (0, 0)])
    found, padded = layer(inputs_of(spoilt, np.pad(weights, [(0, 0), (0, 2)])))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(padded, np.pad(made_of, [(0, 0), (0, 0), (0, 2)]), rtol=1e-4, atol=1e-6)
    for steps in (0, 3):
        found, made_of = layer(inputs_of(np.ones((2, steps, 3)), np.zeros((2, steps))))
        assert found.numpy().tolist() == [[[0.0] * 4] * 2] * 2
        assert made_of.shape == (2, 2, steps)
        assert not made_of.numpy().any()


@every_extractor
def test_shares_are_of_what_is_there_and_sum_to_one(name):
    _, weights = history = some(4, 5, seed=3)
    _, made_of = trained(name)(inputs_of(*history))
    made_of = made_of.numpy()
    assert (made_of >= 0).all()
    assert (made_of.transpose(0, 2, 1)[weights == 0] == 0).all()
    np.testing.assert_allclose(
        made_of.sum(axis=2), np.repeat((weights > 0).any(axis=1)[:, None], 2, 1), rtol=1e-5
    )


@every_extractor
def test_what_is_further_back_than_max_steps_is_not_read(name):
    layer = type(interest_layer(name, 2, 4))(2, 4, max_steps=3)
    vectors, _ = some(2, 5)
    found, made_of = layer(inputs_of(vectors, np.ones((2, 5))))
    vectors[:, 3:] = 7
    again, _ = layer(inputs_of(vectors, np.ones((2, 5))))
    np.testing.assert_array_equal(found, again)
    assert made_of.shape == (2, 2, 5)
    assert not made_of[:, :, 3:].numpy().any()


@every_extractor
def test_works_in_a_graph_and_round_trips(name):
    layer = trained(name)
    spec = {"vectors": tf.TensorSpec([None, None, 3]), "weights": tf.TensorSpec([None, None])}
    graph = tf.function(lambda inputs: layer(inputs), input_signature=[spec])
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    again(inputs_of(*some(1, 2)))
    again.set_weights(layer.get_weights())
    for steps in (1, 4, 120):
        history = inputs_of(*some(2, steps, seed=steps))
        for one in (graph, again):
            for expected, found in zip(layer(history), one(history), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@every_extractor
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_the_full_one(name, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        layer = interest_layer(name, 2, 4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    history = inputs_of(*some(3, 4))
    assert layer(history)[0].dtype == policy.removeprefix("mixed_")
    exact = trained(name)
    layer.set_weights(exact.get_weights())
    for expected, found in zip(exact(history), layer(history), strict=True):
        np.testing.assert_allclose(tf.cast(found, tf.float32), expected, rtol=0.1, atol=0.05)


@every_extractor
def test_gradients_are_finite_and_none_reaches_padding(name):
    layer = trained(name)
    vectors, weights = some(6, 4)
    weights[0] = 0
    vectors = tf.constant(vectors, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found, _ = layer({"vectors": vectors, "weights": tf.constant(weights, tf.float32)})
        loss = tf.reduce_sum(found**2)
    to_vectors, *to_weights = tape.gradient(loss, [vectors, *layer.trainable_weights])
    assert (to_vectors.numpy()[weights == 0] == 0).all()
    assert (to_vectors.numpy()[weights > 0] != 0).any(axis=-1).all()
    for weight, gradient in zip(layer.trainable_weights, to_weights, strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all(), weight.name
        assert (gradient != 0).any(), weight.name


def test_an_extractor_is_found_by_its_name_or_is_the_layer_itself():
    layer = CapsuleInterests(3, 4)
    assert interest_layer(layer, 3, 4) is layer
    with pytest.raises(ValueError, match="one of capsules, attention, or a layer, got 'lda'"):
        interest_layer("lda", 3, 4)
    with pytest.raises(ValueError, match=r"a layer with 2 interests of 4 entries .* got 3 of 4"):
        interest_layer(layer, 2, 4)
    with pytest.raises(ValueError, match="interests: expected at least 1, got 0"):
        SelfAttentiveInterests(0, 4)
