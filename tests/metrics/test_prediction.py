"""Metrics of predictions against hand values and other closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tfrec_div.metrics import auc, grouped_auc, log_loss, pool_ndcg, rmse, user_auc


def by_pairs(scores, labels) -> float:
    """The definition: the share of pairs in the right order, ties half."""
    pairs = [
        (p, n)
        for p, a in zip(scores, labels, strict=True)
        for n, b in zip(scores, labels, strict=True)
        if a > 0 >= b
    ]
    return float(np.mean([(p > n) + 0.5 * (p == n) for p, n in pairs])) if pairs else math.nan


def some_pools(seed: int, users: int = 6, n: int = 9):
    """Scores of few values, so that there are ties; some users have one class, or nothing."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-2, 3, (users, n)) / 2.0
    labels = rng.integers(0, 3, (users, n)) * (rng.random((users, n)) < 0.5)
    mask = rng.random((users, n)) < 0.7
    labels[0], mask[1] = 0, False
    return scores, labels, mask


# AUC.


def test_auc_by_hand():
    # The textbook example of scikit-learn's documentation: .75.
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert auc(np.array([1, 1, 1, 1]), np.array([0, 1, 0, 1])) == 0.5
    assert auc(np.array([3, 2, 1]), np.array([2, 0, 0])) == 1.0
    assert auc(np.array([1, 2, 3]), np.array([2, 0, 0])) == 0.0
    assert auc(np.array([-np.inf, 0.0, np.inf]), np.array([0, 0, 1])) == 1.0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=25))
def test_auc_is_the_share_of_ordered_pairs_and_mann_whitneys_u(examples):
    scores, labels = (np.array(x, float) for x in zip(*examples, strict=True))
    found = auc(scores, labels)
    np.testing.assert_allclose(found, by_pairs(scores, labels))
    if 0 < labels.sum() < len(labels):
        u = mannwhitneyu(scores[labels > 0], scores[labels == 0]).statistic
        assert found == pytest.approx(u / (labels.sum() * (len(labels) - labels.sum())))


def test_auc_of_one_class_is_unknown():
    assert math.isnan(auc(np.array([1.0, 2.0]), np.array([1, 1])))
    assert math.isnan(auc(np.array([]), np.array([])))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_each_user_has_the_auc_of_the_own_candidates(seed):
    scores, labels, mask = some_pools(seed)
    expected = [by_pairs(s[m], y[m]) for s, y, m in zip(scores, labels, mask, strict=True)]
    np.testing.assert_allclose(user_auc(scores, labels, mask), expected)
    spoilt = np.where(mask, scores, np.nan)
    np.testing.assert_array_equal(user_auc(spoilt, labels, mask), user_auc(scores, labels, mask))


def test_gauc_by_hand():
    # Users: AUC 1 of 4 candidates (1 click), 1/2 of 3 (1 click; 2 of the others, one above), 3/4 of 5 (2 clicks), and
    # one with clicks only.
    scores = np.array([[4, 3, 2, 1, 0], [2, 3, 1, 0, 0], [5, 1, 4, 2, 0], [1, 2, 3, 4, 5]], float)
    labels = np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 1, 0], [1, 1, 1, 1, 1]])
    mask = np.arange(5) < np.array([[4], [3], [5], [5]])
    areas = [1.0, 0.5, 5 / 6, math.nan]
    np.testing.assert_allclose(user_auc(scores, labels, mask), areas)
    assert grouped_auc(scores, labels, mask) == pytest.approx((4 + 1.5 + 5 * 5 / 6) / 12)
    assert grouped_auc(scores, labels, mask, "clicks") == pytest.approx((1 + 0.5 + 2 * 5 / 6) / 4)
    assert grouped_auc(scores, labels, mask, "none") == pytest.approx((1 + 0.5 + 5 / 6) / 3)


def test_gauc_does_not_see_what_tells_users_apart():
    scores, labels, mask = some_pools(4)
    shifted = scores + 100.0 * np.arange(len(scores))[:, None]
    assert grouped_auc(shifted, labels, mask) == grouped_auc(scores, labels, mask)
    assert auc(shifted[mask], labels[mask]) != auc(scores[mask], labels[mask])


def test_gauc_is_unknown_when_no_user_has_both_classes():
    assert math.isnan(grouped_auc(np.ones((2, 3)), np.zeros((2, 3))))
    assert math.isnan(grouped_auc(np.ones((0, 3)), np.zeros((0, 3))))


# Log loss and RMSE.


def test_log_loss_by_hand():
    found = log_loss(np.array([[0.9, 0.2]]), np.array([[1, 0]]))
    assert found == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2)
    assert log_loss(np.array([0.3]), np.array([0.25])) == pytest.approx(
        -0.25 * math.log(0.3) - 0.75 * math.log(0.7)
    )
    assert math.isnan(log_loss(np.array([]), np.array([])))


def test_a_certainty_that_fails_costs_what_the_clip_says():
    assert log_loss(np.array([0.0]), np.array([1])) == pytest.approx(-math.log(1e-7))
    assert log_loss(np.array([1.0]), np.array([0]), clip=0.01) == pytest.approx(-math.log(0.01))
    assert log_loss(np.array([1.0]), np.array([1])) == pytest.approx(1e-7, rel=1e-3)


