"""Experts that tasks share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.descent import descend
from tfrec_div._keras import keras, tf
from tfrec_div.towers.experts import MixtureOfExperts


def set_by_name(layer, **values):
    for name, value in values.items():
        (weight,) = [w for w in layer.weights if w.name.endswith(f"{name}:0")]
        weight.assign(value)


def by_hand():
    """Two experts on two numbers: ReLU(x₁ − x₂) and ReLU(2 x₂ + 1); "a" has them 3 to 1 at x₁ = 1, "b" always alike."""
    layer = MixtureOfExperts(("a", "b"), units=1, num_experts=2)
    layer.build((None, 2))
    set_by_name(
        layer,
        kernel_0=[[[1.0], [-1.0]], [[0.0], [2.0]]],
        bias_0=[[0.0], [1.0]],
        gate_kernel=[[[math.log(3), 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]],
    )
    return layer


def test_two_experts_by_hand():
    found = by_hand()(tf.constant([[1.0, 0.5], [1.0, -2.0]]))
    # Experts: 0.5 and 2; 3 and 0 (ReLU of −3).
    np.testing.assert_allclose(found["a"], [[0.75 * 0.5 + 0.25 * 2], [0.75 * 3]], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [[1.25], [1.5]], rtol=1e-6)


def test_gates_are_told():
    gates = by_hand().expert_weights(tf.constant([[1.0, 0.5], [-1.0, 0.5]]))
    np.testing.assert_allclose(gates["a"], [[0.75, 0.25], [0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(gates["b"], [[0.5, 0.5], [0.5, 0.5]], rtol=1e-6)


def test_hidden_layers_are_those_of_each_expert(random):
    layer = MixtureOfExperts(["x"], units=3, num_experts=2, hidden_units=[4], activation="tanh")
    inputs = random.normal(size=(5, 2)).astype(np.float32)
    layer(inputs)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    first, first_bias, second, second_bias, gate = layer.get_weights()
    expected = np.zeros((5, 3))
    shares = np.exp(inputs @ gate[0])
    shares /= shares.sum(axis=1, keepdims=True)
    for expert in range(2):
        hidden = np.tanh(inputs @ first[expert] + first_bias[expert])
        expected += shares[:, [expert]] * np.tanh(hidden @ second[expert] + second_bias[expert])
    np.testing.assert_allclose(layer(inputs)["x"], expected, rtol=1e-4, atol=1e-5)


def test_any_number_of_axes_before_the_last():
    layer = by_hand()
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    flat = layer(inputs.reshape(12, 2))["a"].numpy().reshape(3, 4, 1)
    np.testing.assert_allclose(layer(inputs)["a"], flat, rtol=1e-6)
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 2])])
    np.testing.assert_allclose(graph(inputs)["a"], flat, rtol=1e-6)


def test_experts_start_apart_and_gates_equal():
    layer = MixtureOfExperts(("a", "b"), units=16, num_experts=3)
    outputs = layer(np.ones((1, 8), np.float32))
    np.testing.assert_array_equal(outputs["a"], outputs["b"])
    kernel = layer.get_weights()[0]
    # Glorot's bound of one expert: sqrt(6 / (8 + 16)) = .5, whatever the number of experts.
    assert 0.45 < np.abs(kernel).max() <= 0.5
    assert np.abs(kernel[0] - kernel[1]).max() > 0.1


def test_tasks_of_opposite_wishes_come_to_use_different_experts():
    """a = x, b = −x of one expert each is more than one shared expert can say."""
    keras.utils.set_random_seed(0)
    layer = MixtureOfExperts(("a", "b"), units=1, num_experts=4, activation="linear")
    inputs = tf.constant(np.c_[np.linspace(-1, 1, 64), np.ones(64)], tf.float32)
    layer(inputs)

    def loss():
        found = layer(inputs)
        return tf.reduce_mean((found["a"] - inputs[:, :1]) ** 2 + (found["b"] + inputs[:, :1]) ** 2)

    assert descend(loss, layer.trainable_variables, steps=300, rate=0.05) < 0.01
    gates = layer.expert_weights(inputs)
    assert np.abs(gates["a"] - gates["b"]).max() > 0.3


def test_half_precision_and_config():
    layer = MixtureOfExperts(["a"], 3, num_experts=2, hidden_units=(4,), dtype="mixed_bfloat16")
    found = layer(tf.ones([2, 5]))
    assert found["a"].dtype == tf.bfloat16
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    again(tf.ones([2, 5]))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        tf.cast(again(tf.ones([2, 5]))["a"], tf.float32), tf.cast(found["a"], tf.float32)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": ()}, "tasks: expected different names"),
        ({"tasks": "click"}, "tasks: expected different names, at least one, got 'click'"),
        ({"tasks": ("a", "a")}, "tasks: expected different names"),
        ({"num_experts": 0}, "num_experts: expected at least 1, got 0"),
        ({"units": 0}, "units: expected at least 1, got .0."),
        ({"hidden_units": (3, 0)}, "units: expected at least 1, got .3, 0, 2."),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MixtureOfExperts(**{"tasks": ("a", "b"), "units": 2, **arguments})
