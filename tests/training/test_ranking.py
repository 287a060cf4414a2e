"""`train` with a ranker: learned on what the retriever did not know, and served behind one that knows all."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.ranker import Ranker
from tfrec_div.training import ranking, train
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.train import train as train_run

QUICK = TrainConfig(
    model="ease",
    ranker="dcn",
    embedding_dim=128,
    epochs=1,
    batch_size=64,
    k=5,
    num_candidates=40,
    ratings=False,
)


@pytest.fixture(scope="module")
def shop():
    return td.make_synthetic(num_users=80, num_items=50, interactions_per_user=14, seed=3, images=False)


def run_of(data, config, path):
    return train_run(data, config, path, say=lambda line: None, verbose=0)


@pytest.fixture(scope="module")
def trained(shop, tmp_path_factory):
    return run_of(shop, QUICK, tmp_path_factory.mktemp("ranked") / "run")


def test_the_recommender_orders_by_the_ranker_and_is_read_again_so(shop, trained):
    recommender = trained.recommender
    assert isinstance(recommender.ranker, Ranker)
    assert any(
        line.startswith("The ranker takes the NDCG@10 of 40 candidates") for line in trained.announcements
    )
    users = list(recommender.schema.user_ids)
    loaded = td.load(trained.run.recommender)
    recommender.update_histories(shop.interactions)
    np.testing.assert_array_equal(
        loaded.recommend(users, diversity=0).item_ids, recommender.recommend(users, diversity=0).item_ids
    )
    assert not trained.run.ranker.exists()


def test_it_learns_on_what_the_retriever_was_not_trained_on(shop, tmp_path, monkeypatch):
    seen = {}
    real = ranking.ranking_lists

    def watch(retriever, history, targets, **kwargs):
        seen.update(history=history.interactions, targets=targets.interactions, retriever=retriever)
        return real(retriever, history, targets, **kwargs)

    monkeypatch.setattr(ranking, "ranking_lists", watch)
    run = run_of(shop, QUICK, tmp_path / "run")

    def pairs(log):
        return set(zip(log.user.tolist(), log.item.tolist(), log.timestamp.tolist(), strict=True))

    assert pairs(seen["history"]) | pairs(seen["targets"]) == pairs(run.train.interactions)
    assert not pairs(seen["history"]) & pairs(seen["targets"])
    assert run.recommender.retriever is not seen["retriever"]
    # What is popular is told by all that the served retriever knows: refreshing it once more changes nothing.
    ranker = run.recommender.ranker
    again = ranker.refreshed(run.train).get_weights()
    for mine, theirs in zip(ranker.get_weights(), again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    earlier = ranker.refreshed(run.train.subset(seen["history"])).get_weights()
    assert any((a != b).any() for a, b in zip(ranker.get_weights(), earlier, strict=True))


def test_an_interrupted_run_does_not_train_the_ranker_again(shop, tmp_path, monkeypatch):
    counted = []
    real = ranking.ranking_lists
    monkeypatch.setattr(ranking, "ranking_lists", lambda *a, **k: counted.append(1) or real(*a, **k))

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "fit_model", killed)
        with pytest.raises(KeyboardInterrupt):
            run_of(shop, QUICK, tmp_path / "run")
    run = run_of(shop, QUICK, tmp_path / "run")
    assert counted == [1]
    assert isinstance(run.recommender.ranker, Ranker)
    assert [line[:16] for line in run.announcements] == ["The ranker takes"]
    assert not (tmp_path / "run" / "ranker.json").exists()


def test_a_ranker_that_was_cut_off_while_it_was_saved_is_made_again(shop, tmp_path, monkeypatch):
    def killed(self, path):
        path.write_bytes(b"half of")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ranker, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run_of(shop, QUICK, tmp_path / "run")
    assert isinstance(run_of(shop, QUICK, tmp_path / "run").recommender.ranker, Ranker)


def test_no_more_candidates_are_told_of_than_there_are_items(shop, tmp_path):
    run = run_of(shop, replace(QUICK, num_candidates=500), tmp_path / "run")
    assert any("of 50 candidates from" in line for line in run.announcements)


def test_behind_an_ensemble_it_reads_what_each_member_says(shop, tmp_path):
    config = replace(QUICK, model="auto", features=("id", "history"), embedding_dim=8)
    recommender = run_of(shop, config, tmp_path / "run").recommender
    assert isinstance(recommender.retriever, Ensemble)
    assert recommender.ranker.signal_names == ("score", *recommender.retriever.members)


def test_beside_a_single_model_ease_is_heard_but_chooses_nothing(shop, tmp_path):
    config = replace(QUICK, model="most_popular", ranker_weight=0.0, reranker="none")
    recommender = run_of(shop, config, tmp_path / "run").recommender
    assert recommender.ranker.signal_names == ("score", "most_popular", "ease")
    single = recommender.retriever.members["most_popular"]
    query = single.query_of(shop, [0, 1])
    expected = single.retrieve(query, k=10)[0]
    np.testing.assert_array_equal(recommender.retriever.retrieve(query, k=10)[0], expected)


def test_with_few_users_the_retrievers_order_stays(tmp_path):
    few = td.make_synthetic(num_users=12, num_items=30, interactions_per_user=8, images=False)
    run = run_of(few, replace(QUICK, k=3), tmp_path / "run")
    assert run.recommender.ranker is None
    assert any(line.startswith("There are too few users who wanted something") for line in run.announcements)


def test_where_nothing_can_be_held_out_the_retrievers_order_stays(tmp_path):
    log = pd.DataFrame({"user_id": [f"u{n}" for n in range(40)], "item_id": [f"i{n % 8}" for n in range(40)]})
    config = replace(QUICK, test="none", reranker="none", k=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        run = run_of(td.from_frames(log), config, tmp_path / "run")
    assert run.recommender.ranker is None
    assert any("train a ranker on (0, at least 30)" in line for line in run.announcements)


def test_probabilities_are_for_users_who_want_none_of_the_candidates_too(shop, tmp_path, monkeypatch):
    made, asked = [], []
    real = ranking.ranking_lists

    def watch(*args, **kwargs):
        made.append(real(*args, **kwargs))
        return made[0]

    def calibrate(self, lists):
        asked.append(lists)

    monkeypatch.setattr(ranking, "ranking_lists", watch)
    monkeypatch.setattr(Ranker, "calibrate", calibrate)
    monkeypatch.setattr(ranking, "FEWEST_USERS", 10)
    met = []
    monkeypatch.setattr(Ranker, "fit", lambda self, lists, **kwargs: met.append(lists))
    run_of(shop, replace(QUICK, num_candidates=8), tmp_path / "run")
    wants, held = made[0].label.any(axis=1), asked[0].label.any(axis=1)
    # A tenth of those who want something, and a tenth of the others.
    assert (~wants).sum() > 10
    assert held.sum() == round(0.1 * wants.sum())
    assert (~held).sum() == round(0.1 * (~wants).sum())
    assert not np.isin(asked[0].user, met[0].user).any()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ranker", "gbdt", "one of none, dcn, deepfm, dlrm, wide_deep"),
        ("ranker_weight", 1.5, "a number from 0 to 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, value, expected):
    with pytest.raises(td.DataError, match=expected):
        TrainConfig(**{name: value})
