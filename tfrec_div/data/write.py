"""Writes a dataset as a folder."""

from __future__ import annotations

import csv
import os
import posixpath
import shutil
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.features import Feature
from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.settings import FILE, ITEM_FEATURES, Settings, settings_values
from tfrec_div.data.values import format_numbers, format_times

_SIGNATURES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}


def write_folder(dataset: Dataset, path: str | PathLike) -> Path:
    """Writes a dataset as a folder that `load_folder` reads back as an equal dataset.

    The folder appears when it is complete: a failure leaves nothing behind.

    Args:
        dataset: The dataset.
        path: The folder to make. It may exist if it is empty.

    Returns:
        The folder.

    Raises:
        FileExistsError: If the folder exists and holds anything, or is a file.
    """
    folder = Path(path).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"expected a new or empty folder to write to, found {folder} with something in it"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, because only a move within one file system is atomic.
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_all(dataset, draft)
        draft.chmod(0o777 & ~_umask())
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder


def _write_all(dataset: Dataset, folder: Path) -> None:
    schema, log = dataset.schema, dataset.interactions
    taken = _picture_paths(dataset.catalog) | _picture_paths(dataset.users)
    items = {"item_id": dataset.catalog.ids, **_entity_columns(dataset.catalog, folder, taken)}
    users = {"user_id": dataset.users.ids, **_entity_columns(dataset.users, folder, taken)}
    _write(folder / "interactions.csv", {**_pairs(dataset, log), **_interaction_columns(log)})
    _write(folder / "items.csv", items)
    _write(folder / "users.csv", users)
    if dataset.impressions is not None:
        shown = dataset.impressions
        columns = {
            "timestamp": shown.timestamp,
            "position": shown.position,
            "clicked": shown.clicked.astype(int),
            "propensity": None if shown.propensity is None else format_numbers(shown.propensity),
        }
        _write(folder / "impressions.csv", {**_pairs(dataset, shown), **columns})
    # Types of user columns are guessed from values, so all are declared; of item columns, the unusual ones.
    declared: dict[str, dict[str, Feature | None]] = {
        "items": {f.name: f for f in schema.item_features if ITEM_FEATURES.get(f.name) != f},
        "users": {f.name: f for f in schema.user_features},
    }
    settings = Settings(dataset.name, {}, declared, log.rating_scale, log.event_names)
    text = yaml.safe_dump(settings_values(settings), allow_unicode=True, sort_keys=False)
    (folder / FILE).write_text(text, encoding="utf-8")


def _pairs(dataset: Dataset, rows: Interactions | Impressions) -> dict[str, np.ndarray]:
    return {"user_id": dataset.users.ids[rows.user], "item_id": dataset.catalog.ids[rows.item]}


def _interaction_columns(log: Interactions) -> dict[str, np.ndarray]:
    values = {name: getattr(log, name) for name in log.columns}
    return {
        name: format_numbers(column) if column.dtype.kind == "f" else column
        for name, column in values.items()
    }


def _entity_columns(entities: Entities, folder: Path, taken: set[str]) -> dict[str, np.ndarray]:
    columns = {}
    for feature in entities.schema.features(entities.side):
        column = entities.columns[feature.name]
        if feature.kind == "number":
            column = format_numbers(column)
        elif feature.kind == "timestamp":
            column = format_times(column)
        elif feature.kind == "image":
            column = _write_pictures(entities, feature.name, folder, taken)
        columns[feature.name] = column
    return columns


def _write_pictures(entities: Entities, name: str, folder: Path, taken: set[str]) -> np.ndarray:
    """Copies files to the same relative path, and writes pictures held as bytes to `images`."""
    paths = entities.columns[name].copy()
    for row, value in enumerate(paths):
        if not value:
            paths[row] = ""
            continue
        if isinstance(value, bytes):
            stem = f"images/{entities.side}-{name}-{row}"
            while (path := stem + _SIGNATURES.get(value[:2], ".jpg")) in taken:
                stem += "_"
            paths[row] = path
        target = folder / paths[row]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(entities.picture(name, row))
    return paths


def _picture_paths(entities: Entities) -> set[str]:
    """Returns the paths that pictures of files have."""
    features = entities.schema.features_of(entities.side, "image")
    values = [value for feature in features for value in entities.columns[feature.name]]
    return {posixpath.normpath(value) for value in values if isinstance(value, str) and value}


def _write(path: Path, columns: Mapping[str, np.ndarray | None]) -> None:
    given = {name: pd.Series(column, dtype=object) for name, column in columns.items() if column is not None}
    # The csv module leaves a lone carriage return without the quotes that it needs.
    odd = any("\r" in value for column in given.values() for value in column if isinstance(value, str))
    quoting = csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    pd.DataFrame(given).to_csv(path, index=False, encoding="utf-8", quoting=quoting)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
