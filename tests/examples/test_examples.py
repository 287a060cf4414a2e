"""The examples are short, run as they stand, and say what they promise."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "system_a_bert_recommender",
        "system_b_encoder_decoder",
        "system_c_cross_modal",
        "system_d_interest_fusion",
        "system_e_sparse_interests",
    ],
)
def test_an_example_is_under_60_lines(name):
    assert len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) < 60


@pytest.mark.timeout(120)
def test_system_a_compares_bert_with_ids_in_relevance_and_diversity(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path))
    results = example("system_a_bert_recommender").main(["--epochs", "1"])
    assert list(results) == ["BERT", "ids"]
    for result in results.values():
        assert {"precision@10", "recall@10", "f1@10", "ild_categories@10", "novelty@10"} <= set(result)
    assert results["BERT"] != results["ids"]
    printed = capsys.readouterr().out
    assert "most probable for the first user: " in printed
    assert f"{results['BERT']['novelty@10']['mean']:.4f}" in printed


@pytest.mark.timeout(120)
def test_system_b_gives_a_distribution_and_a_page_and_exports_them(capsys, tmp_path):
    target = tmp_path / "model"
    results = example("system_b_encoder_decoder").main(["--epochs", "2", "--export", str(target)])
    assert {"recommender", "popularity"} <= set(results)
    printed = capsys.readouterr().out
    assert re.search(r"^1\.000 in all; .+ 0\.\d{3}, .+ 0\.\d{3}$", printed, re.MULTILINE)
    assert len(re.search(r"^page: (.*)$", printed, re.MULTILINE).group(1).split(", ")) == 10
    assert f"ndcg@10 {results['recommender']['ndcg@10']['mean']:.4f}" in printed
    assert (target / "1" / "saved_model.pb").is_file()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fusion", ["projected", "cross_modal"])
def test_system_c_fuses_text_and_pictures_and_makes_pages_diverse(fusion, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path))
    arguments = ["--epochs", "1", "--fusion", fusion, "--diversity", "0.6"]
    results = example("system_c_cross_modal").main(arguments)
    diverse, plain = results["recommender"], results["recommender, diversity 0"]
    assert diverse["ild_vectors@10"]["mean"] > plain["ild_vectors@10"]["mean"]
    printed = capsys.readouterr().out
    assert "weight of each modality: {'text': 0." in printed
    assert "'image': 0." in printed


@pytest.mark.timeout(120)
def test_system_e_serves_sparse_users_with_and_without_bert(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path))
    results = example("system_e_sparse_interests").main(["--epochs", "1"])
    assert list(results) == ["deep MF", "with BERT"]
    for result in results.values():
        assert {"precision@10", "recall@10", "f1@10"} <= set(result)
    assert results["deep MF"] != results["with BERT"]
    printed = capsys.readouterr().out
    assert "with BERT, to somebody new: i" in printed
    assert f"{results['with BERT']['recall@10']['mean']:.4f}" in printed


@pytest.mark.timeout(120)
def test_system_d_fuses_dimensions_and_says_what_they_count_for(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path))
    found = example("system_d_interest_fusion").main(["--epochs", "1", "--alone", "brand"])
    assert list(found) == ["brand", "fusion"]
    printed = capsys.readouterr().out
    assert f"fusion           NDCG@10 {found['fusion']:.4f}" in printed
    weights = re.search(r"weights of user \S+: (.*)", printed).group(1).split(", ")
    assert [weight.split()[0] for weight in weights][-2:] == ["brand", "collaborative"]
    assert sum(float(weight.split()[1]) for weight in weights) == pytest.approx(1, abs=0.05)
