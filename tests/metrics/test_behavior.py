"""What a re-ranking did: by hand, by brute force, and rank-biased overlap against the paper and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import displacement, least_promoted, rbo, relevance_lost

# Pages of positions: as scored, moved, with padding, empty.
PAGES = np.array([[0, 1, 2], [4, 0, 2], [3, -1, 1], [-1, -1, -1]])


def test_displacement_by_hand():
    # Moved by 4, 1, 0; by 3 and (place 2, was 1) 1.
    np.testing.assert_allclose(displacement(PAGES), [0, 5 / 3, 2, 0])
    np.testing.assert_allclose(displacement(PAGES, statistic="max"), [0, 4, 3, 0])


def test_least_promoted_by_hand():
    assert least_promoted(PAGES).tolist() == [3, 5, 4, 0]


def test_rows_are_looked_up_in_the_order_before():
    before = np.array([[9, 7, 5, 3], [3, 5, 7, -1]])
    after = np.array([[5, 9], [7, 3]])  # places 2 and 0, both
    np.testing.assert_allclose(displacement(after, before), [1.5, 1.5])
    assert least_promoted(after, before).tolist() == [3, 3]


def test_relevance_lost_by_hand():
    scores = np.array([[4.0, 3.0, 2.0, 1.0, 0.0]])
    # 4 + 3 + 2 = 9 was possible; 0 + 4 + 2 were taken.
    np.testing.assert_allclose(relevance_lost(PAGES[1:2], scores), [3 / 9])
    x = 1 / np.log2(3)
    np.testing.assert_allclose(
        relevance_lost(PAGES[1:2], scores, definition="dcg"), [1 - (4 * x + 2 / 2) / (4 + 3 * x + 2 / 2)]
    )
    # The same page in another order has lost nothing but by its order.
    assert relevance_lost(np.array([[1, 0]]), scores)[0] == 0.0
    assert relevance_lost(np.array([[1, 0]]), scores, definition="dcg")[0] > 0.0
    # Two places are filled of three: 4 + 3 was possible, 1 + 3 were taken.
    np.testing.assert_allclose(relevance_lost(PAGES[2:3], scores), [3 / 7])


def test_relevance_lost_as_the_scores_stand():
    scores = np.array([[10.0, 9.0, 8.0]])
    np.testing.assert_allclose(relevance_lost(np.array([[0, 2]]), scores, normalized=False), [1 / 19])
    np.testing.assert_allclose(relevance_lost(np.array([[0, 2]]), scores), [1 / 3])  # 1, 1/2, 0


def test_relevance_lost_of_unsorted_and_padded_candidates():
    before = np.array([[5, 8, 2, -1]])
    for missing in (-np.inf, np.nan):
        scores = np.array([[0.25, 1.0, 0.5, missing]])
        # 1 and 0.5 were possible, 0.25 and 1 taken; from 0.25 to 1: 1 + 1/3 against 0 + 1.
        np.testing.assert_allclose(relevance_lost(np.array([[5, 8]]), scores, before), [1 / 4])
    assert relevance_lost(np.array([[0, 1]]), np.array([[2.0, 2.0, 2.0]]))[0] == 0.0


@given(seed=st.integers(0, 2**32 - 1), definition=st.sampled_from(["score", "dcg"]))
@settings(max_examples=50, deadline=None)
def test_the_loss_is_a_share_that_neither_scale_nor_place_of_the_scores_changes(seed, definition):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(4, 9))
    page = np.argsort(rng.random((4, 9)), axis=1)[:, :5]
    lost = relevance_lost(page, scores, definition=definition)
    assert ((lost >= 0) & (lost <= 1)).all()
    np.testing.assert_allclose(relevance_lost(page, 7 * scores - 3, definition=definition), lost, atol=1e-12)
    best = np.argsort(-scores, axis=1)[:, :5]
    np.testing.assert_allclose(relevance_lost(best, scores, definition=definition), 0.0, atol=1e-12)


def letters(*words):
    width = max(map(len, words))
    return [
        np.array([[ord(c) - ord("a") for c in word] + [-1] * (width - len(word))], dtype=int)
        for word in words
    ]


@pytest.mark.parametrize(
    ("one", "other", "p", "expected"),
    [
        ("abcde", "bcdae", 0.9, 0.828),  # the example of the Scala library rankmeasures
        # RankingSimilarity(...).rbo_ext(p) of the package rbo 0.1.3
        ("abcdefg", "zcavwxy", 0.9, 0.28821728571428573),
        ("abcdefgh", "abcdefg", 0.9, 1.0),
        ("abcde", "bacd", 0.8, 0.8),
        ("a", "bcdefga", 0.7, 0.016806999999999992),
        ("zbca", "cadx", 0.95, 0.4437291666666666),
        ("a", "", 0.9, 0.0),
        ("", "", 0.9, 1.0),
    ],
)
def test_extrapolated_overlap_of_other_libraries(one, other, p, expected):
    one, other = letters(one, other)
    np.testing.assert_allclose(rbo(one, other, p), [expected], atol=1e-12)
    np.testing.assert_allclose(rbo(other, one, p), [expected], atol=1e-12)


def test_least_overlap_and_residual_of_seven_equal_places():
    # rbo_min and rbo_res of Lukes' module for "abcdefg" against itself, p = 0.9.
    one, other = letters("abcdefg", "abcdefg")
    assert rbo(one, other, 0.9, "min")[0] == pytest.approx(0.767, abs=5e-4)
    assert rbo(one, other, 0.9, "res")[0] == pytest.approx(0.233, abs=5e-4)


def overlap_to_depth(one, other, p, depth=300):
    """The definition: (1 - p) * sum of p^(d - 1) * share in common of the first d places."""
    shares = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, depth + 1)]
    return (1 - p) * sum(p**d * share for d, share in enumerate(shares))


def continued_alike(one, other, depth=300):
    """Both lists going on with all that the other has already, then with the same new items."""
    short, long = sorted((list(one), list(other)), key=len)
    while len(short) < len(long):
        short.append(next(item for item in long if item not in short))
    while missing := [item for item in long if item not in short]:
        other_missing = next(item for item in short if item not in long)
        short.append(missing[0])
        long.append(other_missing)
    new = range(1000, 1000 + depth)
    return [*short, *new], [*long, *new]


def continued_apart(one, other, depth=300):
    return [*one, *range(1000, 1000 + depth)], [*other, *range(2000, 2000 + depth)]


@given(seed=st.integers(0, 2**32 - 1), p=st.sampled_from([0.3, 0.7, 0.9]))
@settings(max_examples=60, deadline=None)
def test_least_and_most_overlap_are_those_of_the_worst_and_best_longer_lists(seed, p):
    rng = np.random.default_rng(seed)
    one, other = (rng.permutation(10)[: rng.integers(1, 9)] for _ in range(2))
    least = rbo(one[np.newaxis], other[np.newaxis], p, "min")[0]
    most = least + rbo(one[np.newaxis], other[np.newaxis], p, "res")[0]
    assert least == pytest.approx(overlap_to_depth(*continued_apart(one, other), p), abs=1e-9)
    assert most == pytest.approx(overlap_to_depth(*continued_alike(one, other), p), abs=1e-9)
    assert least - 1e-12 <= rbo(one[np.newaxis], other[np.newaxis], p)[0] <= most + 1e-12


@given(seed=st.integers(0, 2**32 - 1), definition=st.sampled_from(["ext", "min", "res"]))
@settings(max_examples=40, deadline=None)
def test_overlap_is_symmetric_and_knows_no_padding_nor_names(seed, definition):
    rng = np.random.default_rng(seed)
    one, other = (np.argsort(rng.random((5, 9)), axis=1)[:, :k] for k in (6, 4))
    one[rng.random(one.shape) < 0.2] = -1
    value = rbo(one, other, 0.8, definition)
    np.testing.assert_allclose(rbo(other, one, 0.8, definition), value, atol=1e-12)
    names = np.append(rng.permutation(9), -1)
    wide = np.pad(names[one], [(0, 0), (2, 1)], constant_values=-1)
    np.testing.assert_allclose(rbo(wide, names[other], 0.8, definition), value, atol=1e-12)
    one_by_one = [rbo(one[[n]], other[[n]], 0.8, definition)[0] for n in range(5)]
    np.testing.assert_allclose(one_by_one, value, atol=1e-12)


def test_positions_are_compared_with_the_order_of_the_scores():
    np.testing.assert_allclose(rbo(PAGES[:1]), [1.0])
    np.testing.assert_allclose(rbo(PAGES[1:2]), rbo(PAGES[1:2], np.array([[0, 1, 2]])))
    # A page of two items is compared with the first two.
    np.testing.assert_allclose(rbo(np.array([[2, -1, 1]])), rbo(np.array([[2, 1]]), np.array([[0, 1]])))
    assert rbo(PAGES).shape == (4,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: displacement(PAGES, statistic="median"), "mean or max; received 'median'"),
        (
            lambda: displacement(np.array([[1, 4]]), np.array([[0, 1]])),
            "all items of after; received a page of user 0 with item 4",
        ),
        (
            lambda: least_promoted(np.array([[1]]), np.zeros((2, 1), int)),
            "before must have 1 users; received 2",
        ),
        (lambda: relevance_lost(PAGES, np.zeros((4, 9)), definition="ndcg"), "score or dcg; received 'ndcg'"),
        (lambda: relevance_lost(PAGES, np.zeros((4, 3))), "positions below 3; received 4"),
        (lambda: relevance_lost(PAGES, np.zeros((3, 9))), r"shape \[4, candidates\]; received \[3, 9\]"),
        (
            lambda: relevance_lost(PAGES[:1], np.zeros((1, 9)), np.arange(5)[np.newaxis]),
            r"shape \[1, 5\] of before; received \[1, 9\]",
        ),
        (
            lambda: relevance_lost(np.array([[2]]), np.array([[1.0, 2.0, np.nan]])),
            "received 2, which has no score",
        ),
        (
            lambda: relevance_lost(np.array([[0]]), np.array([[1.0, -0.5]]), normalized=False),
            "must not be negative unless normalized; received -0.5",
        ),
        (
            lambda: relevance_lost(np.array([[0], [0]]), np.array([[1.0, 2.0], [0.0, np.inf]])),
            "scores must be below infinity; received inf for candidate 1 of user 1",
        ),
        (lambda: rbo(PAGES, p=1.0), r"p must lie in \(0, 1\); received 1.0"),
        (lambda: rbo(PAGES, definition="max"), "ext, min or res; received 'max'"),
        (lambda: rbo(PAGES[:2], PAGES), "before must have 2 users; received 4"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_hundred_thousand_pages_take_a_moment():
    import time

    rng = np.random.default_rng(0)
    pages = np.argsort(rng.random((100_000, 40)), axis=1)[:, :10]
    start = time.perf_counter()
    rbo(pages)
    displacement(pages)
    assert time.perf_counter() - start < 5.0
