"""Checkpoint folders of Transformers: what they say of the architecture and of the tokenizer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = ("model.safetensors", "tf_model.h5")
TOKENIZER_FILE = "tokenizer.json"

_SIZES = dict.fromkeys(
    ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
)
_BERT = {
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "pad_token_id": 0,
}
_ROBERTA = {**_BERT, "pad_token_id": 1}
# What a model needs besides its weights, and what Transformers takes where the file is silent; None: it must not be.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", **_SIZES, **_BERT},
    "distilbert": {
        "model_type": "distilbert",
        **dict.fromkeys(("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim")),
        "max_position_embeddings": 512,
        "sinusoidal_pos_embds": False,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "pad_token_id": 0,
    },
    "electra": {"model_type": "electra", **_SIZES, "embedding_size": None, **_BERT},
    "mpnet": {
        "model_type": "mpnet",
        **_SIZES,
        **{key: value for key, value in _ROBERTA.items() if key != "type_vocab_size"},
        "relative_attention_num_buckets": 32,
    },
    "roberta": {"model_type": "roberta", **_SIZES, **_ROBERTA},
    "xlm-roberta": {"model_type": "xlm-roberta", **_SIZES, **_ROBERTA},
    "albert": {
        "model_type": "albert",
        **_SIZES,
        **_BERT,
        "embedding_size": None,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0,
        "attention_probs_dropout_prob": 0,
    },
}


@dataclass(frozen=True)
class PretrainedText:
    """A text model that can be built: its architecture, its vocabulary and its weights file.

    Args:
        name: The name that was asked for.
        config: The architecture, in the keys of a Transformers `config.json`.
        vocabulary: WordPieces by id, or what `tokenizer_of` takes for another tokenizer.
        weights: The weights file, or `None` for random weights made from a fixed seed.
        source: Where it was found, in words for the user.
        lowercase: Whether the model reads lower-cased text without accents.
    """

    name: str
    config: dict
    vocabulary: Sequence[str] | Mapping[str, Any]
    weights: Path | None
    source: str
    lowercase: bool = True


def read_checkpoint(name: str, path: Path, source: str) -> PretrainedText:
    """Read a Transformers checkpoint folder (its weights are only located).

    The families are those of `ARCHITECTURES`. Their tokenizers run in the graph: BERT, DistilBERT, ELECTRA and MPNet
    read `vocab.txt`, RoBERTa `vocab.json` and `merges.txt` (either may be in `tokenizer.json` instead), ALBERT
    `spiece.model` and XLM-R `sentencepiece.bpe.model`.

    Args:
        name: The name to give it.
        path: The folder, with `config.json`, the tokenizer's files and `model.safetensors` or `tf_model.h5`.
        source: Where it was found, in words for the user.

    Returns:
        The model.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: It is of another family, a key of the architecture is missing, or its tokenizer has a setting
            that the one in the graph does not know.
    """
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"text model {name!r}: {path} has no config.json")
    given = _read_json(path / "config.json")
    kind = given.get("model_type")
    if kind not in ARCHITECTURES:
        raise ValueError(
            f"text model {name!r}: {path}/config.json: expected model_type {', '.join(ARCHITECTURES)}, got {kind!r}"
        )
    config = {key: given.get(key, default) for key, default in ARCHITECTURES[kind].items()}
    missing = sorted(key for key, value in config.items() if value is None)
    if missing:
        raise ValueError(f"text model {name!r}: {path}/config.json lacks {', '.join(missing)}")
    options = _read_json(path / "tokenizer_config.json")
    try:
        vocabulary = _READERS.get(kind, _wordpieces)(path, options)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"text model {name!r}: {path} has no {error}") from None
    except ValueError as error:
        raise ValueError(f"text model {name!r}: {path}/{error}") from None
    weights = next((path / file for file in WEIGHTS if (path / file).is_file()), None)
    if weights is None:
        raise FileNotFoundError(f"text model {name!r}: {path} has neither {' nor '.join(WEIGHTS)}")
    # XLM-R's own model says how it folds text.
    lowercase = kind != "xlm-roberta" and bool(options.get("do_lower_case", True))
    return PretrainedText(name, config, vocabulary, weights, source, lowercase)


def _wordpieces(path: Path, options: dict) -> tuple[str, ...]:
    _refuse(options, {"strip_accents": (None, bool(options.get("do_lower_case", True)))})
    _refuse(options, {"tokenize_chinese_chars": (None, True)})
    if not (path / "vocab.txt").is_file():
        return tuple(_by_id(_tokenizer(path, "vocab.txt")["vocab"]))
    vocabulary = tuple((path / "vocab.txt").read_text(encoding="utf-8").split("\n"))
    return vocabulary[:-1] if vocabulary[-1] == "" else vocabulary


def _byte_pairs(path: Path, options: dict) -> dict[str, Any]:
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        pieces = _read_json(path / "vocab.json")
        lines = (path / "merges.txt").read_text(encoding="utf-8").split("\n")
        merges = [line for line in lines if line and not line.startswith("#version")]
    else:
        model = _tokenizer(path, "vocab.json and merges.txt")
        pieces = model["vocab"]
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    prefix = bool(options.get("add_prefix_space", False))
    return {"pieces": _by_id(pieces), "merges": merges, "prefix_space": prefix}


def _sentencepiece(file: str) -> Callable[[Path, dict], dict[str, str]]:
    def read(path: Path, options: dict) -> dict[str, str]:
        _refuse(options, {"keep_accents": (None, False), "remove_space": (None, True)})
        if not (path / file).is_file():
            raise FileNotFoundError(file)
        return {"sentencepiece": base64.b64encode((path / file).read_bytes()).decode()}

    return read


_READERS: dict[str, Callable[[Path, dict], Any]] = {
    "roberta": _byte_pairs,
    "albert": _sentencepiece("spiece.model"),
    "xlm-roberta": _sentencepiece("sentencepiece.bpe.model"),
}


def _refuse(options: dict, allowed: dict[str, tuple]) -> None:
    for key, values in allowed.items():
        if options.get(key) not in values:
            raise ValueError(
                f"tokenizer_config.json: {key}={options[key]!r} is nothing that can be done in the graph"
            )


def _tokenizer(path: Path, instead_of: str) -> dict:
    """Returns the tables of `tokenizer.json`, where they are all that there is."""
    if not (path / TOKENIZER_FILE).is_file():
        raise FileNotFoundError(f"{instead_of} (nor {TOKENIZER_FILE})")
    return _read_json(path / TOKENIZER_FILE)["model"]


def _by_id(ids: dict[str, int]) -> list[str]:
    pieces = sorted(ids, key=lambda piece: ids[piece])
    if [ids[piece] for piece in pieces] != list(range(len(pieces))):
        raise ValueError(
            "vocab.json or tokenizer.json: expected the ids of the vocabulary from 0 on without a gap"
        )
    return pieces


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
