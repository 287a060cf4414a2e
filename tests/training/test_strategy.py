from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec_div._keras import tf
from tfrec_div.data.errors import DataError
from tfrec_div.training.strategy import resolve_strategy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found():
    """What one device and two logical ones give."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
    script = Path(__file__).with_name("strategy_script.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name", ["full", "in_batch", "negatives", "encoder_decoder_full", "encoder_decoder_sampled"]
)
def test_two_replicas_give_the_loss_and_the_gradients_of_one(name, found):
    one, two = found[name]["loss"]
    assert two == pytest.approx(one, rel=1e-6)
    assert found[name]["gradient"] < 1e-4


@pytest.mark.parametrize("name", ["full_epoch", "in_batch_epoch"])
def test_an_epoch_with_batches_that_do_not_divide_ends_and_reports_alike(name, found):
    one, two = found[name]["loss"]
    assert two == pytest.approx(one, rel=1e-5)
    for metric, value in found[name]["evaluated"][0].items():
        assert found[name]["evaluated"][1][metric] == pytest.approx(value, rel=1e-3), metric


def test_a_text_model_that_is_trained_learns_on_two_replicas_what_it_learns_on_one(found):
    one, two = found["trained"]["loss"]
    assert two == pytest.approx(one, rel=1e-6)
    assert all(difference < 1e-4 for difference in found["trained"]["gradient"])
    # Of the sixteen weights of its last layer all but the bias of the keys move.
    assert found["trained"]["bert_moved"] == 15


def test_pages_are_measured_under_a_strategy_as_without(found):
    one, two = found["beyond"]
    assert list(one) == list(two)
    assert {"val_ndcg@5", "val_ild_vectors@5", "val_coverage@5"} <= set(one)
    for name, values in one.items():
        assert two[name] == pytest.approx(values, abs=2e-3), name


def test_negatives_of_plain_tfrs_are_local_to_a_replica_and_ours_are_not(found):
    assert found["replicas"] == 2
    assert found["tfrs"] == pytest.approx(math.log(128), rel=1e-5)
    assert found["ours"] == pytest.approx(math.log(256), rel=1e-5)


def test_each_replica_gets_its_own_part_of_a_batch(found):
    assert sorted(found["parts"]) == [30, 31]
    assert found["each_once"]


def test_dropout_counts_each_step_once(found):
    counted, expected = found["dropout_steps"]
    assert counted == expected
    assert 0 < found["default_loss"] < math.log(50)


def test_a_strategy_is_a_name_or_an_object():
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"])
    assert resolve_strategy(mirrored) is mirrored
    assert resolve_strategy("auto").num_replicas_in_sync == 1
    assert resolve_strategy("mirrored") is resolve_strategy("mirrored")


@pytest.mark.parametrize("name", ["many", "cpu:", "cpu:0", "gpu:2"])
def test_unknown_strategies_are_refused(name):
    with pytest.raises(DataError, match=f'expected auto, none, mirrored, .* found "{name}"'):
        resolve_strategy(name)


def test_devices_that_are_in_use_cannot_be_divided():
    tf.zeros([1]).numpy()
    with pytest.raises(DataError, match="TensorFlow not to have used its devices yet"):
        resolve_strategy("cpu:2")
