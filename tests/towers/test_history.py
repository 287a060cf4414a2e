from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.towers.history import GRUHistoryEncoder, PooledHistoryEncoder, SelfAttentionHistoryEncoder
from tfrec_div.towers.interests import SelfAttentiveInterests


def encode(encoder, vectors, weights):
    return encoder(
        {"vectors": tf.constant(vectors, tf.float32), "weights": tf.constant(weights, tf.float32)}
    ).numpy()


@pytest.fixture
def one_pool():
    """An encoder with a pool of half life 1 and the pool that never forgets; the first counts 1, the other 10."""
    encoder = PooledHistoryEncoder(1, half_lives=[1.0])
    encode(encoder, [[[1.0]]], [[1.0]])
    encoder.kernel.assign([[[1.0]], [[10.0]]])
    return encoder


def test_pools_by_hand(one_pool):
    # Weights 1 and 1/2 in the forgetting pool, 1 and 1 in the other.
    forgetting = (1 * 4 + 0.5 * 6) / math.sqrt(1.5)
    lasting = (4 + 6) / math.sqrt(2)
    found = encode(one_pool, [[[4.0], [6.0]]], [[1.0, 1.0]])
    assert found[0, 0] == pytest.approx(forgetting + 10 * lasting, rel=1e-5)


def test_strength_weighs_and_its_exponent_is_learned(one_pool):
    one_pool.strength_exponent.assign(2.0)
    lasting = (4 + 0.25 * 6) / math.sqrt(1.25)
    forgetting = (4 + 0.125 * 6) / math.sqrt(1.125)
    found = encode(one_pool, [[[4.0], [6.0]]], [[1.0, 0.5]])
    assert found[0, 0] == pytest.approx(forgetting + 10 * lasting, rel=1e-5)


def test_padding_changes_nothing_and_an_empty_history_is_zero(one_pool):
    short = encode(one_pool, [[[4.0]]], [[1.0]])
    padded = encode(one_pool, [[[4.0], [99.0]], [[99.0], [99.0]]], [[1.0, 0.0], [0.0, 0.0]])
    assert padded[0, 0] == pytest.approx(short[0, 0])
    assert padded[1, 0] == 0


def test_gradients_are_finite_with_padding():
    encoder = PooledHistoryEncoder(3)
    inputs = {"vectors": tf.ones([2, 4, 5]), "weights": tf.constant([[1.0, 0.2, 0, 0], [0.0] * 4])}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(inputs))
    for gradient in tape.gradient(loss, encoder.trainable_variables):
        assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PooledHistoryEncoder(4, half_lives=(0,)), "half_lives: expected above 0, got 0"),
        (lambda: PooledHistoryEncoder(4, half_lives=(2.0, -1.0)), "half_lives: expected above 0, got -1.0"),
        (lambda: GRUHistoryEncoder(4, units=0), "units: expected at least 1, got 0"),
        (lambda: SelfAttentiveInterests(2, 4, units=0), "units: expected at least 1, got 0"),
        (lambda: SelfAttentionHistoryEncoder(4, num_heads=0), "num_heads: expected at least 1, got 0"),
    ],
)
def test_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_heads_that_do_not_divide_the_vectors_are_refused_in_plain_words():
    encoder = SelfAttentionHistoryEncoder(4, num_heads=3)
    with pytest.raises(ValueError, match=r"^num_heads: expected a divisor of .* length 8, got 3$"):
        encode(encoder, np.ones([1, 2, 8]), np.ones([1, 2]))
