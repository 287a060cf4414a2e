from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import tfrec_div as td
from tfrec_div.evaluation.ensemble_weights import tune_ensemble
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.training import auto, earlier, train
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.run_directory import RunDirectory
from tfrec_div.training.train import train as train_run

QUICK = TrainConfig(features=("id", "history", "categories"), embedding_dim=8, epochs=1, batch_size=64, k=5)


@pytest.fixture(scope="module")
def shop():
    return td.make_synthetic(num_users=60, num_items=50, interactions_per_user=14, seed=3, images=False)


@pytest.fixture(scope="module")
def trained(shop, tmp_path_factory):
    return train_run(shop, QUICK, tmp_path_factory.mktemp("auto") / "run", say=lambda line: None, verbose=0)


def test_the_default_is_several_models_weighed_by_groups_of_users(trained):
    assert TrainConfig().model == "auto"
    model = trained.recommender.retriever
    assert isinstance(model, Ensemble)
    assert isinstance(next(iter(model.members.values())), TwoTower)
    found = json.loads(trained.run.ensemble.read_text())
    assert list(found) == ["none", "short", "long"]
    for group, weights in model.weights_by_group.items():
        assert sum(found[group]["weights"].values()) == pytest.approx(1.0)
        for name, weight in weights.items():
            assert weight == pytest.approx(found[group]["weights"][name])
    assert sum(line.startswith("Weights for users with ") for line in trained.announcements) == 3


def test_the_run_is_read_again_as_it_was_saved(shop, trained):
    loaded = td.load(trained.run.recommender)
    users = list(loaded.schema.user_ids)
    # What was saved has seen what was held out, too.
    trained.recommender.update_histories(shop.interactions)
    np.testing.assert_array_equal(
        loaded.recommend(users).item_ids, trained.recommender.recommend(users).item_ids
    )


@pytest.fixture
def watched(shop, tmp_path, monkeypatch):
    """A run of which it is noted what each member was trained on, and what was weighed on."""
    trained, weighed = [], []
    real = earlier.trained_model

    def train_and_note(name, data, config):
        trained.append((name, data.interactions))
        return real(name, data, config)

    for module in (earlier, auto):
        monkeypatch.setattr(module, "trained_model", train_and_note)

    def weigh(ensemble, fit, validation, **kwargs):
        weighed.extend([fit.interactions, validation.interactions])
        return tune_ensemble(ensemble, fit, validation, **kwargs)

    monkeypatch.setattr(auto, "tune_ensemble", weigh)

    run = train_run(shop, QUICK, tmp_path / "run", say=lambda line: None, verbose=0)
    return run, trained, weighed


def _pairs(events):
    return set(zip(events.user.tolist(), events.item.tolist(), events.timestamp.tolist(), strict=True))


def test_members_are_weighed_on_what_they_were_not_trained_on(watched):
    run, trained, (fit, validation) = watched
    train_part, held_out = _pairs(run.train.interactions), _pairs(run.test.interactions)
    assert [name for name, _ in trained[:3]] == ["two_tower", "ease", "most_popular"]
    for _, events in trained[:3]:
        assert _pairs(events) == _pairs(fit)
    assert not _pairs(fit) & _pairs(validation)
    assert _pairs(fit) | _pairs(validation) == train_part
    assert held_out
    assert not held_out & train_part
    # What is served is trained on all of the training part.
    assert trained[3:]
    for _, events in trained[3:]:
        assert _pairs(events) == train_part


@pytest.mark.parametrize(
    ("validation", "share", "counts"), [("temporal", 0.2, "relevant"), ("leave_one_out", 0.0, "all")]
)
def test_they_are_weighed_on_what_is_liked_of_the_last_fifth_or_on_the_last_one(
    validation, share, counts, shop, tmp_path, monkeypatch
):
    seen = []

    def watch(fit, validation, targets):
        seen.extend([fit.interactions, validation.interactions])
        assert targets == counts
        return np.zeros(0), np.zeros(0)

    monkeypatch.setattr(auto, "wanted_pairs", watch)
    config = replace(QUICK, validation=validation)
    run = train_run(shop, config, tmp_path / "run", say=lambda line: None, verbose=0)
    before = np.bincount(run.train.interactions.user, minlength=60)
    expected = np.maximum((share * before).astype(int), 1)
    np.testing.assert_array_equal(np.bincount(seen[1].user, minlength=60), expected)
    assert len(seen[0]) + len(seen[1]) == len(run.train.interactions)


def test_an_interrupted_run_does_not_weigh_the_models_again(shop, tmp_path, monkeypatch):
    counted = []
    real = auto.tune_ensemble
    monkeypatch.setattr(
        auto, "tune_ensemble", lambda *args, **kwargs: counted.append(1) or real(*args, **kwargs)
    )

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "fit_model", killed)
        with pytest.raises(KeyboardInterrupt):
            train_run(shop, QUICK, tmp_path / "run", say=lambda line: None, verbose=0)
    run = train_run(shop, QUICK, tmp_path / "run", say=lambda line: None, verbose=0)
    assert counted == [1]
    assert isinstance(run.recommender.retriever, Ensemble)
    assert any(line.startswith("Weights for users with a long history") for line in run.announcements)


def test_with_little_data_the_two_towers_are_used_alone(tmp_path):
    few = td.make_synthetic(num_users=12, num_items=30, interactions_per_user=8, images=False)
    run = train_run(few, replace(QUICK, k=3), tmp_path / "run", say=lambda line: None, verbose=0)
    assert isinstance(run.recommender.retriever, TwoTower)
    assert any(
        line.startswith("There are too few interactions to weigh models by") for line in run.announcements
    )


def test_a_member_that_counts_nowhere_is_left_out(shop, tmp_path):
    def weighed(**weights):
        run = RunDirectory(tmp_path)
        one = {"weights": weights, "users": 50, "ndcg": 0.5, "alone": weights}
        run.ensemble.write_text(json.dumps(dict.fromkeys(("none", "short", "long"), one)))
        return auto.weigh_models(None, QUICK, run, announce=lambda line: None)

    first = TwoTower(shop.schema, embedding_dim=8)
    weights = weighed(two_tower=0.9, ease=0.01, most_popular=0.09)
    model = auto.assemble(first, weights, shop, QUICK, say=lambda line: None)
    assert list(model.members) == ["two_tower", "most_popular"]
    assert model.members["two_tower"] is first
    assert isinstance(model.members["most_popular"], MostPopular)
    np.testing.assert_allclose(model.group_weights, [[0.9, 0.09]] * 3, rtol=1e-6)
    assert weighed(two_tower=1.0, ease=0.0, most_popular=0.0) is None