def test_rmse_by_hand():
    assert rmse(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == pytest.approx(math.sqrt(5))
    assert rmse(np.array([[3.0, 9.0]]), np.array([[4.0, np.nan]])) == 1.0
    assert math.isnan(rmse(np.array([3.0]), np.array([np.nan])))
    assert math.isnan(
        rmse(np.array([np.nan]), np.array([3.0]))
    )  # an unknown prediction is an error, not passed over


# NDCG of a pool.


def test_ndcg_of_grades_by_hand():
    # Order 1, 0, 2 of labels 0, 2, 1 → 2 first: gains 3, 0, 1.
    scores, labels = np.array([[0.2, 0.9, 0.1]]), np.array([[0, 2, 1]])
    ideal = 3 + 1 / math.log2(3)
    assert pool_ndcg(scores, labels)[0] == pytest.approx((3 + 1 / 2) / ideal)
    assert pool_ndcg(scores, labels, k=2)[0] == pytest.approx(3 / ideal)
    assert pool_ndcg(scores, labels, gain="linear")[0] == pytest.approx((2 + 1 / 2) / (2 + 1 / math.log2(3)))


def test_a_tie_has_the_mean_over_its_orders():
    # One relevant of three that are alike: places 1 to 3 are as likely.
    expected = (1 + 1 / math.log2(3) + 1 / 2) / 3
    assert pool_ndcg(np.zeros((1, 3)), np.array([[0, 1, 0]]))[0] == pytest.approx(expected)
    assert pool_ndcg(np.zeros((1, 3)), np.array([[0, 1, 0]]), k=1)[0] == pytest.approx(1 / 3)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), k=st.sampled_from([None, 1, 3]))
def test_ndcg_is_the_mean_over_random_orders_of_ties(seed, k):
    """By another route: break ties by chance, many times."""
    scores, labels, mask = some_pools(seed, users=2, n=5)
    mask[1] = True
    rng = np.random.default_rng(seed)
    there = mask[1]
    values = []
    for _ in range(400):
        order = np.lexsort((rng.random(there.sum()), -scores[1][there]))
        discounts = 1 / np.log2(np.arange(2, there.sum() + 2)) * (np.arange(there.sum()) < (k or 99))
        gains = 2.0 ** labels[1][there] - 1
        best = -np.sort(-gains) @ discounts
        values.append(gains[order] @ discounts / best if best else math.nan)
    found = pool_ndcg(scores, labels, mask, k=k)[1]
    assert found == pytest.approx(np.mean(values), abs=6 * np.std(values) / 20 + 1e-9, nan_ok=True)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_masked_candidates_have_no_influence_and_nobody_is_left_out_for_the_others(seed):
    scores, labels, mask = some_pools(seed)
    found = pool_ndcg(scores, labels, mask)
    spoilt = pool_ndcg(np.where(mask, scores, np.nan), np.where(mask, labels, 9), mask)
    np.testing.assert_array_equal(spoilt, found)
    for user in range(len(scores)):
        there = mask[user]
        alone = pool_ndcg(scores[[user]][:, there], labels[[user]][:, there])
        np.testing.assert_allclose(alone[0], found[user])
    assert math.isnan(found[0])
    assert math.isnan(found[1])
    assert ((found[2:] <= 1 + 1e-12) | np.isnan(found[2:])).all()


def test_the_best_order_has_the_value_one():
    labels = np.array([[3, 0, 1, 2], [0, 0, 1, 0]])
    np.testing.assert_allclose(pool_ndcg(labels.astype(float), labels), [1, 1])


def test_many_users_take_no_time():
    import time

    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(20_000, 100)), rng.random((20_000, 100)) < 0.05
    start = time.perf_counter()
    areas = user_auc(scores, labels)
    vectorised = time.perf_counter() - start
    start = time.perf_counter()
    looped = [auc(s, y) for s, y in zip(scores[:2000], labels[:2000], strict=True)]
    loop = 10 * (time.perf_counter() - start)
    np.testing.assert_allclose(areas[:2000], looped)
    assert vectorised < loop / 2


@pytest.mark.parametrize("metric", [user_auc, grouped_auc, pool_ndcg])
def test_pools_are_checked(metric):
    with pytest.raises(
        ValueError, match=r"scores and labels must have one shape; received \[2, 3\] and \[2, 2\]"
    ):
        metric(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"must have the shape \[users, n\]; received scores of \[3\]"):
        metric(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"a mask of \[2, 2\]"):
        metric(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="scores must be numbers; received NaN"):
        metric(np.array([[np.nan, 1.0]]), np.array([[1, 0]]))


def test_other_arguments_are_checked():
    with pytest.raises(
        ValueError, match="user_weight must be one of candidates, clicks, none; received 'all'"
    ):
        grouped_auc(np.ones((1, 2)), np.ones((1, 2)), user_weight="all")
    with pytest.raises(ValueError, match="gain must be one of exponential, linear; received 'log'"):
        pool_ndcg(np.ones((1, 2)), np.ones((1, 2)), gain="log")
    with pytest.raises(ValueError, match="k must be at least 1; received 0"):
        pool_ndcg(np.ones((1, 2)), np.ones((1, 2)), k=0)
    with pytest.raises(ValueError, match=r"probabilities must be in \[0, 1\]; received 1.5"):
        log_loss(np.array([1.5]), np.array([1]))
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\]; received nan"):
        log_loss(np.array([0.5]), np.array([np.nan]))
    with pytest.raises(ValueError, match="clip must be in"):
        log_loss(np.array([0.5]), np.array([1]), clip=0.0)
    with pytest.raises(ValueError, match="predictions and ratings must have one shape"):
        rmse(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="scores must be numbers"):
        auc(np.array([np.nan, 1.0]), np.array([1, 0]))


def test_a_candidate_at_minus_infinity_ties_with_no_masked_one():
    scores, labels = np.array([[1.0, -np.inf, 0.0, 5.0]]), np.array([[0, 1, 0, 0]])
    mask = np.array([[1, 1, 0, 0]], bool)
    # The second of two places: 1 / log2(3).
    np.testing.assert_allclose(pool_ndcg(scores, labels, mask), [0.63092975], rtol=1e-7)
