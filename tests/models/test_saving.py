"""Models as files: `.keras`, SavedModel, clones, and a run in a process without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.negatives import MemoryNegatives, MinedNegatives, UniformNegatives

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(parts, cache_dir):
    keras.utils.set_random_seed(0)
    train, _ = parts
    negatives = [UniformNegatives(10), MemoryNegatives(50), MinedNegatives(2, 4)]
    model = TwoTower(train.schema, text="tiny", embedding_dim=8, loss="in_batch", negatives=negatives)
    model.compile()
    model.adapt(train, cache_dir=cache_dir, progress=False)
    model.fit(train.batches(64), epochs=2, verbose=0)
    return model


def assert_same(model, again, data):
    query = model.query_of(data, range(10))
    expected, found = model.retrieve(query, k=5), again.retrieve(query, k=5)
    np.testing.assert_array_equal(expected[0], found[0])
    np.testing.assert_allclose(expected[1], found[1], rtol=1e-5)


def test_a_keras_file_holds_model_and_optimizer(trained, parts, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == trained.get_config()
    assert_same(trained, again, parts[0])
    steps = trained.optimizer.iterations.numpy()
    assert steps > 0
    assert again.optimizer.iterations.numpy() == steps
    for expected, found in zip(trained.optimizer.get_weights(), again.optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, found)
    # It goes on from there as the model itself would.
    copy = keras.models.load_model(tmp_path / "model.keras")
    losses = [one.fit(parts[0].batches(64), epochs=1, verbose=0).history["loss"][0] for one in (again, copy)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_weights_and_clones_round_trip(trained, parts, tmp_path):
    clone = keras.models.clone_model(trained)
    assert clone.get_config() == trained.get_config()
    trained.save_weights(tmp_path / "model.weights.h5")
    clone.load_weights(tmp_path / "model.weights.h5")
    assert_same(trained, clone, parts[0])


def test_the_saved_model_format_gives_the_model_back(trained, parts, tmp_path):
    trained.save(tmp_path / "saved", save_format="tf")
    assert_same(trained, keras.models.load_model(tmp_path / "saved"), parts[0])


def test_an_optimizer_of_keras_round_trips(shop, tmp_path):
    model = TwoTower(shop.schema, embedding_dim=4)
    model.compile(keras.optimizers.Adagrad(0.05))
    model.fit(shop.batches(64), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, keras.optimizers.Adagrad)
    assert float(again.optimizer.learning_rate) == pytest.approx(0.05)
    assert again.optimizer.iterations.numpy() == model.optimizer.iterations.numpy() > 0


ALONE = """
import socket, sys
def refuse(*_, **__):
    raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import tfrec_div as td
from tfrec_div._keras import keras
recommender = td.load(sys.argv[1])
print(",".join(recommender.recommend(["u01", "nobody"], k=3).item_ids.ravel()))
model = keras.models.load_model(sys.argv[2])
print(model.schema == recommender.schema)
"""


def test_a_restored_model_needs_neither_data_nor_network(trained, parts, tmp_path):
    recommender = trained.recommender(parts[0])
    recommender.save(tmp_path / "recommender")
    trained.save(tmp_path / "model.keras")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "none"), "TF_USE_LEGACY_KERAS": "1"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ALONE, tmp_path / "recommender", tmp_path / "model.keras"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    page, same = done.stdout.splitlines()[-2:]
    assert page.split(",") == list(recommender.recommend(["u01", "nobody"], k=3).item_ids.ravel())
    assert same == "True"


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_mixed_precision_trains_with_scores_in_float32(precision, loss, shop, tmp_path):
    keras.utils.set_random_seed(0)
    model = TwoTower(shop.schema, embedding_dim=8, loss=loss, precision=precision)
    model.compile()
    scaled = isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    losses = model.fit(shop.batches(64), epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.02
    assert model.item_tower.compute_dtype == precision.removeprefix("mixed_")
    assert all(v.dtype == tf.float32 for v in model.trainable_variables)
    assert model.query_vectors(model.query_of(shop, [0])).dtype == tf.float32
    assert keras.mixed_precision.global_policy().name == "float32"
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.item_tower.compute_dtype == precision.removeprefix("mixed_")
    assert_same(model, again, shop)


def test_an_unknown_precision_is_refused(shop):
    with pytest.raises(ValueError, match=r"precision: expected one of .*mixed_float16.* got 'float8'"):
        TwoTower(shop.schema, precision="float8")
