"""Several processes on this machine train one model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("cluster_script.py")


def addresses(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return found


def start(command, folder, name, cluster=None, task=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
    environment.pop("TF_CONFIG", None)
    if cluster is not None:
        kind, index = task
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
    log = (folder / f"{name}.log").open("w")
    words = [sys.executable, *map(str, command)]
    return subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)


def finish(processes, folder):
    try:
        for name, process in processes.items():
            assert process.wait(500) == 0, (folder / f"{name}.log").read_text()[-3000:]
    finally:
        for process in processes.values():
            process.kill()
            process.wait(30)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process and each of two workers give."""
    folder = tmp_path_factory.mktemp("cluster")
    cluster = {"worker": addresses(2)}
    workers = {
        f"worker{n}": start(
            [SCRIPT, "multi_worker", folder / f"{n}.json"], folder, f"worker{n}", cluster, ("worker", n)
        )
        for n in range(2)
    }
    finish(workers, folder)
    finish({"one": start([SCRIPT, "none", folder / "one.json"], folder, "one")}, folder)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("one", "0", "1")}


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_two_workers_give_the_loss_and_the_gradients_of_one(loss, found):
    one, first, second = (found[name][f"{loss}_step"] for name in ("one", "0", "1"))
    assert found["0"]["replicas"] == found["1"]["replicas"] == 2
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-6)
    assert second["loss"] == first["loss"]
    assert second["moved"] == first["moved"]
    for expected, moved in zip(one["moved"], first["moved"], strict=True):
        np.testing.assert_allclose(moved, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_two_workers_report_an_epoch_of_odd_batches_as_one_does(loss, found):
    one, first = (found[name][f"{loss}_epoch"] for name in ("one", "0"))
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-5)
    for metric, value in one["evaluated"].items():
        assert first["evaluated"][metric] == pytest.approx(value, rel=1e-3), metric
    assert found["1"][f"{loss}_epoch"]["evaluated"] == first["evaluated"]


@pytest.mark.slow
def test_workers_of_parameter_servers_train_and_the_chief_evaluates(tmp_path):
    free = addresses(5)
    cluster = {"chief": free[:1], "worker": free[1:3], "ps": free[3:]}
    servers, command = {}, [SCRIPT, "parameter_server", tmp_path / "found.json"]
    for kind, index in (("ps", 0), ("ps", 1), ("worker", 0), ("worker", 1)):
        servers[f"{kind}{index}"] = start(command, tmp_path, f"{kind}{index}", cluster, (kind, index))
    try:
        finish({"chief": start(command, tmp_path, "chief", cluster, ("chief", 0))}, tmp_path)
    finally:
        for server in servers.values():
            server.kill()
            server.wait(30)
    found = json.loads((tmp_path / "found.json").read_text())
    # Of the examples in training, whose histories end before their targets; in the validation here they do not.
    losses = found["history"]["loss"]
    # Some 300 examples, 32 a step: ten steps in each of six epochs, whichever worker takes them.
    assert found["steps"] == 60
    assert losses[-1] < losses[0] - 0.2
    served, alone = found["evaluated"]
    assert list(served) == ["loss", "recall_at_10", "ndcg_at_10", "mrr"]
    for metric, value in alone.items():
        assert served[metric] == pytest.approx(value, rel=1e-5), metric
        assert found["history"][f"val_{metric}"][-1] == pytest.approx(value, rel=1e-5), metric


TRAIN = [
    "-m", "tfrec_div", "train", "--features", "id,history", "--embedding-dim", "8", "--epochs", "2",
    "--batch-size", "64", "--seed", "1",
]  # fmt: skip


@pytest.mark.slow
def test_the_command_line_trains_on_two_workers_and_the_chief_alone_writes(shop, tmp_path):
    from tfrec_div.data.write import write_folder

    write_folder(shop, tmp_path / "data")
    cluster = {"worker": addresses(2)}
    workers, outs = {}, [tmp_path / "chief", tmp_path / "other"]
    for n, out in enumerate(outs):
        command = [*TRAIN, "--data", tmp_path / "data", "--out", out, "--strategy", "multi_worker"]
        workers[f"worker{n}"] = start(command, tmp_path, f"worker{n}", cluster, ("worker", n))
    finish(workers, tmp_path)
    alone = tmp_path / "alone"
    command = [*TRAIN, "--data", tmp_path / "data", "--out", alone, "--strategy", "none"]
    finish({"one": start(command, tmp_path, "one")}, tmp_path)
    assert not outs[1].exists()
    names = [sorted(path.name for path in out.iterdir()) for out in (outs[0], alone)]
    assert names[0] == names[1]
    histories = [json.loads((out / "history.json").read_text()) for out in (outs[0], alone)]
    assert list(histories[0]) == list(histories[1])
    # Dropout draws other numbers on each replica, so that the trainings are alike and not equal.
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=0.05)
    assert f"run: {outs[0]}" in (tmp_path / "worker0.log").read_text()
    said = (tmp_path / "worker1.log").read_text()
    assert "run:" not in said
    assert "This worker writes nothing" in said
