"""Losses of several tasks in one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.descent import descend
from tfrec_div._keras import keras, tf
from tfrec_div.tasks.uncertainty import UncertaintyWeighting

KINDS = {"rating": "regression", "click": "classification"}


def test_the_sum_by_hand():
    layer = UncertaintyWeighting(KINDS)
    losses = {"rating": tf.constant(0.8), "click": tf.constant(0.3)}
    assert float(layer(losses)) == pytest.approx(0.4 + 0.3)
    layer.log_variances["rating"].assign(math.log(4))
    layer.log_variances["click"].assign(-1.0)
    expected = 0.8 / 4 / 2 + math.log(4) / 2 + 0.3 * math.e - 0.5
    assert float(layer(losses)) == pytest.approx(expected, rel=1e-6)


def test_a_regression_is_the_likelihood_of_a_normal_distribution():
    # Errors 1 and 3 at the variance 2.5: −ln N summed up is n (L / 2σ² + ln σ² / 2 + ln 2π / 2).
    layer = UncertaintyWeighting({"rating": "regression"})
    layer.log_variances["rating"].assign(math.log(2.5))
    mine = float(layer({"rating": tf.constant((1 + 9) / 2.0)}))
    density = [math.exp(-(e**2) / 5) / math.sqrt(2 * math.pi * 2.5) for e in (1, 3)]
    assert mine + math.log(2 * math.pi) / 2 == pytest.approx(-np.mean(np.log(density)), rel=1e-6)


def test_variances_learn_the_size_of_the_losses():
    layer = UncertaintyWeighting(KINDS)
    losses = {"rating": tf.constant(0.25), "click": tf.constant(3.0)}
    descend(lambda: layer(losses), layer.trainable_variables, steps=400, rate=0.1)
    assert float(layer.log_variances["rating"]) == pytest.approx(math.log(0.25), abs=1e-3)
    assert float(layer.log_variances["click"]) == pytest.approx(math.log(6.0), abs=1e-3)


def test_a_task_without_examples_neither_adds_nor_learns():
    layer = UncertaintyWeighting(KINDS)
    layer.log_variances["rating"].assign(0.6)
    with tf.GradientTape() as tape:
        total = layer(
            {"rating": tf.constant(0.0), "click": tf.constant(0.3)}, present={"rating": tf.constant(False)}
        )
    assert float(total) == pytest.approx(0.3)
    assert float(tape.gradient(total, layer.log_variances["rating"])) == 0.0


def test_variances_have_a_task_each_and_are_saved():
    layer = UncertaintyWeighting(KINDS)
    assert [w.name for w in layer.weights] == ["log_variance_rating:0", "log_variance_click:0"]
    layer.set_weights([np.float32(0.5), np.float32(-0.5)])
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again.set_weights(layer.get_weights())
    assert again.get_config() == layer.get_config()
    assert float(again.log_variances["click"]) == -0.5


def test_it_counts_in_single_precision():
    losses = {"rating": tf.constant(0.8, tf.float16), "click": tf.constant(0.3, tf.float16)}
    assert UncertaintyWeighting(KINDS)(losses).dtype == tf.float32


@pytest.mark.parametrize(
    ("kinds", "message"),
    [({}, "kinds: expected at least one task"), ({"a": "ranking"}, "for 'a', got 'ranking'")],
)
def test_kinds_are_checked(kinds, message):
    with pytest.raises(ValueError, match=message):
        UncertaintyWeighting(kinds)


def test_losses_of_other_tasks_are_refused():
    with pytest.raises(ValueError, match=r"losses: expected those of \['click', 'rating'\], got \['click'\]"):
        UncertaintyWeighting(KINDS)({"click": tf.constant(0.3)})
