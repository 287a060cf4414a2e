"""What a training shows of itself, as TensorBoard's own process serves it."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tfrec_div.training.config import TrainConfig
from tfrec_div.training.train import train

QUICK = TrainConfig(
    model="two_tower", features=("id", "history", "categories"), embedding_dim=8, epochs=6, batch_size=64, k=5
)


@pytest.fixture(scope="module")
def trained(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(shop, QUICK, out, say=lambda _: None, verbose=0)


class Board:
    """A TensorBoard on this machine."""

    def __init__(self, logs):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        words = ["--logdir", str(logs), "--host", "127.0.0.1", "--port", port, "--load_fast", "false"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def get(self, path: str, body: dict | None = None, **query) -> bytes:
        url = f"{self.address}/data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=60
        ) as answer:
            return answer.read()

    def json(self, path: str, body: dict | None = None, **query):
        return json.loads(self.get(path, body, **query))

    def wait(self) -> Board:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            assert self.process.poll() is None, "TensorBoard has ended"
            try:
                if {"two_tower/train", "two_tower/validation"} <= set(self.json("runs")):
                    return self
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.3)
        raise AssertionError("TensorBoard shows no runs")


@pytest.fixture(scope="module")
def board(trained):
    board = Board(trained.run.logs)
    try:
        yield board.wait()
    finally:
        board.process.terminate()
        board.process.wait(30)


def scalars(board, run, tag):
    return [value for _, _, value in board.json("plugin/scalars/scalars", run=run, tag=tag)]


def test_losses_metrics_and_learning_rate_are_scalars(board, trained):
    tags = board.json("plugin/scalars/tags")
    assert {"epoch_loss", "epoch_learning_rate"} <= set(tags["two_tower/train"])
    beyond = {f"epoch_{name}@5" for name in ("ndcg", "recall", "ild_vectors", "novelty", "coverage")}
    # Of single targets, beside those of pages.
    assert {"epoch_loss", "epoch_mrr", "epoch_ndcg_at_10", "epoch_recall_at_10"} | beyond <= set(
        tags["two_tower/validation"]
    )
    for run, tag, name in (
        ("two_tower/train", "epoch_loss", "loss"),
        ("two_tower/validation", "epoch_ild_vectors@5", "val_ild_vectors@5"),
    ):
        shown = scalars(board, run, tag)
        assert len(shown) == 6
        np.testing.assert_allclose(shown, trained.history[name], rtol=1e-5)
    rates = scalars(board, "two_tower/train", "epoch_learning_rate")
    # It falls along a cosine to zero; 3e-3 is where it begins.
    assert rates == sorted(rates, reverse=True)
    assert 2e-3 < rates[0] < 3e-3
    assert rates[-1] < 1e-4


def test_histograms_of_what_is_trained_every_few_epochs(board, trained):
    tags = board.json("plugin/histograms/tags")["two_tower/train"]
    weights = trained.recommender.retriever.trainable_variables
    assert len(tags) == len({variable.name for variable in weights})
    assert any("item_bias" in tag for tag in tags)
    found = board.json("plugin/histograms/histograms", run="two_tower/train", tag=next(iter(tags)))
    assert [step for _, step, _ in found] == [0, 5]


def test_the_graph_of_a_training_step(board):
    assert board.json("plugin/graphs/info")["two_tower/train"]["run_graph"]
    graph = board.get("plugin/graphs/graph", run="two_tower/train", conceptual="false")
    assert b"query_tower" in graph


def test_the_settings_are_on_the_hparams_page_with_the_metrics(board, trained):
    metric = {"group": "validation", "tag": "epoch_ndcg@5"}
    body = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [{"metric": metric}],
        "startIndex": 0,
        "sliceSize": 9,
    }
    (group,) = board.json("plugin/hparams/session_groups", body)["sessionGroups"]
    assert group["hparams"]["batch_size"] == 64
    assert group["hparams"]["features"] == "id,history,categories"
    assert group["hparams"]["reranker"] == "mmr"
    shown = {(value["name"]["group"], value["name"]["tag"]): value for value in group["metricValues"]}
    last = shown["validation", "epoch_ndcg@5"]
    assert last["value"] == pytest.approx(trained.history["val_ndcg@5"][-1], rel=1e-5)
    assert ("validation", "epoch_ild_vectors@5") in shown


def test_item_vectors_are_in_the_projector_with_titles_and_thumbnails(board, trained, shop):
    (run,) = board.json("plugin/projector/runs")
    (embedding,) = board.json("plugin/projector/info", run=run)["embeddings"]
    name = embedding["tensorName"]
    vectors = np.frombuffer(board.get("plugin/projector/tensor", run=run, name=name), np.float32)
    expected = trained.recommender.retriever.item_vectors().numpy()[:, :-1]
    np.testing.assert_allclose(vectors.reshape(50, -1), expected, rtol=1e-4, atol=1e-6)
    lines = board.get("plugin/projector/metadata", run=run, name=name).decode().rstrip("\n").split("\n")
    header, *rows = [line.split("\t") for line in lines]
    assert header[:2] == ["title", "item_id"]
    assert [row[0] for row in rows] == shop.catalog.titles()
    written = [set(cell.split("|")) for cell in shop.catalog.columns["categories"]]
    assert [set(row[2].split("|")) for row in rows] == written
    sprite = Image.open(io.BytesIO(board.get("plugin/projector/sprite_image", run=run, name=name)))
    side = embedding["sprite"]["singleImageDim"]
    # 50 thumbnails make a square of 8 by 8 places.
    assert (side, sprite.size) == ([48, 48], (8 * 48, 8 * 48))
    place = int(np.flatnonzero(shop.catalog.has_image)[10])
    left, top = place % 8 * 48, place // 8 * 48
    shown = np.asarray(sprite.crop((left + 8, top + 8, left + 40, top + 40)), float)
    picture = Image.open(io.BytesIO(shop.catalog.image_bytes(place))).convert("RGB")
    # The pictures of the shop are 32 pixels wide: smaller than their place, and so in the middle of it.
    np.testing.assert_allclose(shown, np.asarray(picture, float), atol=8)
