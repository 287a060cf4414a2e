from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.errors import DataError
from tfrec_div.training.build import build_model
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.run_directory import RunDirectory, read_interactions
from tfrec_div.training.train import train

QUICK = TrainConfig(
    model="two_tower", features=("id", "history", "categories"), embedding_dim=8, epochs=4, batch_size=64, k=5
)


class Interrupted(Exception):
    pass


def interrupted(shop, out, epochs, monkeypatch):
    """Trains until some epochs' checkpoints have been written, then stops."""
    from tfrec_div.training.checkpoints import EpochCheckpoints

    original = EpochCheckpoints.on_epoch_end

    def stop(self, epoch, logs=None):
        original(self, epoch, logs)
        if epoch + 1 == epochs:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(EpochCheckpoints, "on_epoch_end", stop)
        with pytest.raises(Interrupted):
            train(shop, QUICK, out, say=lambda _: None, verbose=0)


def weights(trained):
    return trained.recommender.retriever.item_vectors().numpy()


@pytest.fixture(scope="module")
def whole(shop, tmp_path_factory):
    """An uninterrupted training, and its folder."""
    return train(shop, QUICK, tmp_path_factory.mktemp("runs") / "whole", say=lambda _: None, verbose=0)


def test_a_run_folder_holds_what_it_says(whole):
    run = whole.run
    assert run.recommender.is_dir()
    assert list(run.logs.rglob("events.out.tfevents.*"))
    assert len(json.loads(run.history.read_text())["loss"]) == 4
    assert not run.checkpoints.exists()
    known, held_out = read_interactions(run.interactions, whole.recommender.schema)
    assert known.equals(whole.train.interactions)
    assert held_out.equals(whole.test.interactions)


