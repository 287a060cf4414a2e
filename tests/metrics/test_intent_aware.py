"""Intent-aware metrics: ndeval's fixture, ndeval itself on random topics, and the published formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import (
    Judgements,
    alpha_ndcg,
    average_precision_ia,
    err_ia,
    nrbp,
    precision_ia,
    subtopic_recall,
)

# ndeval's fixture: d0 is relevant for the subtopics 0 and 1, d1 for 0; runs d0, d1, and d1 before d0.
RUNS = np.array([[0, -1], [1, -1], [1, 0]])
FIXTURE = Judgements.from_subtopics(
    np.pad(RUNS, ((0, 0), (0, 8)), constant_values=-1),
    np.array([0, 1, 0, 1, 0, 1]),
    np.array([0, 2, 4, 6]),
    np.array([[1, 1], [1, 0]] * 3),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (alpha_ndcg(FIXTURE), [0.8637574337885664, 0.4318787168942832, 0.8406064155285841]),
        (err_ia(FIXTURE), [0.7214332043568699, 0.36071660217843493, 0.6312540538122611]),
        (err_ia(FIXTURE, normalization="ideal"), [8 / 9, 4 / 9, 7 / 9]),
        (nrbp(FIXTURE), [0.75, 0.375, 0.65625]),
        (nrbp(FIXTURE, normalization="ideal"), [0.8888888888888888, 0.4444444444444444, 7 / 9]),
        (subtopic_recall(FIXTURE), [1.0, 0.5, 1.0]),
        (average_precision_ia(FIXTURE), [0.75, 0.25, 0.75]),
        (precision_ia(FIXTURE), [0.1, 0.05, 0.15]),
    ],
    ids=["alpha-nDCG@10", "ERR-IA@10", "nERR-IA@10", "NRBP", "nNRBP", "strec@10", "MAP-IA", "P-IA@10"],
)
def test_the_fixture_of_ndeval(value, expected):
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-15)


def test_gains_without_normalisation_are_the_published_sums():
    # d1, d0: 1 at the first place; .5 (seen) + 1 at the second.
    np.testing.assert_allclose(alpha_ndcg(FIXTURE, normalization="none")[2], 1 + 1.5 / np.log2(3))
    np.testing.assert_allclose(nrbp(FIXTURE, beta=0.8, normalization="none")[2], 1 + 1.5 * 0.8)
    # ERR: R/1 + (1-R)R/2 for subtopic 0, R/2 for subtopic 1, half each.
    np.testing.assert_allclose(err_ia(FIXTURE, normalization="none")[2], (0.5 + 0.125 + 0.25) / 2)
    np.testing.assert_allclose(err_ia(FIXTURE, alpha=0.25, normalization="none")[0], 0.25)


def test_alpha_one_takes_the_first_item_of_a_subtopic_only_and_alpha_zero_counts():
    np.testing.assert_allclose(alpha_ndcg(FIXTURE, alpha=1.0, normalization="none")[2], 1 + 1 / np.log2(3))
    np.testing.assert_allclose(alpha_ndcg(FIXTURE, alpha=0.0, normalization="none")[2], 1 + 2 / np.log2(3))


def test_subtopic_recall_of_ranksys_counts_subtopics_without_relevant_items():
    judged = Judgements.from_categories(
        np.array([[0]]), np.array([0, 1]), np.array([0, 2]), np.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    )
    assert subtopic_recall(judged).tolist() == [0.5]
    assert subtopic_recall(judged, "ranksys").tolist() == [0.25]


def test_users_without_relevant_items_are_undefined():
    judged = Judgements.from_categories(np.array([[0], [1]]), np.array([1]), np.array([0, 0, 1]), np.eye(2))
    for metric in (alpha_ndcg, err_ia, nrbp, subtopic_recall, precision_ia, average_precision_ia):
        assert np.isnan(metric(judged)).tolist() == [True, False], metric.__name__
        assert metric(judged)[1] > 0.0


def test_the_tie_rule_of_the_ideal():
    # Items 0, 1 and 2 are worth 2 at first; after any of them the other two are worth 1.5, item 3 at most 1.
    subtopics = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 1, 0]])
    judged = Judgements.from_subtopics(np.array([[0, 2]]), np.arange(4), np.array([0, 4]), subtopics)
    assert judged.ideal(1, ties="highest")[0, 0].tolist() == [True, False, True]
    assert judged.ideal(1, ties="lowest")[0, 0].tolist() == [True, True, False]
    assert judged.ideal(3, ties="highest")[0].astype(int).tolist() == [[1, 0, 1], [0, 1, 1], [1, 1, 0]]
    assert judged.ideal(3, ties="lowest")[0].astype(int).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]


def test_greedy_is_not_optimal_and_the_tie_rule_is_seen_in_the_value():
    # Subtopics a b c d. Items: 0 {a,b}, 1 {c,d}, 2 {a,c}: from 2 there is no way to four subtopics in two.
    subtopics = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]])
    judged = Judgements.from_subtopics(np.array([[0, 1]]), np.arange(3), np.array([0, 3]), subtopics)
    discounted = 2 + 2 / np.log2(3)
    np.testing.assert_allclose(alpha_ndcg(judged), discounted / (2 + 1.5 / np.log2(3)))
    np.testing.assert_allclose(alpha_ndcg(judged, ties="lowest"), 1.0)


def random_topic(rng):
    items, subtopics = int(rng.integers(2, 20)), int(rng.integers(1, 7))
    relevant = rng.random((items, subtopics)) < rng.choice([0.2, 0.5])
    relevant[rng.integers(items), rng.integers(subtopics)] = True
    return relevant, rng.permutation(items)[: rng.integers(1, 16)]


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.25, 0.75), (0.3, 0.6), (0.8, 0.9)])
def test_random_topics_have_the_values_of_ndeval(alpha, beta):
    pyndeval = pytest.importorskip("pyndeval", reason="pyndeval is not installed")
    rng = np.random.default_rng(int(100 * alpha))
    topics = [random_topic(rng) for _ in range(60)]
    rows = np.full((len(topics), 20), -1)
    for row, (_, order) in zip(rows, topics, strict=True):
        row[: len(order)] = order
    widest = max(relevant.shape[1] for relevant, _ in topics)
    qrels, run = [], []
    for topic, (relevant, order) in enumerate(topics):
        qrels += [(f"{topic}", f"{s}", f"d{i:02d}", int(grade)) for (i, s), grade in np.ndenumerate(relevant)]
        run += [(f"{topic}", f"d{i:02d}", float(-place)) for place, i in enumerate(order)]
    for k in (3, 10, 20):
        judged = Judgements.from_subtopics(
            rows[:, :k],
            np.concatenate([np.arange(len(relevant)) for relevant, _ in topics]),
            np.concatenate([[0], np.cumsum([len(relevant) for relevant, _ in topics])]),
            np.concatenate([np.pad(t, ((0, 0), (0, widest - t.shape[1]))) for t, _ in topics]),
        )
        ours = {
            f"alpha-nDCG@{k}": alpha_ndcg(judged, alpha),
            f"alpha-DCG@{k}": alpha_ndcg(judged, alpha, "perfect"),
            f"ERR-IA@{k}": err_ia(judged, alpha),
            f"nERR-IA@{k}": err_ia(judged, alpha, "ideal"),
            f"strec@{k}": subtopic_recall(judged),
            f"P-IA@{k}": precision_ia(judged),
        }
        if k == 20:  # ndeval reads the whole run for these
            ours |= {
                "NRBP": nrbp(judged, alpha, beta),
                "nNRBP": nrbp(judged, alpha, beta, "ideal"),
                "MAP-IA": average_precision_ia(judged),
            }
        theirs = pyndeval.ndeval(qrels, run, list(ours), alpha=alpha, beta=beta)
        for name, values in ours.items():
            expected = [theirs[str(topic)][name] for topic in range(len(topics))]
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alpha_ndcg(FIXTURE, alpha=1.5), r"alpha must be in \[0, 1\]; received 1.5"),
        (lambda: nrbp(FIXTURE, beta=2), r"beta must be in \[0, 1\); received 2"),
        (lambda: nrbp(FIXTURE, beta=-0.5), r"beta must be in \[0, 1\); received -0.5"),
        (lambda: err_ia(FIXTURE, normalization="best"), "ideal, perfect or none; received 'best'"),
        (lambda: alpha_ndcg(FIXTURE, ties="first"), "highest or lowest; received 'first'"),
        (lambda: subtopic_recall(FIXTURE, "trec"), "ndeval or ranksys; received 'trec'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ten_thousand_users_take_a_moment():
    import time

    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((10_000, 60)), axis=1)[:, :10]
    relevant = rng.integers(0, 60, 200_000)
    start = time.perf_counter()
    judged = Judgements.from_categories(rows, relevant, np.arange(0, 200_001, 20), rng.random((60, 19)) < 0.1)
    alpha_ndcg(judged)
    err_ia(judged)
    assert time.perf_counter() - start < 5.0  # 0.6 s on two idle cores
