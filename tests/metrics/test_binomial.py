"""Binomial diversity: by hand, Informfully's numbers, and RankSys' loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from tfrec_div.metrics import binomial_coverage, binomial_diversity, binomial_non_redundancy
from tfrec_div.metrics.binomial import category_probabilities

# Informfully's tests: items 1 to 10 with ten genres (item 0 is not used), histories of three users.
GENRES = np.zeros((11, 10), int)
for item, genres in enumerate(
    [
        (),
        (0, 1, 3, 7),
        (0, 3),
        (0, 8),
        (5, 8),
        (3, 4, 8),
        (0, 2, 6, 8, 9),
        (0, 2, 5, 9),
        (3, 5, 7),
        (0, 2, 5),
        (4, 5, 6),
    ]
):
    GENRES[item, list(genres)] = 1
HISTORIES = np.array([5, 8, 1, 2, 1, 6, 3, 7, 1, 2, 4, 6]), np.array([0, 4, 8, 12])
ROWS = np.tile([2, 1, 9, 10], (3, 1))


def test_the_example_of_informfully():
    own = binomial_diversity(ROWS, *HISTORIES, GENRES, alpha=1.0, definition="informfully")
    assert own[0] == pytest.approx(0.7254643159681841, rel=1e-12)
    mixed = binomial_diversity(ROWS[:, :2], *HISTORIES, GENRES, alpha=0.9, definition="informfully")
    assert mixed[0] == pytest.approx(0.7424229077314783, rel=1e-12)


def test_by_hand():
    # Two genres, p = 1/2 each. a, c: nothing is missed; P(X >= 1 | X > 0) = 1 for both.
    # a, b: (1/2)^2 for the missed genre, root 2; P(X = 2 | X > 0) = (1/4) / (3/4).
    genres = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    rows = np.array([[0, 2], [0, 1]])
    half = np.full((2, 2), 0.5)
    np.testing.assert_allclose(binomial_coverage(rows, half, genres), [1.0, 0.5])
    np.testing.assert_allclose(binomial_non_redundancy(rows, half, genres), [1.0, 1 / 3])
    np.testing.assert_allclose(
        binomial_non_redundancy(rows, half, genres, definition="informfully"), [1.0, (1 / 3) ** 0.5]
    )


def test_probabilities_mix_the_own_and_the_general_shares():
    genres = np.array([[1, 0], [1, 1]])
    values, splits = np.array([0, 0, 1, 1]), np.array([0, 2, 4, 4])
    general = [1.0, 0.5]
    expected = np.array([[1.0, 0.0], [1.0, 1.0], general])
    np.testing.assert_allclose(category_probabilities(values, splits, genres, alpha=1.0), expected)
    mixed = 0.25 * expected + 0.75 * np.array(general)
    np.testing.assert_allclose(category_probabilities(values, splits, genres, alpha=0.25), mixed)
    np.testing.assert_allclose(
        category_probabilities(values, splits, sparse.csr_array(genres), alpha=0.25), mixed
    )


def ranksys(row, relevant, probability, genres):
    """BinomialNonRedundancy times BinomialCoverage, genre by genre."""
    listed = [item for item in row if item >= 0]
    counted = [item for item, rel in zip(row, relevant, strict=True) if item >= 0 and rel]
    count = genres[counted].sum(axis=0)
    coverage = patience = 1.0
    for g, p in enumerate(probability):
        if not count[g]:
            coverage *= (1 - p) ** len(listed)
        elif p > 0:
            none = (1 - p) ** len(counted)
            patience *= 1 - (stats.binom.cdf(count[g] - 1, len(counted), p) - none) / (1 - none)
    if not count.any():
        return 0.0
    return coverage ** (1 / len(probability)) * patience ** (1 / np.count_nonzero(count))


@given(seed=st.integers(0, 2**32 - 1), alpha=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=30, deadline=None)
def test_equals_the_loop_of_ranksys_with_relevance(seed, alpha):
    rng = np.random.default_rng(seed)
    genres = (rng.random((15, 5)) < 0.3).astype(int)
    rows = np.argsort(rng.random((4, 15)), axis=1)[:, :6]
    rows = np.where(rng.random(rows.shape) < 0.2, -1, rows)
    relevant = rng.random(rows.shape) < 0.6
    values, splits = rng.integers(0, 15, 20), np.array([0, 3, 3, 11, 20])
    probability = category_probabilities(values, splits, genres, alpha)
    expected = [ranksys(*case, genres) for case in zip(rows, relevant, probability, strict=True)]
    value = binomial_diversity(rows, values, splits, genres, alpha, relevant)
    np.testing.assert_allclose(value, expected, atol=1e-9)
    assert ((value >= 0.0) & (value <= 1.0)).all()


def test_a_list_without_categories_has_none():
    genres = np.array([[1, 0], [0, 0]])
    assert binomial_diversity(np.array([[1], [-1]]), [0, 0], [0, 1, 2], genres).tolist() == [0.0, 0.0]


def test_a_category_that_everything_has_is_not_redundant():
    genres = np.ones((3, 1), int)
    assert binomial_diversity(np.array([[0, 1]]), [0, 1, 2], [0, 3], genres).tolist() == [1.0]


def test_general_shares_may_be_given():
    whole = binomial_diversity(ROWS, *HISTORIES, GENRES)
    general = GENRES[HISTORIES[0]].mean(axis=0)
    one = binomial_diversity(ROWS[:1], HISTORIES[0][:4], [0, 4], GENRES, general=general)
    assert one[0] == whole[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\]; received 1.5"),
        ({"definition": "ranksys"}, "vargas or informfully; received 'ranksys'"),
        ({"relevant": np.ones((3, 3))}, r"relevant must be numbers .* \[3, 4\]; received float64 \[3, 3\]"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        binomial_diversity(ROWS, *HISTORIES, GENRES, **arguments)
