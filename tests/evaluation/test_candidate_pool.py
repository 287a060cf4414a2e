"""The stages of a cascade, measured on known numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tests.tiny_models import Fixed, Table
from tfrec_div._keras import tf
from tfrec_div.evaluation import CandidatePool, candidate_pool, evaluate, latency, stage_latency
from tfrec_div.evaluation.latency import latency_line
from tfrec_div.models.ranking_lists import ratings_of
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR

TRAIN = pd.DataFrame(
    {"user_id": ["u", "v", "w"], "item_id": ["f", "a", "f"], "rating": [5, 4, 1], "timestamp": [1, 2, 3]}
)
# u likes c and e, does not like d; v likes b; w likes nothing.
TEST = pd.DataFrame(
    {
        "user_id": ["u", "u", "u", "v", "w"],
        "item_id": ["c", "e", "d", "b", "a"],
        "rating": [5, 4, 1, 5, 1],
        "timestamp": [4, 5, 6, 7, 8],
    }
)
RANKED = [0.1, 0.2, 0.6, 0.3, 0.9, 0.4]


@pytest.fixture(scope="module")
def parts():
    items = pd.DataFrame({"item_id": list("abcdef"), "categories": list("xxyyzz")})
    whole = td.from_frames(pd.concat([TRAIN, TEST]), items=items)
    late = whole.interactions.timestamp >= 4
    return whole.subset(whole.interactions.take(~late)), whole.subset(whole.interactions.take(late))


@pytest.fixture(scope="module")
def cascade(parts):
    """Three candidates: a, b, c for u and b, c, d for v, who has seen a."""
    schema = parts[0].schema
    retriever, ranker = Fixed(schema, [9, 8, 7, 6, 5, 4]), Table(schema, RANKED, max_history=1)
    return Recommender(retriever, parts[0], k=2, num_candidates=3, ranker=ranker)


def rows_of(parts, *ids):
    return [parts[0].schema.item_rows(np.array(list(one), object)).tolist() for one in ids]


def test_the_candidates_and_what_each_stage_says_of_them(parts, cascade):
    users = parts[0].schema.user_rows(np.array(["u", "v"], object))
    pool = CandidatePool.of(cascade, users, k=2)
    assert pool.rows.tolist() == rows_of(parts, "abc", "bcd")
    assert pool.scores["retrieval"].tolist() == [[9, 8, 7], [8, 7, 6]]
    # Both have one item in the history, which is worth 0.01.
    expected = np.array([[0.1, 0.2, 0.6], [0.2, 0.6, 0.3]]) + 0.01
    np.testing.assert_allclose(pool.scores["ranking"], expected, rtol=1e-6)
    np.testing.assert_allclose(pool.predictions["relevance"], expected, rtol=1e-6)
    np.testing.assert_allclose(pool.predictions["rating"], 1 + 4 * expected, rtol=1e-6)
    assert pool.lists("retrieval", 2).tolist() == rows_of(parts, "ab", "bc")
    assert pool.lists("ranking", 2).tolist() == rows_of(parts, "cb", "cd")


def test_the_measures_by_hand(parts, cascade):
    users = parts[0].schema.user_rows(np.array(["u", "v"], object))
    pool = CandidatePool.of(cascade, users, k=2)
    (c, e), (b,) = rows_of(parts, "ce", "b")
    relevant = np.array([c, e, b]), np.array([0, 2, 3])
    found = pool.measures(relevant, ratings_of(parts[1].interactions, users, pool.rows))
    assert list(found) == ["retrieval", "ranking"]
    retrieval, ranking = found["retrieval"], found["ranking"]
    # u's e is no candidate.
    assert retrieval["pool_recall"] == pytest.approx((1 / 2 + 1) / 2)
    # Relevant: c with 7 and b with 8; the others 9, 8 and 7, 6. Of 8 pairs 7 wins 1 and ties once, 8 wins 2 and ties
    # once.
    assert retrieval["auc"] == pytest.approx((1 + 0.5 + 2 + 0.5) / 8)
    assert retrieval["gauc"] == pytest.approx((0 + 1) / 2)
    assert retrieval["pool_ndcg"] == pytest.approx((0.5 + 1) / 2)
    # Relevant: .61 and .21; the others .11, .21 and .61, .31: .61 wins 3 and ties once, .21 wins 1 and ties once.
    assert ranking["auc"] == pytest.approx((3 + 0.5 + 1 + 0.5) / 8)
    assert ranking["gauc"] == pytest.approx((1 + 0) / 2)
    assert ranking["pool_ndcg"] == pytest.approx((1 + 0.5) / 2)
    # Of all six: -ln .89, .79, .61; .21, .39, .69.
    logs = np.log([0.89, 0.79, 0.61, 0.21, 0.39, 0.69])
    assert ranking["log_loss"] == pytest.approx(-logs.mean(), rel=1e-5)
    # Bins of 1/15: .11 | .21 twice, one of them relevant | .31 | .61 twice, one of them relevant.
    assert ranking["ece"] == pytest.approx((0.11 + 2 * 0.29 + 0.31 + 2 * 0.11) / 6, rel=1e-5)
    # Rated among the candidates: c by u with 5 for 3.44, b by v with 5 for 1.84.
    assert ranking["rmse"] == pytest.approx(np.sqrt((1.56**2 + 3.16**2) / 2), rel=1e-5)


def test_what_was_foreseen_beside_what_came(parts, cascade):
    users = parts[0].schema.user_rows(np.array(["u", "v"], object))
    pool = CandidatePool.of(cascade, users, k=2)
    (c,), (b,) = rows_of(parts, "c", "b")
    curve = pool.reliability((np.array([c, b]), np.array([0, 1, 2])))
    # Six candidates with .11, .21, .61 (relevant) and .21 (relevant), .61, .31, of which equal ones stay together.
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.predicted[filled], [0.11, 0.21, 0.31, 0.61], rtol=1e-5)
    np.testing.assert_allclose(curve.observed[filled], [0, 0.5, 0, 0.5])
    assert curve.counts[filled].tolist() == [1, 2, 1, 2]


def test_without_held_out_ratings_there_is_no_error_of_them(parts, cascade):
    _, test = parts
    unrated = test.subset(replace(test.interactions, rating=None))
    assert "rmse" not in evaluate(cascade, unrated, k=2, baselines=()).stages["ranking"]


def test_an_evaluation_shows_which_stage_helps(parts, cascade, tmp_path):
    rec = cascade.with_reranker(MMR(k=2, diversity=0.9))
    result = evaluate(rec, parts[1], k=2, baselines=("popularity",))
    assert list(result.systems) == ["recommender", "ranking", "retrieval", "popularity"]
    assert result.lists["retrieval"].tolist() == rows_of(parts, "ab", "bc")
    assert result.lists["ranking"].tolist() == rows_of(parts, "cb", "cd")
    # u's first place of two relevant ones, v's of one.
    ideal = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(result.systems["ranking"]["ndcg@2"], [1 / ideal, 0])
    np.testing.assert_allclose(result.systems["retrieval"]["ndcg@2"], [0, 1])
    np.testing.assert_array_equal(result.lists["recommender"], rec.recommend_rows(result.users, k=2)[0])
    # Of another category than v's c is b, not d.
    assert result.lists["recommender"].tolist() == rows_of(parts, "cb", "cb")
    assert result.compare("ranking", "retrieval", "ndcg").users == 2
    assert "the candidates, by stage" in str(result)
    line = next(line for line in str(result).splitlines() if line.startswith("gauc"))
    assert line.split() == ["gauc", "0.5000", "0.5000"]
    written = json.loads(result.save(tmp_path).read_text())["stages"]
    assert set(written["retrieval"]) == {"pool_recall", "auc", "gauc", "pool_ndcg"}
    assert set(written["ranking"]) == {"auc", "gauc", "pool_ndcg", "log_loss", "ece", "rmse"}
    assert written["ranking"]["rmse"] == pytest.approx(2.49191, abs=1e-5)


def test_without_diversity_the_ranking_is_the_recommender_and_without_a_ranker_there_are_no_stages(
    parts, cascade
):
    result = evaluate(cascade, parts[1], k=2, baselines=())
    assert list(result.systems) == ["recommender", "retrieval"]
    assert result.lists["recommender"].tolist() == rows_of(parts, "cb", "cd")
    plain = evaluate(cascade.with_ranker(None), parts[1], k=2, baselines=())
    assert list(plain.systems) == ["recommender"]
    assert plain.stages == {}
    assert plain.to_json()["stages"] == {}
    assert "by stage" not in str(plain)
    np.testing.assert_array_equal(plain.lists["recommender"], result.lists["retrieval"])


def test_candidates_of_many_users_come_in_batches(cascade):
    pool = CandidatePool.of(cascade, np.array([0, 1, 2] * 100), k=2)
    assert pool.rows.shape == (300, 3)
    np.testing.assert_array_equal(pool.rows[::3], np.tile(pool.rows[:1], (100, 1)))


def test_the_graph_is_made_without_a_word_from_autograph(cascade):
    # What it cannot read it says so of on the terminal of `tfrec-div evaluate`; here it raises.
    assert "ranker" in tf.autograph.to_code(candidate_pool._said)


def test_nobody_has_no_candidates(cascade):
    with pytest.raises(ValueError, match="users: expected at least one, got none"):
        CandidatePool.of(cascade, np.zeros(0, np.int32))


def test_latency_names_the_stages_that_there_are(cascade):
    rec = cascade.with_reranker(MMR(k=2, diversity=0.5))
    users = np.array([0, 1, 2])
    assert list(stage_latency(rec, users, repeats=2)) == ["retrieval", "ranking", "re-ranking"]
    assert list(stage_latency(rec.with_ranker(None), users, repeats=2)) == ["retrieval", "re-ranking"]
    assert list(stage_latency(cascade.with_ranker(cascade.ranker, 0.0), users, repeats=2)) == ["retrieval"]
    with pytest.raises(ValueError, match="users: expected at least one, got none"):
        stage_latency(rec, [])
    with pytest.raises(ValueError, match="repeats: expected at least 1, got 0"):
        stage_latency(rec, users, repeats=0)


def test_latency_is_the_median_of_the_stage_alone(cascade, monkeypatch):
    clock = iter(np.cumsum([0, 9, 1, 7, 1, 1, 1, 3, 1, 2]))
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    found = stage_latency(cascade.with_ranker(None), np.array([0, 1]), repeats=3)
    # The first two of five, 9 and 7 seconds, are not counted: the median of 1, 3 and 2 is 2.
    assert found == {"retrieval": 2000.0}
    assert latency_line(found, 2) == "time of a batch of 2 users: retrieval 2000.0 ms (medians)"
