"""Maximal marginal relevance: by hand, and against pyversity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.rerank import MMR, diversify

pyversity = pytest.importorskip("pyversity")


def test_picks_by_hand():
    # Cosines to candidate 0: .8 (1), 0 (2), -1 (3).
    vectors = [[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]]]
    layer = MMR(k=4, diversity=0.5, score_normalization="none")
    # After 0: .45-.4=.05, .2-0=.2, .1-0=.1 (an opposite vector is no better than an orthogonal one) -> 2.
    # After 2: candidate 1 has max(.8, .6)=.8 -> .05, candidate 3 has max(-1, 0, 0)=0 -> .1 -> 3.
    assert layer({"scores": [[1.0, 0.9, 0.4, 0.2]], "vectors": vectors}).numpy().tolist() == [[0, 2, 3, 1]]


def test_at_level_one_only_the_first_pick_depends_on_the_scores():
    vectors = np.eye(3)[np.newaxis]
    picks = MMR(k=3, diversity=1.0)({"scores": [[0.1, 0.2, 0.9]], "vectors": vectors}).numpy()
    assert picks.tolist() == [[2, 0, 1]]


@given(
    seed=st.integers(0, 2**32 - 1),
    candidates=st.integers(1, 50),
    dim=st.integers(2, 24),  # with one dimension all similarities are 0 or 1: ties decided by rounding
    k=st.integers(1, 12),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]),
    positive=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_picks_of_pyversity(seed, candidates, dim, k, level, positive):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=candidates).astype(np.float32)
    vectors = (rng.normal(size=(candidates, dim)) + positive).astype(np.float32)
    expected = pyversity.mmr(vectors, scores, k, level).indices
    got = diversify(scores, vectors, k=12, diversity=level, method="mmr", score_normalization="none")[:k]
    np.testing.assert_array_equal(got[: len(expected)], expected)
    assert (got[len(expected) :] == -1).all()


def test_more_diversity_spreads_the_list():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(200, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors[:, 0]  # the best scores are all alike
    spread = []
    for level in (0.0, 0.3, 0.6, 0.9):
        rows = vectors[diversify(scores, vectors, k=10, diversity=level)]
        spread.append(1 - ((rows @ rows.T).sum() - 10) / 90)
    assert spread == sorted(spread)
    assert spread[-1] > spread[0] + 0.3


def test_nested_lists_may_mix_whole_numbers_and_fractions():
    inputs = {"scores": [[0.9, 1, 0]], "vectors": [[[1, 0.5], [1, 0], [0, 1]]]}
    expected = diversify(np.array([0.9, 1.0, 0.0]), np.array([[1, 0.5], [1, 0], [0, 1]]), k=3)
    assert MMR(k=3)(inputs).numpy().tolist() == [expected.tolist()]
