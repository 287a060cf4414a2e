"""The folder of a training run."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.training.config import TrainConfig

FORMAT = 1
PARTS = ("config", "data", "fingerprint")


@dataclass(frozen=True)
class RunDirectory:
    """Where the parts of a run are.

    Args:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Settings and the data's fingerprint; it makes a folder a run."""
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        """State after the last epochs, for going on after an interruption."""
        return self.path / "checkpoints"

    @property
    def ensemble(self) -> Path:
        """What the models of an ensemble count for, and how they were measured."""
        return self.path / "ensemble.json"

    @property
    def logs(self) -> Path:
        """For TensorBoard."""
        return self.path / "logs"

    @property
    def history(self) -> Path:
        """Losses and metrics by epoch."""
        return self.path / "history.json"

    @property
    def interactions(self) -> Path:
        """All interactions, those held out marked."""
        return self.path / "interactions.parquet"

    @property
    def recommender(self) -> Path:
        """The trained recommender; there when training has ended."""
        return self.path / "recommender"

    @property
    def rater(self) -> Path:
        """What predicts ratings; there when the data has ratings and training has ended."""
        return self.path / "rater.keras"

    @property
    def ranker(self) -> Path:
        """The ranker, until it is part of the recommender."""
        return self.path / "ranker.keras"

    @property
    def ranker_worth(self) -> Path:
        """What the ranker was said to be worth; there when the ranker is complete."""
        return self.path / "ranker.json"

    @property
    def announcements(self) -> Path:
        """What a user should know of how it was trained."""
        return self.path / "announcements.json"

    @property
    def metrics(self) -> Path:
        """What `evaluate` measured."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Opens the folder of a finished training.

        Raises:
            DataError: If it is no run, or its training has not ended.
        """
        run = cls(Path(path))
        if not run.path.is_dir():
            raise _refusal(run.path, "the folder of a run", "no such folder")
        if not run.config.is_file():
            raise _refusal(run.path, "the folder of a run, with run.json", "another folder")
        if not run.recommender.is_dir():
            raise _refusal(
                run.path, "a finished training", "one that was interrupted: run the same `train` again"
            )
        return run

    def accepts(self, config: TrainConfig, data: Dataset) -> bool:
        """Tells whether the folder holds this training as a whole already; writes nothing.

        Raises:
            DataError: If the folder holds something else.
        """
        if self.config.is_file():
            found = self._read_config()
            for part, expected in _description(config, data).items():
                if found[part] != expected:
                    what = _difference(config, found[part]) if part == "config" else "a run on other data"
                    raise _refusal(self.path, "a new folder, or a run with the same settings and data", what)
            return self.recommender.is_dir()
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise _refusal(self.path, "a new or empty folder, or a run to go on with", "other files")
        return False

    def begin(self, config: TrainConfig, data: Dataset) -> None:
        """Makes the folder, unless it holds this training already."""
        if not self.config.is_file():
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.config, _description(config, data))

    def read_config(self) -> TrainConfig:
        """Returns the settings of the run."""
        return TrainConfig(**self._read_config()["config"])

    def _read_config(self) -> dict:
        try:
            found = json.loads(self.config.read_text("utf-8"))
        except ValueError as error:
            raise _refusal(self.config, "the settings of a run", str(error)) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT or not set(PARTS) <= set(found):
            raise _refusal(self.config, f"the settings of a run, format {FORMAT}", "something else")
        return found

    def read_history(self) -> dict[str, list[float]]:
        """Returns losses and metrics by epoch; empty before the first one."""
        return json.loads(self.history.read_text("utf-8")) if self.history.is_file() else {}

    def read_announcements(self) -> list[str]:
        """Returns what was said about how the run was trained."""
        return json.loads(self.announcements.read_text("utf-8")) if self.announcements.is_file() else []


def write_interactions(path: Path, train: Interactions, test: Interactions | None) -> None:
    """Writes what was trained on and what was held out."""
    parts = []
    for events, held_out in ((train, False), (test, True)):
        if events is not None:
            columns = {name: getattr(events, name) for name in ("user", "item", *events.columns)}
            parts.append(pd.DataFrame({**columns, "held_out": held_out}))
    frame = pd.concat(parts, ignore_index=True)
    # What decides which interactions are relevant, for either part alone.
    frame.attrs = {"rating_scale": train.rating_scale, "event_names": list(train.event_names)}
    frame.to_parquet(path)


def read_interactions(path: Path, schema: Schema) -> tuple[Interactions, Interactions]:
    """Reads what was trained on and what was held out."""
    frame = pd.read_parquet(path)
    held_out = frame.pop("held_out").to_numpy()
    parts = []
    for part in (frame[~held_out], frame[held_out]):
        columns = {name: part[name].to_numpy() for name in part}
        user, item = columns.pop("user"), columns.pop("item")
        parts.append(
            Interactions.from_rows(
                user, item, schema.user_ids, schema.item_ids, **columns, **_scales(frame.attrs)
            )
        )
    return parts[0], parts[1]


def _scales(attrs: dict) -> dict:
    scale = attrs["rating_scale"]
    return {"rating_scale": scale and tuple(scale), "event_names": tuple(attrs["event_names"])}


def fingerprint(data: Dataset) -> str:
    """Returns a SHA-256 of what training reads: ids, interactions and the columns of items and users."""
    digest = hashlib.sha256(json.dumps(data.schema.to_json(), sort_keys=True).encode())
    events = data.interactions
    for column in (events.user, events.item, events.strength(), events.timestamp):
        if column is not None:
            digest.update(np.ascontiguousarray(column).tobytes())
    if events.review is not None:
        digest.update(f"{events.review.tolist()}".encode("utf-8", "surrogatepass"))
    for entities in (data.catalog, data.users):
        for name, column in sorted(entities.columns.items()):
            digest.update(f"{name}{column.tolist()}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _description(config: TrainConfig, data: Dataset) -> dict:
    return {
        "format": FORMAT,
        "config": config.to_json(),
        "data": data.name,
        "fingerprint": fingerprint(data),
    }


def write_json(path: Path, values: object) -> None:
    """Writes JSON so that a reader finds the old file or the new one, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(values, indent=1), "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _refusal(path: Path, expected: str, found: str) -> DataError:
    return DataError([Problem(str(path), None, None, expected, found)])


def _difference(config: TrainConfig, found: dict) -> str:
    differing = [name for name, value in config.to_json().items() if found.get(name) != value]
    return "a run with " + ", ".join(f"{name}={found.get(name)!r}" for name in differing)
