"""Options that several commands share."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from tfrec_div.cli.errors import refusal
from tfrec_div.precision import PRECISIONS
from tfrec_div.training.config import (
    FEATURES,
    FUSIONS,
    HISTORY_ENCODERS,
    MODELS,
    NEGATIVES,
    RANKERS,
    RERANKERS,
    SPLITS,
    USER_TEXTS,
    VALIDATIONS,
    TrainConfig,
)


def add_data(parser: argparse.ArgumentParser, required: bool = True, text: str = "dataset folder") -> None:
    """Adds `--data` and what to do with its errors."""
    parser.add_argument("--data", type=Path, required=required, metavar="DIR", help=text)
    parser.add_argument(
        "--on-error",
        choices=("raise", "drop"),
        default="raise",
        help="refuse a data set with errors (default), or drop and count the rows",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Adds the settings of a training; what is not given comes from `--config`, else from the defaults."""
    default = TrainConfig()
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in YAML or JSON")
    parser.add_argument("--model", choices=MODELS, help=f"retrieval model (default {default.model})")
    parser.add_argument(
        "--features",
        type=_names,
        metavar="A,B",
        help=f"what the towers use, out of {','.join(FEATURES)} (default: all that data and machine have)",
    )
    parser.add_argument(
        "--text", metavar="NAME", help="auto, minilm, tiny, or a checkpoint folder (default auto)"
    )
    parser.add_argument(
        "--trainable-layers",
        type=_layers,
        metavar="N",
        help=f"last layers of the text model that training changes: none, a number or all "
        f"(default {default.trainable_layers})",
    )
    parser.add_argument(
        "--text-fields",
        type=_text_fields,
        metavar="A,B",
        help="item texts to read, joined in this order; X=A,Y=B+C makes several texts, X and Y, that the fusion tells "
        "apart (default: all, joined)",
    )
    parser.add_argument(
        "--user-text", choices=USER_TEXTS, help=f"what is read of a user (default {default.user_text})"
    )
    parser.add_argument(
        "--image", metavar="NAME", help="auto, imagenet, random, or a weights file (default auto)"
    )
    parser.add_argument(
        "--fusion",
        choices=FUSIONS,
        help=f"how an item's features become one vector (default {default.fusion})",
    )
    parser.add_argument(
        "--history-encoder",
        choices=HISTORY_ENCODERS,
        help=f"how a history becomes one vector (default {default.history_encoder})",
    )
    parser.add_argument(
        "--negatives",
        type=_names,
        metavar="A,B",
        help=f"what a target is told from besides its batch, out of {','.join(NEGATIVES)} (default: by size)",
    )
    parser.add_argument(
        "--test", choices=SPLITS, help=f"what to hold out for evaluation (default {default.test})"
    )
    parser.add_argument(
        "--validation",
        choices=VALIDATIONS,
        help="what the models of auto are weighed on and a ranker learns from: the last fifth of each user's training "
        f"interactions, or the last one alone (default {default.validation})",
    )
    parser.add_argument(
        "--ranker",
        choices=RANKERS,
        help=f"what orders the candidates before the re-ranker (default {default.ranker})",
    )
    add_reranker(parser, default.reranker)
    parser.add_argument(
        "--ratings",
        action=argparse.BooleanOptionalAction,
        help="learn to predict ratings, too, where there are any (default: unless there are very many)",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        metavar="NAME",
        help="devices: auto (all GPUs), none, mirrored, multi_worker (one of several processes, see TF_CONFIG), or "
        "cpu:N (default auto)",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, help=f"what the towers compute in (default {default.precision})"
    )
    for name, kind, text in (
        ("image-size", int, "pixels that pictures are read at"),
        ("max-tokens", int, "tokens of a text that are read"),
        ("item-id-dropout", float, "share of the items that a step takes for new ones, below 1"),
        ("embedding-dim", int, "length of the vectors"),
        ("epochs", int, "passes over the interactions"),
        ("batch-size", int, "interactions a step"),
        ("test-fraction", float, "share of the interactions to hold out"),
        ("diversity", float, "level of the re-ranker, 0 to 1"),
        ("k", int, "length of a page"),
        ("num-candidates", int, "items that the retriever hands on"),
        ("ranker-weight", float, "what the ranker counts for beside the retriever, 0 to 1"),
        ("seed", int, "seed of weights, order and splits"),
    ):
        value = getattr(default, name.replace("-", "_"))
        shown = "by size" if value is None else value
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=f"{text} (default {shown})")


def add_reranker(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds the choice of a re-ranker and its options."""
    parser.add_argument("--reranker", metavar="NAME", help=f"{', '.join(RERANKERS)} (default {default})")
    parser.add_argument(
        "--reranker-option",
        dest="reranker_options",
        type=_option,
        action="append",
        metavar="NAME=VALUE",
        help="an argument of the re-ranker, such as window=5 or kernel=jaccard(categories); may be given several times",
    )


def training_config(arguments: argparse.Namespace, **defaults) -> TrainConfig:
    """Returns the settings: options before the file, the file before `defaults`."""
    config = TrainConfig.read(arguments.config) if arguments.config else TrainConfig(**defaults)
    given = {field.name: getattr(arguments, field.name, None) for field in fields(TrainConfig)}
    given["reranker_options"] = dict(arguments.reranker_options or ()) or None
    return config.updated(**given)


def check_page(arguments: argparse.Namespace) -> None:
    """Refuses a length or a level of diversity that no page can have.

    Raises:
        DataError: If `--k` or `--diversity` does not fit.
    """
    if arguments.k < 1:
        raise refusal("--k", "at least 1", arguments.k)
    if arguments.diversity is not None and not 0 <= arguments.diversity <= 1:
        raise refusal("--diversity", "a level from 0 to 1", arguments.diversity)


def _names(text: str, separator: str = ",") -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(separator) if name.strip())


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name.strip().isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        # As in a file of settings: 5, 0.5, true, null, or a text.
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}") from error


def _layers(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _text_fields(text: str) -> tuple[str, ...] | dict[str, list[str]]:
    names = _names(text)
    if "=" not in text:
        return names
    parts = [name.partition("=") for name in names]
    if not all(name and equals and _names(columns, "+") for name, equals, columns in parts):
        raise argparse.ArgumentTypeError(f"expected A,B or X=A,Y=B+C, got {text!r}")
    return {name.strip(): list(_names(columns, "+")) for name, _, columns in parts}
