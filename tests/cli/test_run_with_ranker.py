"""The commands on a run whose recommender has a ranker: they need no further arguments."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tests.cli.test_cli import QUICK, tfrec_div
from tfrec_div.cli import main
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import ranking_lists
from tfrec_div.training.run_directory import RunDirectory


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    """A run whose recommender was given a ranker afterwards."""
    path = tmp_path_factory.mktemp("runs")
    td.write_folder(shop, path / "shop")
    words = ["--data", str(path / "shop"), "--out", str(path / "run"), *QUICK, "--test", "temporal"]
    assert main(["train", *words]) == 0
    folder = RunDirectory(path / "run").recommender
    recommender = td.load(folder)
    before, after = shop.split("temporal")
    lists = ranking_lists(recommender.retriever, before, after, num_candidates=20)
    ranker = Ranker(shop.schema, embedding_dim=4, hidden_units=(8,), interaction="wide_deep")
    ranker.fit(lists, epochs=2, verbose=0)
    recommender.ranker, recommender.ranker_weight, recommender.num_candidates = ranker, 0.8, 20
    shutil.rmtree(folder)
    recommender.save(folder)
    return path / "run"


def test_evaluate_shows_the_stages_and_their_times(run, capsys):
    assert main(["evaluate", "--run", str(run), "--k", "5"]) == 0
    said = capsys.readouterr().out
    assert "the candidates, by stage" in said
    times = r"time of a batch of \d+ users: retrieval [\d.]+ ms, ranking [\d.]+ ms, re-ranking [\d.]+ ms"
    assert re.search(times, said)
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["systems"])[:3] == ["recommender", "ranking", "retrieval"]
    assert 0 < metrics["stages"]["ranking"]["log_loss"] < 5
    assert 0 <= metrics["stages"]["retrieval"]["pool_recall"] <= 1


def test_recommend_in_a_process_of_its_own_gives_the_pages_of_the_cascade(run, tmp_path):
    recommender = td.load(run / "recommender")
    users = [*recommender.schema.user_ids[:7], "nobody"]
    pd.DataFrame({"user_id": users}).to_csv(tmp_path / "users.csv", index=False)
    out = tmp_path / "recs.csv"
    done = tfrec_div("recommend", "--run", run, "--users", tmp_path / "users.csv", "--k", 4, "--out", out)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(out, dtype={"user_id": str, "item_id": str})
    expected = recommender.recommend(users, k=4)
    assert found.item_id.tolist() == expected.item_ids.ravel().tolist()
    np.testing.assert_allclose(found.score, expected.scores.ravel(), rtol=1e-4, atol=1e-5)
    without = recommender.with_ranker(None).recommend(users, k=4)
    assert (without.rows != expected.rows).any()


def test_export_writes_a_version_that_ranks(run, tmp_path):
    assert main(["export", "--run", str(run), "--out", str(tmp_path / "shop")]) == 0
    manifest = json.loads((tmp_path / "shop" / "1" / "manifest.json").read_text())
    assert manifest["settings"]["ranker"]["model"] == "Ranker"
    assert manifest["settings"]["verified_users"] == 60
    assert "rank" in manifest["signatures"]
