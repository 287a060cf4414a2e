"""Each modality alone finds the interests that were planted in it, on items that training has not met."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tfrec_div.data.synthetic import make_synthetic

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "modalities.py"


def benchmark():
    spec = importlib.util.spec_from_file_location("modalities", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_correlation_with_the_truth_is_one_for_the_truth_and_zero_for_chance():
    module = benchmark()
    truth = make_synthetic(60, 40, 5, images=False).truth
    cold = np.arange(40)
    users = np.repeat(np.arange(60), 40)
    liked = truth.match("theme", users, np.tile(cold, 60), np.full(2400, truth.end)).reshape(60, 40)
    found = module.follows(3 * liked + 7, cold, truth, "theme")
    assert np.nanmin(found) == pytest.approx(1, abs=1e-4)
    assert np.isnan(found[truth.interests[:, 0] == 0]).all()
    chance = module.follows(np.random.default_rng(0).random((60, 40)), cold, truth, "theme")
    assert abs(np.nanmean(chance)) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modality", "dimension"), [("text", "theme"), ("image", "look"), ("numbers", "price")]
)
def test_a_modality_recovers_what_was_planted_in_it(modality, dimension, monkeypatch, tmp_path):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path))
    module = benchmark()
    data = make_synthetic(600, 250, 30)
    train, _ = data.split("cold_items")
    cold = np.flatnonzero(train.interactions.item_counts() == 0)
    scores = module.cold_scores(train, cold, {modality}, "tiny", epochs=5)
    found = module.follows(scores, cold, data.truth, dimension)
    assert module.z_value(found) > 4
