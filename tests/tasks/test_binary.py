"""Claims about the loss of a yes or no for every item."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.binary import BinaryOverItems


def loss_of(scores, targets, rows=None, known=None, weight=None):
    """The loss where the items' vectors are unit vectors, so that queries are scores."""
    scores = tf.constant(scores, tf.float32)
    items = tf.eye(scores.shape[1])
    rows = tf.range(scores.shape[1]) if rows is None else tf.constant(rows, tf.int32)
    arguments = (
        scores,
        tf.gather(items, targets),
        tf.constant(targets, tf.int32),
        tf.gather(items, rows),
        rows,
    )
    return float(BinaryOverItems(scores.shape[1])(*arguments, known=known, sample_weight=weight))


def test_by_hand():
    # Odds of 3, 1 and 1/3: yes for the first, no for the others.
    scores = [[math.log(3), 0.0, math.log(1 / 3)]]
    assert loss_of(scores, [0]) == pytest.approx(-math.log(3 / 4 * 1 / 2 * 3 / 4), rel=1e-5)
    # What is known is neither; padding is nothing, and the target is a yes even if it is known.
    known = tf.constant([[1, 0, -1]])
    assert loss_of(scores, [0], known=known) == pytest.approx(-math.log(3 / 4 * 3 / 4), rel=1e-5)


def test_it_is_the_weighted_mean_of_keras_own():
    random = np.random.default_rng(0)
    scores, targets = random.normal(0, 2, (5, 9)), random.integers(0, 9, 5)
    weight = random.uniform(0.1, 1, 5).astype(np.float32)
    own = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
    each = 9 * own(np.eye(9)[targets], scores).numpy()
    found = loss_of(scores, targets, weight=tf.constant(weight))
    assert found == pytest.approx(float(np.mean(each * weight)), rel=1e-5)


def test_a_sample_stands_for_all_items():
    # All scores the same: nine candidates of which one is the target stand for the other eight of nine.
    assert loss_of(np.zeros([1, 9]), [4], rows=list(range(9))) == pytest.approx(9 * math.log(2), rel=1e-5)
    assert loss_of(np.zeros([1, 9]), [4], rows=[0, 1, 2]) == pytest.approx(10 * math.log(2), rel=1e-5)
    # In the mean over draws it is the whole: 8 misses in 9 draws, each for 9 / n items.
    random = np.random.default_rng(0)
    scores = random.normal(0, 1, (1, 9))
    drawn = [loss_of(scores, [4], rows=random.integers(0, 9, 5).tolist()) for _ in range(400)]
    error = np.std(drawn) / math.sqrt(400)
    assert np.mean(drawn) == pytest.approx(loss_of(scores, [4]), abs=3.5 * error)
    assert error < 0.15


def test_scores_may_be_of_any_size():
    assert loss_of([[1e4, -1e4, -1e9]], [0]) == 0.0
    assert loss_of([[-1e4, -1e9]], [0]) == pytest.approx(1e4)
