"""The settings of a training run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import yaml

from tfrec_div.data.errors import DataError, Problem

FEATURES = ("id", "history", "text", "image", "categories", "numbers", "users")
SPLITS = ("leave_one_out", "temporal", "global_time", "cold_items", "sparse_users", "none")
MODELS = ("two_tower",)


@dataclass(frozen=True)
class TrainConfig:
    """What decides a training, besides the data; written into every run.

    Args:
        model: Kind of retrieval model, "two_tower".
        features: What the towers use, out of `FEATURES`; None is all that the data and this machine have.
        text: Text model: "auto" (MiniLM, or the tiny one where its weights are not found), "minilm", "tiny", or the
            folder of a BERT checkpoint.
        image: Weights of the picture tower: "auto", "imagenet", a path, or "random".
        image_size: Height and width that pictures are read at, in pixels.
        max_tokens: Tokens of a text that are read.
        embedding_dim: Length of the vectors.
        epochs: Passes over the interactions.
        batch_size: Interactions a step.
        test: What is held out to evaluate on: a split's name, or "none".
        test_fraction: Share that the split holds out, where it has one.
        reranker: "mmr", "dpp", or "none".
        diversity: Level of the re-ranker, in [0, 1].
        k: Length of a page.
        num_candidates: Items that the re-ranker chooses from.
        seed: Seed of weights, order and splits.

    Raises:
        ValueError: If a value is not one of those listed.
    """

    model: str = "two_tower"
    features: tuple[str, ...] | None = None
    text: str = "auto"
    image: str = "auto"
    image_size: int = 224
    max_tokens: int = 128
    embedding_dim: int = 128
    epochs: int = 10
    batch_size: int = 1024
    test: str = "leave_one_out"
    test_fraction: float = 0.2
    reranker: str = "mmr"
    diversity: float = 0.3
    k: int = 10
    num_candidates: int = 100
    seed: int = 0

    def __post_init__(self):
        if self.features is not None:
            object.__setattr__(self, "features", tuple(self.features))
        for name, found, known in (
            ("model", {self.model}, MODELS),
            ("features", set(self.features or ()), FEATURES),
            ("test", {self.test}, SPLITS),
        ):
            if unknown := sorted(found - set(known)):
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {unknown[0]!r}")
        for name in ("embedding_dim", "epochs", "batch_size", "k", "num_candidates", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.diversity <= 1:
            raise ValueError(f"diversity: expected a level in [0, 1], got {self.diversity}")

    def to_json(self) -> dict:
        """Returns the settings as values that `json.dumps` takes."""
        values = asdict(self)
        return {**values, "features": None if self.features is None else list(self.features)}

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
        except (TypeError, ValueError) as error:
            raise DataError([Problem(str(path), None, None, str(error))]) from error
