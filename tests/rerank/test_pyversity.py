"""The same picks as pyversity 0.2.0, over random lists and all of its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.rerank import METHODS, Cosine, diversify

pyversity = pytest.importorskip("pyversity")

# The definitions of the kernels there: metric, normalize.
KERNELS = {
    "cosine": {"metric": "cosine", "normalize": True},
    "dot": {"metric": "dot", "normalize": True},
    Cosine(normalize=False): {"metric": "cosine", "normalize": False},
}
cases = given(
    seed=st.integers(0, 2**32 - 1),
    candidates=st.integers(2, 50),
    dim=st.integers(2, 24),  # with one dimension all similarities are 0 or 1: ties decided by rounding
    k=st.integers(1, 12),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]),
    positive=st.booleans(),
)


def random_list(seed: int, candidates: int, dim: int, positive: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=candidates).astype(np.float32)
    return scores, (rng.normal(size=(candidates, dim)) + positive).astype(np.float32)


def ours(method, scores, vectors, k, level, **options):
    """A list of 12, cut: one graph for all k."""
    context = options.pop("context", None)
    return diversify(scores, vectors, 12, level, method, "none", context=context, **options)[
        : min(k, len(scores))
    ]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("method", ["mmr", "msd"])
@cases
@settings(max_examples=150, deadline=None, derandomize=True)
def test_marginal_relevance_and_sum_of_distances(method, kernel, seed, candidates, dim, k, level, positive):
    scores, vectors = random_list(seed, candidates, dim, positive)
    options = dict(KERNELS[kernel])
    metric = pyversity.Metric(options.pop("metric"))
    expected = getattr(pyversity, method)(vectors, scores, k, level, metric=metric, **options).indices
    np.testing.assert_array_equal(ours(method, scores, vectors, k, level, kernel=kernel), expected)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@cases
@settings(max_examples=60, deadline=None, derandomize=True)
def test_coverage(kernel, gamma, seed, candidates, dim, k, level, positive):
    scores, vectors = random_list(seed, candidates, dim, positive)
    options = dict(KERNELS[kernel])
    metric = pyversity.Metric(options.pop("metric"))
    expected = pyversity.cover(vectors, scores, k, level, gamma=gamma, metric=metric, **options).indices
    got = ours("cover", scores, vectors, k, level, kernel=kernel, gamma=gamma)
    different = np.flatnonzero(got != expected)
    if len(different):  # sums of up to 50 roots in float32: then it must be a tie up to rounding
        before, place = expected[: different[0]], different[0]
        values = [
            coverage_gain(kernel, scores, vectors, level, gamma, before, p[place]) for p in (got, expected)
        ]
        assert values[0] == pytest.approx(values[1], rel=1e-5)


def coverage_gain(kernel, scores, vectors, level, gamma, before, new):
    """The objective, in float64."""
    vectors = vectors.astype(float)
    if kernel == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = np.clip(vectors @ vectors.T, 0.0, np.inf if kernel == "dot" else 1.0)
    covered = similar[:, before].sum(axis=1)
    gain = ((covered + similar[:, new]) ** gamma - covered**gamma).sum()
    return (1.0 - level) * scores[new] + level * gain


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
@given(
    seed=st.integers(0, 2**32 - 1),
    candidates=st.integers(2, 50),
    k=st.integers(1, 12),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9]),
    positive=st.booleans(),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_determinants(scale, seed, candidates, k, level, positive):
    scores, vectors = random_list(seed, candidates, 24, positive)  # beyond the rank pyversity returns noise
    expected = pyversity.dpp(vectors, scores, k, level, scale=scale).indices
    got = ours("dpp", scores, vectors, k, level, scale=scale)
    # With equal weights all first picks are equal: ours is the lowest position, theirs what rounding makes of it.
    if scale > 0.0 or expected[0] == got[0]:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("window", [None, 1, 2, 5, 30])
@pytest.mark.parametrize("recent", [0, 1, 7])
@given(
    seed=st.integers(0, 2**32 - 1),
    candidates=st.integers(2, 50),
    k=st.integers(1, 12),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]),
    positive=st.booleans(),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_sliding_spectrum(window, recent, seed, candidates, k, level, positive):
    scores, vectors = random_list(seed, candidates, 24, positive)
    before = random_list(seed + 1, 10, 24, positive)[1][:recent]
    expected = pyversity.ssd(vectors, scores, k, level, recent_embeddings=before, window=window).indices
    context = {"vectors": before} if recent else None
    got = ours("ssd", scores, vectors, k, level, window=window, context=context)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("gamma", [0.3, 2.0])
@pytest.mark.parametrize("append_bias", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), level=st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_options_of_the_sliding_spectrum(gamma, append_bias, standardize, normalize, seed, k, level):
    scores, vectors = random_list(seed, 40, 24, False)
    there = {
        "gamma": gamma,
        "append_bias": append_bias,
        "normalize_scores": standardize,
        "normalize": normalize,
    }
    expected = pyversity.ssd(vectors, scores, k, level, **there).indices
    here = {"gamma": gamma, "append_bias": append_bias, "standardize": standardize}
    got = ours("ssd", scores, vectors, k, level, kernel="cosine" if normalize else "dot", **here)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("method", ["cover", "dpp", "mmr", "msd", "ssd"])
def test_many_lists_compiled_by_xla(method):
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(300, 70)).astype(np.float32)
    vectors = rng.normal(size=(300, 70, 32)).astype(np.float32)
    levels = rng.uniform(0.05, 0.95, size=300).astype(np.float32)
    got = diversify(scores, vectors, 9, levels, method, "none")
    pick = getattr(pyversity, method)
    expected = [
        pick(v, s, 9, diversity=float(level)).indices
        for v, s, level in zip(vectors, scores, levels, strict=True)
    ]
    same = (got == np.array(expected)).all(axis=1)
    assert same.mean() > 0.99  # a near tie may round the other way


@pytest.mark.parametrize("method", METHODS)
def test_the_names_there_are_names_here(method):
    if method in [strategy.value for strategy in pyversity.Strategy]:
        assert METHODS[method].__name__ == method.upper()
