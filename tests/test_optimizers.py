from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.optimizers import FallingRate, LazyAdam


def sparse(rows, values):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), [4, 1])


def test_dense_steps_are_those_of_keras_adam(random):
    ours, theirs = tf.Variable(random.normal(size=(3, 2))), None
    theirs = tf.Variable(ours)
    a, b = LazyAdam(0.1), keras.optimizers.legacy.Adam(0.1)
    for _ in range(5):
        gradient = tf.constant(random.normal(size=(3, 2)))
        a.apply_gradients([(gradient, ours)])
        b.apply_gradients([(gradient, theirs)])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_sparse_step_leaves_other_rows_and_their_moments_alone():
    table = tf.Variable([[1.0], [2.0], [3.0], [4.0]])
    optimizer = LazyAdam(0.1)
    optimizer.apply_gradients([(sparse([0, 2], [[1.0], [-1.0]]), table)])
    np.testing.assert_allclose(table, [[0.9], [2.0], [3.1], [4.0]], atol=1e-6)
    optimizer.apply_gradients([(sparse([3], [[5.0]]), table)])
    # Adam would have moved rows 0 and 2 again by their momentum.
    np.testing.assert_allclose(table[:3], [[0.9], [2.0], [3.1]], atol=1e-6)
    np.testing.assert_allclose(optimizer.get_slot(table, "m"), [[0.1], [0.0], [-0.1], [0.5]], rtol=1e-6)


def test_a_row_that_occurs_twice_gets_the_sum_of_its_gradients():
    once, twice = tf.Variable(tf.zeros([4, 1])), tf.Variable(tf.zeros([4, 1]))
    for table, gradient in ((once, sparse([1], [[3.0]])), (twice, sparse([1, 1], [[1.0], [2.0]]))):
        optimizer = LazyAdam(0.1)
        optimizer.apply_gradients([(gradient, table)])
        assert optimizer.get_slot(table, "m").numpy()[1, 0] == pytest.approx(0.3)
    np.testing.assert_allclose(once, twice)


def test_weight_decay_shrinks_matrices_by_rate_times_decay_and_spares_vectors():
    matrix, bias = tf.Variable([[1.0], [1.0]]), tf.Variable([1.0])
    LazyAdam(0.1, weight_decay=0.5).apply_gradients([(tf.zeros([2, 1]), matrix), (tf.zeros([1]), bias)])
    np.testing.assert_allclose(matrix, [[0.95], [0.95]])
    np.testing.assert_allclose(bias, [1.0])
    table = tf.Variable(tf.ones([4, 1]))
    LazyAdam(0.1, weight_decay=0.5).apply_gradients([(sparse([1], [[0.0]]), table)])
    np.testing.assert_allclose(table, [[1.0], [0.95], [1.0], [1.0]])


def test_config_round_trips():
    optimizer = LazyAdam(FallingRate(0.1, 10, 3), weight_decay=0.2, beta_1=0.8, beta_2=0.95, epsilon=1e-5)
    again = LazyAdam.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.weight_decay == 0.2
    assert float(again.learning_rate(8)) == pytest.approx(0.05)


def test_rate_falls_from_its_start_to_zero():
    rate = FallingRate(2.0, steps=4, start=10)
    assert [round(float(rate(s)), 4) for s in (0, 10, 11, 12, 14, 99)] == [2.0, 2.0, 1.7071, 1.0, 0.0, 0.0]


def test_a_variable_may_have_a_rate_of_its_own():
    slow, fast, rows = (tf.Variable([[1.0], [1.0]], name=name) for name in ("slow", "fast", "rows"))
    optimizer = LazyAdam(0.1, rates={slow.name: 0.01, rows.name: 0.5})
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(slow + fast) + tf.reduce_sum(tf.gather(rows, [1]))
    variables = [slow, fast, rows]
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    # The first step of Adam is the rate, whatever the gradient.
    np.testing.assert_allclose(slow, [[0.999], [0.999]], atol=1e-6)
    np.testing.assert_allclose(fast, [[0.9], [0.9]], atol=1e-6)
    np.testing.assert_allclose(rows, [[1.0], [0.95]], atol=1e-6)
    assert LazyAdam.from_config(optimizer.get_config()).rates == optimizer.rates
