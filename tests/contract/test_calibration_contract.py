"""What every calibration of logits must satisfy, whatever its method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.metrics import expected_calibration_error, log_loss
from tfrec_div.tasks.calibration import CALIBRATIONS, IsotonicCalibration, make_calibration

every_calibration = pytest.mark.parametrize("name", sorted(CALIBRATIONS))


def overconfident(seed: int, n: int, scale: float = 0.4, shift: float = 0.0):
    """Logits that are 1 / scale times as large as what comes of them says."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, n)
    return logits, (rng.random(n) < 1 / (1 + np.exp(-(scale * logits + shift)))).astype(float)


@every_calibration
def test_before_fit_it_is_the_sigmoid(name):
    logits = np.array([-30.0, -1.0, 0.0, 0.5, 1.0, 8.0, 1e4], np.float32)
    np.testing.assert_allclose(
        make_calibration(name)(logits), 1 / (1 + np.exp(-logits.astype(float))), rtol=1e-5
    )


@every_calibration
def test_probabilities_come_to_hold_on_new_examples(name):
    layer = make_calibration(name)
    layer.fit(*overconfident(0, 20_000))
    logits, labels = overconfident(1, 20_000)
    before, after = (np.asarray(f(tf.constant(logits))).astype(float) for f in (tf.sigmoid, layer))
    assert expected_calibration_error(before, labels) > 0.1
    assert expected_calibration_error(after, labels) < 0.02
    truth = 1 / (1 + np.exp(-0.4 * logits))
    assert log_loss(after, labels) < log_loss(truth, labels) + 0.003


@every_calibration
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), share=st.sampled_from([0.0, 0.03, 0.5, 1.0]))
def test_order_stays_and_probabilities_are_possible(name, seed, n, share):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n).round(1)
    layer = make_calibration(name).fit(logits, rng.random(n) < share, rng.uniform(0, 2, n) + 1e-3)
    new = np.sort(np.r_[rng.normal(0, 4, 50), logits, -1e6, 1e6]).astype(np.float32)
    found = layer(new).numpy()
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (np.diff(found) >= -1e-6).all()


@every_calibration
def test_candidates_of_different_logits_keep_different_places(name):
    layer = make_calibration(name).fit(*overconfident(2, 3000))
    found = layer(np.linspace(-8, 8, 400, dtype=np.float32)).numpy()
    assert (np.diff(found) > 0).all()


@every_calibration
def test_a_weight_of_two_is_an_example_twice(name):
    logits, labels = overconfident(3, 300)
    logits = logits.round()  # many are equal
    weights = np.random.default_rng(0).integers(0, 3, 300)
    weighted = make_calibration(name).fit(logits, labels, weights)
    repeated = make_calibration(name).fit(np.repeat(logits, weights), np.repeat(labels, weights))
    new = np.linspace(-6, 6, 50, dtype=np.float32)
    np.testing.assert_allclose(weighted(new), repeated(new), rtol=1e-4)


@every_calibration
def test_a_label_between_is_a_part_of_each(name):
    logits = np.array([-2.0, -1.0, 1.0, 2.0])
    shares = np.array([0.1, 0.3, 0.6, 0.9])
    mixed = make_calibration(name).fit(logits, shares, np.full(4, 10.0))
    counted = make_calibration(name).fit(
        np.repeat(logits, 10),
        (np.arange(10) < np.repeat(shares * 10, 1)[:, None] - 1e-9).ravel().astype(float),
    )
    # Platt's targets are those of whole examples: a part of each differs by that little.
    np.testing.assert_allclose(mixed(logits), counted(logits), rtol=0.03)


@every_calibration
def test_what_was_learned_is_saved_and_keeps_the_shape_of_the_input(name, tmp_path):
    inputs = keras.Input([None], name="logits")
    layer = make_calibration(name).fit(*overconfident(4, 500))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    logits = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    expected = layer(logits)
    assert expected.shape == (3, 5)
    np.testing.assert_array_equal(again(logits), expected)
    fresh = keras.layers.deserialize(keras.layers.serialize(layer))
    fresh.set_weights(layer.get_weights())
    np.testing.assert_array_equal(fresh(logits), expected)
    assert layer.trainable_variables == []
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None], tf.float16)])
    assert graph(tf.cast(logits, tf.float16)).dtype == tf.float32


@every_calibration
def test_logits_that_single_precision_cannot_tell_apart_are_no_error(name):
    layer = make_calibration(name).fit(np.array([1000.0, 1000.00001, 1000.00002]), np.array([0, 1, 1]))
    assert np.isfinite(layer(np.array([0.0, 999.0, 1000.0, 1001.0, 1e6]))).all()


@every_calibration
def test_a_second_fit_forgets_the_first(name):
    layer = make_calibration(name).fit(*overconfident(5, 2000, scale=2.0))
    layer.fit(*overconfident(6, 2000))
    new = np.linspace(-5, 5, 20, dtype=np.float32)
    np.testing.assert_array_equal(layer(new), make_calibration(name).fit(*overconfident(6, 2000))(new))


@every_calibration
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([0.1, 0.2], [1]),
            r"logits, labels and weights: expected one axis of the same length, got \[2\], \[1\]",
        ),
        (([[0.1]], [[1]]), "expected one axis"),
        (([np.nan], [1]), "logits: expected finite numbers, got nan"),
        (([0.1], [2]), "labels: expected 0 to 1, got 2.0"),
        (([0.1], [np.nan]), "labels: expected 0 to 1, got nan"),
        (([0.1], [1], [0.0]), "weights: expected at least 0"),
        (([], []), "weights: expected at least 0, and one above, got others or no example"),
    ],
)
def test_examples_are_checked(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_calibration(name).fit(*arguments)


def test_a_calibration_is_made_by_name():
    layer = IsotonicCalibration(8)
    assert make_calibration(layer) is layer
    with pytest.raises(
        ValueError, match=r"calibration: expected one of temperature, platt, isotonic, .* got 'beta'"
    ):
        make_calibration("beta")
