from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import tf, tfrs
from tfrec_div.tasks.masking import mask_rows
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax

QUERIES = tf.constant([[1.0, 0.0], [0.0, 2.0]])
ITEMS = tf.constant([[1.0, 1.0], [0.5, 3.0]])


def test_in_batch_loss_is_the_mean_of_the_rows_by_hand():
    # Scores: row 0: 1 and 0.5; row 1: 2 and 6.
    rows = math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(-4.0))
    loss = InBatchSoftmax()(QUERIES, ITEMS, item_ids=tf.constant([1, 2]))
    assert float(loss) == pytest.approx(sum(rows) / 2, rel=1e-5)


def test_plain_tfrs_returns_a_sum_where_this_task_returns_a_mean():
    ids = tf.constant([1, 2])
    plain = tfrs.tasks.Retrieval()(QUERIES, ITEMS, candidate_ids=ids, compute_metrics=False)
    assert float(plain) == pytest.approx(2 * float(InBatchSoftmax()(QUERIES, ITEMS, item_ids=ids)))


def test_log_q_lifts_rare_items():
    # Item probabilities 0.5 and 0.125: scores become s − ln q.
    def row(own, other):
        return math.log(1 + math.exp(other - own))

    first = row(1 - math.log(0.5), 0.5 - math.log(0.125))
    second = row(6 - math.log(0.125), 2 - math.log(0.5))
    loss = InBatchSoftmax()(
        QUERIES, ITEMS, item_ids=tf.constant([1, 2]), item_probability=tf.constant([0.5, 0.125])
    )
    assert float(loss) == pytest.approx((first + second) / 2, rel=1e-4)


def test_an_item_that_equals_the_target_is_no_negative():
    loss = InBatchSoftmax()(QUERIES, ITEMS, item_ids=tf.constant([7, 7]))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_temperature_divides_and_weights_multiply():
    loss = InBatchSoftmax(temperature=0.5)(
        QUERIES, ITEMS, item_ids=tf.constant([1, 2]), sample_weight=tf.constant([3.0, 0.0])
    )
    assert float(loss) == pytest.approx(3 * math.log(1 + math.exp(-1.0)) / 2, rel=1e-5)


def test_full_softmax_by_hand_with_known_items_masked():
    catalogue = tf.constant([[1.0], [2.0], [3.0]])
    query = tf.constant([[1.0]])
    free = FullSoftmax()(query, catalogue, tf.constant([0]))
    assert float(free) == pytest.approx(math.log(1 + math.e + math.e**2), rel=1e-6)
    masked = FullSoftmax()(query, catalogue, tf.constant([0]), known=tf.constant([[2, -1]]))
    assert float(masked) == pytest.approx(math.log(1 + math.e), rel=1e-6)
    # A target that stands in the history as well (bought again) is not masked away.
    repeated = FullSoftmax()(query, catalogue, tf.constant([0]), known=tf.constant([[0, 2]]))
    assert float(repeated) == pytest.approx(math.log(1 + math.e), rel=1e-6)


def test_gradients_are_finite_where_items_are_masked():
    catalogue = tf.Variable([[1.0], [2.0], [3.0]])
    with tf.GradientTape() as tape:
        loss = FullSoftmax()(tf.ones([1, 1]), catalogue, tf.constant([0]), known=tf.constant([[1, 2]]))
    gradient = tf.convert_to_tensor(tape.gradient(loss, catalogue))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)


def test_masking_passes_over_padding_and_keeps_the_rest(random):
    scores = random.normal(size=(2, 4)).astype(np.float32)
    masked = mask_rows(tf.constant(scores), tf.constant([[-1, 3], [0, -1]])).numpy()
    assert np.isneginf(masked[0, 3])
    assert np.isneginf(masked[1, 0])
    assert np.isfinite(masked).sum() == 6
    np.testing.assert_array_equal(masked[0, :3], scores[0, :3])
