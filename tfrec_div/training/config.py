"""The settings of a training run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from tfrec_div.data.errors import DataError, Problem
from tfrec_div.precision import PRECISIONS

FEATURES = ("id", "history", "text", "image", "categories", "numbers", "users")
SPLITS = ("leave_one_out", "temporal", "global_time", "cold_items", "sparse_users", "none")
MODELS = (
    "auto",
    "two_tower",
    "multi_interest",
    "interest_fusion",
    "deep_mf",
    "encoder_decoder",
    "ease",
    "mult_vae",
    "most_popular",
)
VALIDATIONS = ("temporal", "leave_one_out")
# Those of `rerank.METHODS`, which takes TensorFlow to import.
RERANKERS = (
    "mmr",
    "msd",
    "dpp",
    "ssd",
    "cover",
    "xquad",
    "long_tail_xquad",
    "pm2",
    "calibrated",
    "dum",
    "fair",
    "none",
)
# What a ranker is made of; see `towers.interactions`.
RANKERS = ("none", "dcn", "deepfm", "dlrm", "wide_deep")
FUSIONS = ("concat", "projected", "gated", "attention", "cross_modal", "bilinear")
HISTORY_ENCODERS = ("pools", "mean", "gru", "self_attention")
NEGATIVES = ("uniform", "memory", "mined", "shown")
USER_TEXTS = ("none", "features", "history_titles", "reviews")
# A seed meets int32 in the graph; the others could not be larger either.
LARGEST = 2**31 - 1
LOWEST = {
    "embedding_dim": 1,
    "epochs": 1,
    "batch_size": 1,
    "k": 1,
    "num_candidates": 1,
    "max_tokens": 3,
    "image_size": 32,
    "seed": 0,
}


@dataclass(frozen=True)
class TrainConfig:
    """What decides a training, besides the data; written into every run.

    Args:
        model: Kind of retrieval model, out of `MODELS`; "auto" trains several and weighs them on held-out
            interactions of the training part, see `training.auto`.
        features: What the towers use, out of `FEATURES`; None is all that the data and this machine have.
        text: Text model: "auto" (MiniLM, or the tiny one where its weights are not found), "minilm", "tiny", or the
            folder of a checkpoint, see `read_checkpoint`.
        image: Weights of the picture tower: "auto", "imagenet", a path, or "random".
        image_size: Height and width that pictures are read at, in pixels.
        max_tokens: Tokens of a text that are read.
        fusion: How the features of an item become one vector, out of `FUSIONS`.
        embedding_dim: Length of the vectors.
        epochs: Passes over the interactions; None is 5, and up to 10 where there are few of them.
        batch_size: Interactions a step.
        test: What is held out to evaluate on: a split's name, or "none".
        validation: What the models of "auto" are weighed on and a ranker learns from, held out from the training part:
            "temporal", the last fifth of each user's interactions, for what a user will want in the time to come; or
            "leave_one_out", the last one, for what comes next. There models are weighed on it liked or not; a ranker
            learns what is relevant of it either way.
        test_fraction: Share that the split holds out, where it has one.
        reranker: Re-ranker of the pages, out of `RERANKERS`.
        reranker_options: Further arguments of the re-ranker's class, such as `{"window": 5}`.
        diversity: Level of the re-ranker, in [0, 1].
        k: Length of a page.
        num_candidates: Items that the retriever hands on, to the ranker and then to the re-ranker.
        ranker: What orders the candidates before the re-ranker, out of `RANKERS`, see `training.ranking`; "none" leaves
            them in the order of the retriever.
        ranker_weight: What the ranker's order counts for beside the retriever's, in [0, 1].
        seed: Seed of weights, order and splits.
        precision: What the towers compute in: "float32", "mixed_bfloat16" or "mixed_float16".
        trainable_layers: What training changes of the text model: "none", the number of its last layers, or "all".
        text_fields: Item texts that are read, joined in this order; or a mapping from names to such lists, for several
            texts that the fusion tells apart; None is all of them, joined.
        user_text: What is read of a user, out of `USER_TEXTS`.
        negatives: What a target is told from besides the items of its batch, out of `NEGATIVES`, each with its
            defaults; none leaves the choice of the loss to the size of the catalogue.
        item_id_dropout: Share of the items that training takes for new ones at each step, in [0, 1); see
            `TwoTower`.
        history_encoder: How a history becomes one vector, out of `HISTORY_ENCODERS`.
        ratings: Whether to learn to predict ratings, too; None is yes unless there are so many that it could take
            longer than the rest, see `training.rating.train_rater`.

    Raises:
        DataError: If a value is not one of those listed.
    """

    model: str = "auto"
    features: tuple[str, ...] | None = None
    text: str = "auto"
    image: str = "auto"
    image_size: int = 224
    max_tokens: int = 128
    fusion: str = "concat"
    embedding_dim: int = 128
    epochs: int | None = None
    batch_size: int = 1024
    test: str = "leave_one_out"
    validation: str = "temporal"
    test_fraction: float = 0.2
    reranker: str = "mmr"
    diversity: float = 0.3
    k: int = 10
    num_candidates: int = 100
    seed: int = 0
    precision: str = "float32"
    trainable_layers: int | str = "none"
    text_fields: tuple[str, ...] | dict[str, list[str]] | None = None
    user_text: str = "none"
    negatives: tuple[str, ...] = ()
    item_id_dropout: float = 0.0
    reranker_options: dict[str, Any] = field(default_factory=dict)
    history_encoder: str = "pools"
    ratings: bool | None = None
    ranker: str = "none"
    ranker_weight: float = 1.0

    def __post_init__(self):
        # What a file says may be of any type.
        for name in ("features", "negatives"):
            names: Any = getattr(self, name)
            if names is not None:
                if not isinstance(names, list | tuple):
                    raise _refusal(name, "a list of names", names)
                object.__setattr__(self, name, tuple(names))
        object.__setattr__(self, "text_fields", _text_fields(self.text_fields))
        for name, found, known in (
            ("model", (self.model,), MODELS),
            ("features", self.features or (), FEATURES),
            ("fusion", (self.fusion,), FUSIONS),
            ("test", (self.test,), SPLITS),
            ("validation", (self.validation,), VALIDATIONS),
            ("ranker", (self.ranker,), RANKERS),
            ("reranker", (self.reranker,), RERANKERS),
            ("precision", (self.precision,), PRECISIONS),
            ("user_text", (self.user_text,), USER_TEXTS),
            ("negatives", self.negatives or (), NEGATIVES),
            ("history_encoder", (self.history_encoder,), HISTORY_ENCODERS),
        ):
            for value in found:
                if value not in known:
                    raise _refusal(name, f"one of {', '.join(known)}", value)
        for name in ("text", "image"):
            if not isinstance(getattr(self, name), str):
                raise _refusal(name, "a name or a path", getattr(self, name))
        if not isinstance(self.reranker_options, dict):
            raise _refusal("reranker_options", "a mapping from names to values", self.reranker_options)
        for name, lowest in LOWEST.items():
            value = getattr(self, name)
            if name == "epochs" and value is None:
                continue
            if not isinstance(value, int) or not lowest <= value <= LARGEST:
                raise _refusal(name, f"a whole number from {lowest} to {LARGEST}", value)
        for name, kind in (("diversity", "a level"), ("ranker_weight", "a number")):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise _refusal(name, f"{kind} from 0 to 1", value)
        if not isinstance(self.test_fraction, int | float) or not 0 < self.test_fraction < 1:
            raise _refusal("test_fraction", "a share between 0 and 1", self.test_fraction)
        if not isinstance(self.item_id_dropout, int | float) or not 0 <= self.item_id_dropout < 1:
            raise _refusal("item_id_dropout", "a share from 0 to less than 1", self.item_id_dropout)
        layers: Any = self.trainable_layers
        if layers not in ("none", "all") and (
            isinstance(layers, bool) or not isinstance(layers, int) or layers < 0
        ):
            raise _refusal("trainable_layers", "none, all or a whole number from 0", layers)
        if self.ratings is not None and not isinstance(self.ratings, bool):
            raise _refusal("ratings", "true, false or nothing", self.ratings)
        if len(set(self.negatives)) < len(self.negatives):
            raise _refusal("negatives", "each kind once", ", ".join(self.negatives))

    def epochs_for(self, interactions: int) -> int:
        """Returns the epochs: those asked for, else enough for some 300 steps, in [5, 10]."""
        if self.epochs is not None:
            return self.epochs
        steps = -(-interactions // self.batch_size)
        return min(max(-(-320 // max(steps, 1)), 5), 10)

    def to_json(self) -> dict:
        """Returns the settings as values that `json.dumps` takes."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def updated(self, **values) -> TrainConfig:
        """Returns the settings with some replaced; None leaves one as it is."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    @classmethod
    def read(cls, path: str | Path) -> TrainConfig:
        """Reads settings from a YAML or JSON file.

        Raises:
            DataError: If the file is not there, is no mapping, or has a setting that does not exist or fit.
        """
        path = Path(path)
        try:
            values = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise DataError([Problem(str(path), None, None, "a YAML or JSON file", str(error))]) from error
        if not isinstance(values, dict):
            raise DataError([Problem(str(path), None, None, "settings as 'name: value'", json.dumps(values))])
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(map(str, values)) - known):
            raise DataError(
                [Problem(str(path), None, unknown[0], f"one of {', '.join(sorted(known))}", unknown[0])]
            )
        try:
            return cls(**values)
        except DataError as error:
            problems = [replace(problem, file=f"{path}, {problem.file}") for problem in error.problems]
            raise DataError(problems) from error


def _text_fields(fields: Any) -> Any:
    """Returns a tuple of names, or a list of names for each of several texts; refuses what is neither."""

    def names(value: Any) -> list[str]:
        value = [value] if isinstance(value, str) else value
        if (
            not isinstance(value, list | tuple)
            or not value
            or not all(isinstance(name, str) for name in value)
        ):
            raise _refusal("text_fields", "a list of names, or a mapping from names to such lists", fields)
        return list(value)

    if fields is None:
        return None
    if isinstance(fields, Mapping) and fields:
        return {str(name): names(part) for name, part in fields.items()}
    return tuple(names(fields))


def _refusal(name: str, expected: str, found: object) -> DataError:
    return DataError([Problem(name, None, None, expected, str(found))])
