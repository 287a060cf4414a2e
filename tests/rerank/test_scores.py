"""Scores on a common scale."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.rerank import normalize_scores

SCORES = tf.constant([[4.0, 0.0, 8.0, 4.0, 1000.0]])
VALID = tf.constant([[True, True, True, True, False]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("none", [4.0, 0.0, 8.0, 4.0, 0.0]),
        ("minmax", [0.5, 0.0, 1.0, 0.5, 0.0]),
        # mean 4, population variance (0 + 16 + 16 + 0) / 4 = 8
        ("zscore", [0.0, -4 / 8**0.5, 4 / 8**0.5, 0.0, 0.0]),
        # one candidate is better than the fours, three are better than the zero
        ("rank", [2 / 3, 0.0, 1.0, 2 / 3, 0.0]),
    ],
)
def test_values_by_hand(method, expected):
    np.testing.assert_allclose(normalize_scores(SCORES, VALID, method).numpy()[0], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["minmax", "zscore", "rank"])
@pytest.mark.parametrize("factor", [1e-37, 1e-10, 1e30])
def test_scale_is_removed_whatever_it_is(method, factor):
    scaled = normalize_scores(SCORES * factor, VALID, method)
    np.testing.assert_allclose(scaled, normalize_scores(SCORES, VALID, method), atol=1e-5)


@pytest.mark.parametrize("method", ["none", "minmax", "zscore", "rank"])
@pytest.mark.parametrize(
    "scores",
    [[3.0, 3.0, 3.0], [np.inf, 1.0, 2.0], [3e38, -3e38, 0.0], [1e-45, 0.0, 0.0], [np.nan, -np.inf, 5.0]],
)
def test_always_finite(method, scores):
    scores = tf.constant([scores], tf.float32)
    assert np.isfinite(normalize_scores(scores, scores > float("-inf"), method)).all()


def test_no_valid_candidate_gives_zeros():
    for method in ("none", "minmax", "zscore", "rank"):
        assert normalize_scores(SCORES, tf.zeros_like(VALID), method).numpy().tolist() == [[0.0] * 5]


def test_unknown_method_lists_the_known():
    with pytest.raises(ValueError, match="none, minmax, zscore, rank; received 'softmax'"):
        normalize_scores(SCORES, VALID, "softmax")
