"""Novelty: by hand, and against rectools."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import (
    expected_free_discovery,
    expected_popularity_complement,
    novelty,
    popularity,
)

# rectools' example: item 1 was used by three users of three, item 2 by one, item 3 by none.
COUNTS = np.array([3, 1, 0])


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [1.5849625, 1.5849625, 0]), (3, [1.5849625, 1.5849625, 0.79248125])]
)
def test_inverse_user_frequency_of_the_example_in_rectools(k, expected):
    rows = np.array([[2, -1, -1], [1, 2, -1], [0, 1, -1]])[:, :k]
    np.testing.assert_allclose(novelty(rows, COUNTS, 3, "rectools"), expected, atol=1e-7)


def test_smoothed_by_hand():
    # (3+1)/4 = 1 -> 0 bits; 2/4 -> 1 bit; 1/4 -> 2 bits
    rows = np.array([[0, 1, 2], [2, -1, -1], [-1, -1, -1]])
    assert novelty(rows, COUNTS, 3).tolist() == [1.0, 2.0, 0.0]


def test_recommenders_by_hand():
    # Shares 3/4 and 1/4 of all interactions; the item that nobody used is passed over.
    rows = np.array([[0, 1], [1, 2]])
    np.testing.assert_allclose(novelty(rows, COUNTS, 3, "recommenders"), [(2 - np.log2(3) + 2) / 2, 2.0])


def test_agrees_with_rectools_on_random_lists():
    pytest.importorskip("rectools.metrics", reason="rectools is not installed")
    import pandas as pd
    import rectools
    from rectools.metrics import MeanInvUserFreq

    rng = np.random.default_rng(2)
    pairs = np.unique(rng.integers(0, [40, 25], size=(200, 2)), axis=0)
    rows = np.argsort(rng.random((40, 25)), axis=1)[:, :5]
    columns = rectools.Columns
    before = pd.DataFrame({columns.User: pairs[:, 0], columns.Item: pairs[:, 1]})
    reco = pd.DataFrame(
        {
            columns.User: np.repeat(np.arange(40), 5),
            columns.Item: rows.ravel(),
            columns.Rank: np.tile(np.arange(1, 6), 40),
        }
    )
    theirs = MeanInvUserFreq(k=5).calc_per_user(reco, before).sort_index()
    counts = np.bincount(pairs[:, 1], minlength=25)
    np.testing.assert_allclose(novelty(rows, counts, before[columns.User].nunique(), "rectools"), theirs)


def test_popularity_is_the_mean_count():
    assert popularity(np.array([[0, 1], [2, -1], [-1, -1]]), COUNTS).tolist() == [2.0, 0.0, 0.0]


def test_unknown_definition_lists_the_known():
    with pytest.raises(ValueError, match="smoothed, rectools, recommenders; received 'merlin'"):
        novelty(np.array([[0]]), COUNTS, 3, "merlin")


@pytest.mark.parametrize("definition", ["smoothed", "rectools"])
def test_more_interactions_than_users_are_refused(definition):
    with pytest.raises(
        ValueError, match="numbers of users, at most 2 of them; received 3: somebody who used"
    ):
        novelty(np.array([[0]]), COUNTS, 2, definition)
    # Compared with all interactions, not with the users: 3 of 4.
    assert novelty(np.array([[0]]), COUNTS, 2, "recommenders") == pytest.approx(np.log2(4 / 3))


HITS = np.array([[True, False, True], [False, True, False]])
ROWS = np.array([[0, 1, 2], [2, 1, -1]])
LOG2 = 1 / np.log2(np.array([2, 3, 4]))


def test_popularity_complement_by_hand():
    # 1 - 3/4, 1 - 1/4, 1 - 0/4
    complement = np.array([0.25, 0.75, 1.0])
    by_hand = [LOG2 @ complement / LOG2.sum(), LOG2[:2] @ complement[[2, 1]] / LOG2[:2].sum()]
    np.testing.assert_allclose(expected_popularity_complement(ROWS, COUNTS, 4), by_hand)
    exponential = [
        (0.25 + 0.75 * 0.85 + 0.85**2) / (1 + 0.85 + 0.85**2),
        (1 + 0.75 * 0.85) / (1 + 0.85),
    ]
    value = expected_popularity_complement(ROWS, COUNTS, 4, discount="exponential")
    np.testing.assert_allclose(value, exponential)


def elliot(rows, hits, novelty_of):
    """The loop of elliot's EPC and EFD."""
    values = []
    for row, relevant in zip(rows, hits, strict=True):
        total = norm = 0.0
        for place, item in enumerate(row[row >= 0]):
            discount = np.log(2) / np.log(place + 2)
            total += relevant[place] * discount * novelty_of[item]
            norm += discount
        values.append(total / norm)
    return values


def test_popularity_complement_of_elliot_counts_misses():
    value = expected_popularity_complement(ROWS, COUNTS, 4, HITS)
    np.testing.assert_allclose(value, elliot(ROWS, HITS, [0.25, 0.75, 1.0]))


def test_over_the_relevant_items_only():
    value = expected_popularity_complement(ROWS, COUNTS, 4, HITS, normalization="relevance")
    np.testing.assert_allclose(value, [(0.25 + 0.5 * 1.0) / 1.5, 0.75])
    none = np.zeros_like(HITS)
    assert expected_popularity_complement(ROWS, COUNTS, 4, none, normalization="relevance").tolist() == [0, 0]


def test_free_discovery_of_elliot_gives_unused_items_the_greatest_information():
    value = expected_free_discovery(ROWS, COUNTS, HITS)
    np.testing.assert_allclose(value, elliot(ROWS, HITS, [-np.log2(3 / 4), 2.0, 2.0]))
    assert expected_free_discovery(np.array([[2, -1], [-1, -1]]), COUNTS).tolist() == [2.0, 0.0]
    assert expected_free_discovery(np.array([[2]]), np.array([6, 2, 0])).tolist() == [2.0]
    assert expected_free_discovery(np.array([[1]]), np.zeros(3)).tolist() == [0.0]


def test_mistakes_of_the_expectations_are_named():
    with pytest.raises(ValueError, match="discount or relevance; received 'none'"):
        expected_free_discovery(ROWS, COUNTS, normalization="none")
    with pytest.raises(ValueError, match=r"relevance must be .* shape \[2, 3\]; received bool \[2, 2\]"):
        expected_popularity_complement(ROWS, COUNTS, 4, HITS[:, :2])