def test_an_interrupted_training_ends_as_the_uninterrupted_one(shop, whole, tmp_path, monkeypatch):
    interrupted(shop, tmp_path / "run", 2, monkeypatch)
    assert not (tmp_path / "run" / "recommender").exists()
    with pytest.raises(DataError, match="one that was interrupted"):
        RunDirectory.open(tmp_path / "run")
    said = []
    # Another state of the random generators, as another process has.
    keras.utils.set_random_seed(99)
    again = train(shop, QUICK, tmp_path / "run", say=said.append, verbose=0)
    assert "Going on after epoch 2 of 4." in said
    for name, values in whole.history.items():
        np.testing.assert_allclose(again.history[name], values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(weights(again), weights(whole), rtol=1e-4, atol=1e-5)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_it_is_said(shop, whole, tmp_path, monkeypatch):
    interrupted(shop, tmp_path / "run", 3, monkeypatch)
    last = next((tmp_path / "run" / "checkpoints").glob("epoch-3.data*"))
    last.write_bytes(b"\x00" * 100 + last.read_bytes()[100:200])
    said = []
    again = train(shop, QUICK, tmp_path / "run", say=said.append, verbose=0)
    assert any(
        line.startswith("The checkpoint epoch-3") and "the one before it is used" in line for line in said
    )
    assert "Going on after epoch 2 of 4." in said
    np.testing.assert_allclose(again.history["loss"], whole.history["loss"], rtol=1e-5)


def test_a_finished_run_is_not_trained_again(shop, whole):
    said = []
    again = train(shop, QUICK, whole.run.path, say=said.append, verbose=0)
    assert said == [f"{whole.run.path} holds this training already: nothing to do."]
    # The report of the main job shows pictures the second time, too.
    assert again.recommender.catalog.image_bytes(0) == shop.catalog.image_bytes(0) != b""
    np.testing.assert_array_equal(weights(again), weights(whole))


def test_a_folder_with_another_run_or_with_other_files_is_refused(shop, parts, whole, tmp_path):
    with pytest.raises(DataError, match='found "a run with epochs=4"'):
        train(shop, QUICK.updated(epochs=5), whole.run.path)
    with pytest.raises(DataError, match='found "a run on other data"'):
        train(parts[0], QUICK, whole.run.path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        DataError, match='expected a new or empty folder, or a run to go on with, found "other files"'
    ):
        train(shop, QUICK, tmp_path)


def test_data_that_differ_in_times_or_in_users_only_are_other_data(shop, whole):
    log, users = shop.interactions, shop.users
    later = replace(shop, interactions=replace(log, timestamp=log.timestamp + 60))
    column = users.columns["age"] + 1
    older = replace(shop, users=replace(users, columns={**users.columns, "age": column}))
    for other in (later, older):
        with pytest.raises(DataError, match='found "a run on other data"'):
            train(other, QUICK, whole.run.path)


def test_settings_that_no_model_or_split_can_use_leave_no_folder(shop, tmp_path):
    sparse = shop.subset(shop.interactions.take(shop.interactions.histories()[1][:-1]))
    for data, changes, message in (
        (
            shop,
            {"features": ("history",)},
            'features: expected some that give both towers .* found "history"',
        ),
        (shop, {"features": ("text",), "text": "tiny"}, "features: expected some that give both towers"),
        (shop, {"features": ("id", "text"), "text": "no such folder"}, "no such folder"),
        (sparse, {}, "interactions to test on after the split leave_one_out .--test chooses another."),
    ):
        with pytest.raises((DataError, FileNotFoundError), match=message):
            train(data, QUICK.updated(**changes), tmp_path / "run", say=lambda _: None, verbose=0)
        assert not (tmp_path / "run").exists()


def test_what_is_no_run_is_refused_by_name(shop, tmp_path):
    for text in ("[]", "{", '{"format": 1}', '{"format": 99, "config": {}, "data": "", "fingerprint": ""}'):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(DataError, match="expected the settings of a run"):
            train(shop, QUICK, tmp_path)


def test_a_run_killed_while_it_saved_leaves_no_draft_behind(shop, tmp_path, monkeypatch):
    interrupted(shop, tmp_path / "run", 4, monkeypatch)
    (tmp_path / "run" / ".recommender-x1y2").mkdir()
    again = train(shop, QUICK, tmp_path / "run", say=lambda _: None, verbose=0)
    assert not list((tmp_path / "run").glob(".*"))
    assert again.run.recommender.is_dir()


def test_a_full_disk_stops_training_with_pythons_own_error_and_it_goes_on_later(
    shop, whole, tmp_path, monkeypatch
):
    def no_space(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "epoch-1.data; No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", no_space)
        with pytest.raises(OSError, match="No space left on device"):
            train(shop, QUICK, tmp_path / "run", say=lambda _: None, verbose=0)
    again = train(shop, QUICK, tmp_path / "run", say=lambda _: None, verbose=0)
    np.testing.assert_allclose(again.history["loss"], whole.history["loss"], rtol=1e-5)


def test_the_saved_recommender_knows_what_was_held_out(whole, shop):
    from tfrec_div.storage import load_recommender

    saved = load_recommender(whole.run.recommender)
    np.testing.assert_array_equal(saved.item_counts, shop.interactions.item_counts())
    np.testing.assert_array_equal(whole.recommender.item_counts, whole.train.interactions.item_counts())


def test_a_run_can_be_moved(whole, tmp_path):
    from tfrec_div.storage import load_recommender

    shutil.copytree(whole.run.path, tmp_path / "moved")
    moved = load_recommender(RunDirectory.open(tmp_path / "moved").recommender)
    assert moved.recommend(["u01"]).item_ids.shape == (1, 5)


def test_without_weights_it_says_what_it_does_instead(shop, monkeypatch):
    monkeypatch.setattr("tfrec_div.training.build.find_image_weights", lambda _: None)
    from tfrec_div.towers import pretrained

    tiny = pretrained.find_text_model("tiny")
    monkeypatch.setattr(
        "tfrec_div.training.build.find_text_model", lambda name: tiny if name == "tiny" else None
    )
    model, said = build_model(shop, TrainConfig())
    assert model.image_encoder is None
    assert model.text_encoder.dim == 64
    assert any(
        line.startswith("No BERT weights were found: texts are read by the tiny random model")
        for line in said
    )
    assert any(line.startswith("No ImageNet weights were found: pictures are not read") for line in said)
    model, said = build_model(shop, TrainConfig(features=("id", "image"), image_size=32))
    assert model.image_encoder.dim == 2048
    assert any("ResNet50 with random weights, as asked for" in line for line in said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", 'column epoch: expected one of batch_size, .* found "epoch"'),
        ("- a\n- b", "expected settings as 'name: value'"),
        (
            "model: three_tower",
            'config.yaml, model: expected one of auto, two_tower, .*, found "three_tower"',
        ),
        ("epochs: 0", 'epochs: expected a whole number from 1 to 2147483647, found "0"'),
        ("epochs: 2.5", 'epochs: expected a whole number .* found "2.5"'),
        ("k: many", 'k: expected a whole number .* found "many"'),
        ("seed: -1", 'seed: expected a whole number from 0 .* found "-1"'),
        ("seed: 5000000000", "seed: expected a whole number from 0 to 2147483647"),
        ("image_size: 1", 'image_size: expected a whole number from 32 .* found "1"'),
        ("features: history", 'features: expected a list of names, found "history"'),
        ("reranker: best", 'reranker: expected one of mmr, msd, .*, none, found "best"'),
        ("test_fraction: 2", 'test_fraction: expected a share between 0 and 1, found "2"'),
        ("diversity: high", 'diversity: expected a level from 0 to 1, found "high"'),
        ("negatives: mined", 'negatives: expected a list of names, found "mined"'),
        ("negatives: [hard]", 'negatives: expected one of uniform, memory, mined, shown, found "hard"'),
        ("negatives: [mined, mined]", 'negatives: expected each kind once, found "mined, mined"'),
        (
            "trainable_layers: top",
            'trainable_layers: expected none, all or a whole number from 0, found "top"',
        ),
        ("trainable_layers: true", 'trainable_layers: expected none, all or a whole .* found "True"'),
        ("text_fields: []", "text_fields: expected a list of names, or a mapping from names to such lists"),
        ("text_fields: {a: [1]}", "text_fields: expected a list of names, or a mapping"),
        (
            "user_text: mood",
            'user_text: expected one of none, features, history_titles, reviews, found "mood"',
        ),
        ("item_id_dropout: 1", 'item_id_dropout: expected a share from 0 to less than 1, found "1"'),
        ("a: [", "expected a YAML or JSON file"),
    ],
)
def test_a_config_file_that_does_not_fit_is_refused_by_name(text, message, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        TrainConfig.read(file)


def test_a_config_file_is_read(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"epochs": 3, "features": ["id", "history"]}')
    config = TrainConfig.read(file)
    assert (config.epochs, config.features, config.seed) == (3, ("id", "history"), 0)
    assert TrainConfig(**config.to_json()) == config


def test_a_config_file_says_what_is_read_and_what_is_trained(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "trainable_layers: 2\ntext_fields: {title: title, about: [description, reviews]}\n"
        "negatives: [uniform, mined]\nitem_id_dropout: 0.2\nuser_text: reviews\n"
    )
    config = TrainConfig.read(file)
    assert config.text_fields == {"title": ["title"], "about": ["description", "reviews"]}
    assert (config.trainable_layers, config.negatives) == (2, ("uniform", "mined"))
    assert (config.item_id_dropout, config.user_text) == (0.2, "reviews")
    assert TrainConfig(**json.loads(json.dumps(config.to_json()))) == config
    assert TrainConfig(text_fields=["title"]).text_fields == ("title",)


def test_the_settings_reach_the_model(shop):
    config = TrainConfig(
        features=("id", "history", "text"),
        text="tiny",
        max_tokens=16,
        trainable_layers=1,
        text_fields={"title": "title", "about": "description"},
        negatives=("uniform", "memory", "mined"),
        item_id_dropout=0.25,
        user_text="history_titles",
    )
    model, _ = build_model(shop, config)
    assert model.text_encoder.trainable_layers == 1
    assert list(model.texts) == ["text/title", "text/about"]
    assert [type(kind).__name__ for kind in model.sampling.negatives] == [
        "UniformNegatives",
        "MemoryNegatives",
        "MinedNegatives",
    ]
    assert model.item_id_dropout.rate == 0.25
    assert model.user_text == "history_titles"
    assert type(model.task).__name__ == "InBatchSoftmax"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text_fields": ["plot"]}, r"text_fields: expected some of \['title', .*found \"\['plot'\]"),
        ({"trainable_layers": 7}, 'trainable_layers: expected 0 to the 2 of this model, found "7"'),
        ({"max_tokens": 600}, 'max_tokens: expected at most 512, the positions of this model, found "600"'),
        (
            {"user_text": "features"},
            "user_text: expected another value, since .* needs a text feature of the users",
        ),
        ({"negatives": ["shown"]}, "negatives: expected a data set with impressions for 'shown'"),
        ({"features": ["id"], "trainable_layers": 1}, "trainable_layers: expected items with a text"),
        ({"features": ["id"], "text_fields": ["title"]}, "text_fields: expected items with a text"),
    ],
)
def test_settings_that_the_data_or_the_model_do_not_fit_are_refused_by_name(shop, settings, message):
    data = replace(shop, impressions=None)
    with pytest.raises(DataError, match=message):
        build_model(data, TrainConfig(**{"features": ["id", "text"], "text": "tiny", **settings}))


