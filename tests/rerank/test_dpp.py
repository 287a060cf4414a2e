"""Greedy determinantal point process: brute force, pyversity, and what happens when the rank runs out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.rerank import DPP, diversify

pyversity = pytest.importorskip("pyversity")


def greedy_determinant(scores: np.ndarray, vectors: np.ndarray, k: int, level: float) -> list[int]:
    """The definition: every pick maximises the determinant of the kernel of the picks, in float64."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.exp((1 - level) * (scores - scores.mean()) / scores.std())
    kernel = weights[:, None] * (unit @ unit.T) * weights[None]
    picks: list[int] = []
    for _ in range(k):
        rest = [n for n in range(len(scores)) if n not in picks]
        picks.append(max(rest, key=lambda n: np.linalg.det(kernel[np.ix_([*picks, n], [*picks, n])])))
    return picks


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("level", [0.1, 0.6, 1.0])
def test_is_the_greedy_determinant(seed, level):
    rng = np.random.default_rng(seed)
    scores, vectors = rng.normal(size=15), rng.normal(size=(15, 8))
    if level == 1.0:
        vectors[:, 0] += 1.0
    picks = diversify(scores, vectors, k=5, diversity=level, method="dpp").tolist()
    if level == 1.0:  # without relevance all first picks are equal: any start is greedy
        assert picks == greedy_from(vectors, picks[0], 5)
    else:
        assert picks == greedy_determinant(scores, vectors, 5, level)


def greedy_from(vectors: np.ndarray, first: int, k: int) -> list[int]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel, picks = unit @ unit.T, [first]
    while len(picks) < k:
        rest = [n for n in range(len(unit)) if n not in picks]
        picks.append(max(rest, key=lambda n: np.linalg.det(kernel[np.ix_([*picks, n], [*picks, n])])))
    return picks


@given(
    seed=st.integers(0, 2**32 - 1),
    candidates=st.integers(1, 50),
    k=st.integers(1, 12),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9]),
    positive=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_picks_of_pyversity(seed, candidates, k, level, positive):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=candidates).astype(np.float32)
    vectors = (rng.normal(size=(candidates, 24)) + positive).astype(np.float32)
    expected = pyversity.dpp(vectors, scores, k, level).indices
    got = diversify(scores, vectors, k=12, diversity=level, method="dpp", score_normalization="none")[:k]
    np.testing.assert_array_equal(got[: len(expected)], expected)
    assert (got[len(expected) :] == -1).all()


def test_scale_weighs_relevance_as_in_pyversity():
    rng = np.random.default_rng(5)
    scores, vectors = rng.normal(size=40).astype(np.float32), rng.normal(size=(40, 16)).astype(np.float32)
    for scale in (0.0, 0.5, 3.0):
        got = diversify(scores, vectors, k=8, diversity=0.2, method="dpp", scale=scale)
        expected = pyversity.dpp(vectors, scores, 8, 0.2, scale=scale).indices
        np.testing.assert_array_equal(got[1:], expected[1:])


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("k", [12, 40])  # unrolled, and as a loop
def test_beyond_the_rank_the_order_of_the_scores_takes_over(rank, k):
    rng = np.random.default_rng(rank)
    scores = rng.normal(size=45).astype(np.float32)
    vectors = (rng.normal(size=(45, rank)) @ rng.normal(size=(rank, 32))).astype(np.float32)
    picks = diversify(scores, vectors, k=k, diversity=0.4, method="dpp").tolist()
    rest = [n for n in np.argsort(-scores, kind="stable").tolist() if n not in picks[:rank]]
    assert picks[rank:] == rest[: k - rank]
    assert picks[:rank] == pyversity.dpp(vectors, scores, rank, 0.4).indices.tolist()


def test_an_outlier_among_many_candidates_does_not_overflow():
    scores = np.zeros(20_000, np.float32)
    scores[7] = 1.0  # 141 standard deviations: exp(282) is no float32
    vectors = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    picks = diversify(scores, vectors, k=3, diversity=0.1, method="dpp")
    assert picks[0] == 7
    assert len(set(picks.tolist())) == 3


def test_scale_is_kept_in_the_config_and_checked():
    assert DPP(scale=2.0).get_config()["scale"] == 2.0
    with pytest.raises(ValueError, match="scale must be at least 0 and finite; received -1"):
        DPP(scale=-1.0)
