from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.tasks.cross_entropy import cross_entropy


def test_loss_and_gradient_are_those_of_tensorflows_own(random):
    scores = tf.constant(random.normal(size=(50, 30)) * 8, tf.float32)
    out = random.random((50, 30)) < 0.3
    labels = tf.constant(random.integers(0, 30, 50), tf.int32)
    out[np.arange(50), labels.numpy()] = False
    scores = tf.where(out, -float("inf"), scores)
    weight = tf.constant(random.random(50), tf.float32)
    results = []
    for loss in (cross_entropy, tf.nn.sparse_softmax_cross_entropy_with_logits):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            values = loss(labels, scores)
            total = tf.reduce_sum(values * weight)
        results.append((values.numpy(), tape.gradient(total, scores).numpy()))
    (ours, our_gradient), (theirs, their_gradient) = results
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(our_gradient, their_gradient, atol=1e-6)


def test_a_target_that_is_next_to_impossible_costs_its_distance():
    scores = tf.constant([[0.0, 500.0, -1000.0]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = cross_entropy(tf.constant([2]), scores)
    assert loss.numpy().tolist() == [1500.0]
    assert tape.gradient(loss, scores).numpy().tolist() == [[0.0, 1.0, -1.0]]


def test_rows_may_be_none_at_all():
    loss = tf.function(cross_entropy, reduce_retracing=True)
    assert loss(tf.zeros([0], tf.int32), tf.zeros([0, 3])).shape == (0,)


def test_labels_of_either_width():
    scores = tf.constant([[0.0, 1.0]])
    narrow, wide = (cross_entropy(tf.constant([1], kind), scores) for kind in (tf.int32, tf.int64))
    assert float(narrow[0]) == float(wide[0]) == pytest.approx(0.3132617, rel=1e-5)