KILLED = """
import os, signal, sys
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.training.config import TrainConfig
from tfrec_div.training import train as module
from tfrec_div._keras import keras

class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        # In the middle of the third epoch.
        if int(self.model.optimizer.iterations) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

fit = module.TwoTower.fit
def fit_until_killed(self, *arguments, callbacks, **options):
    return fit(self, *arguments, callbacks=[*callbacks, Kill()], **options)
module.TwoTower.fit = fit_until_killed
data = make_synthetic(num_users=60, num_items=50, interactions_per_user=12, seed=3, images=False)
config = TrainConfig(
    model="two_tower", features=("id", "history", "categories"), embedding_dim=8, epochs=4, batch_size=64, k=5
)
module.train(data, config, sys.argv[1], verbose=0)
"""


@pytest.mark.slow
def test_kill_9_during_an_epoch_then_the_same_command_gives_the_same_metrics(tmp_path):
    def run(out, steps):
        command = [sys.executable, "-c", KILLED, str(tmp_path / out), str(steps)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    assert run("whole", -1).returncode == 0
    assert run("killed", 25).returncode == -signal.SIGKILL
    assert len(json.loads((tmp_path / "killed/history.json").read_text())["loss"]) == 2
    again = run("killed", -1)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "Going on after epoch 2 of 4." in again.stdout
    expected, found = (
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("whole", "killed")
    )
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "ease", "precision": "mixed_bfloat16"},
            "precision: expected no such setting with the model ease",
        ),
        (
            {"model": "deep_mf", "trainable_layers": 1},
            "trainable_layers: expected no such setting with .* deep_mf",
        ),
        ({"model": "multi_interest", "negatives": ("memory",)}, "negatives: .* multi_interest"),
        (
            {"model": "encoder_decoder", "features": ("id", "image")},
            'features: expected some of id, history, text with the model encoder_decoder, found "image"',
        ),
        (
            {"model": "interest_fusion", "features": ("id",)},
            "features: .* interest_fusion, which does not read it",
        ),
    ],
)
def test_settings_that_the_model_does_not_read_are_refused(shop, settings, message, tmp_path):
    with pytest.raises(DataError, match=message):
        train(shop, TrainConfig(**settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "model",
    [
        "multi_interest",
        "interest_fusion",
        "deep_mf",
        "encoder_decoder",
        "ease",
        "mult_vae",
        "most_popular",
    ],
)
def test_every_model_can_be_asked_for_by_name(shop, model, tmp_path):
    config = TrainConfig(model=model, epochs=1, batch_size=64, k=5, text="auto")
    run = train(shop, config, tmp_path / "run", say=lambda line: None, verbose=0)
    assert run.recommender.recommend(["nobody"]).item_ids.shape == (1, 5)
    assert type(run.recommender.retriever).__name__.lower() == model.replace("_", "")
