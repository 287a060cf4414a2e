"""Data sets of TensorFlow Datasets, by a mapping of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.frames import from_frames

Columns = Mapping[str, Mapping[str, str]]

IDS = {"items": "item_id", "users": "user_id"}
TABLES = ("interactions", "items", "users")
SEPARATOR = "|"
BATCH = 8192


def from_tfds(
    name: str,
    /,
    columns: Columns,
    split: str = "train",
    data_dir: str | PathLike | None = None,
    items: str | None = None,
    download: bool = True,
    **options: Any,
) -> Dataset:
    """Makes a dataset of one of TensorFlow Datasets' sets whose examples are interactions.

    Only the columns named are read. Labels become their names, and a list the values joined by "|", as a multivalued
    category is written.

    Args:
        name: As for `tfds.load`, such as "movielens/latest-small-ratings".
        columns: For each of "interactions", "items" and "users" the feature there and the column of a dataset folder
            that it becomes; "data/customer_id" is a feature inside another. An item or a user is described by its
            first example. The id is needed in "interactions" only.
        split: As for `tfds.load`; "train+test" is all of both.
        data_dir: Where TensorFlow Datasets keeps its data sets.
        items: Another set whose examples are the items; then "items" names its features, the id among them.
        download: Whether to fetch what is not there.
        **options: As for `from_frames`: `features`, `rating_scale`, `event_names`, `on_error`, `name`.

    Returns:
        The dataset.

    Raises:
        ValueError: If a table or a feature does not exist; the message lists those there are.
        DataError: If the data have errors.
    """
    if items is None:
        tables = read_tables(name, columns, split, data_dir, download)
    else:
        there = {table: names for table, names in columns.items() if table != "items"}
        tables = read_tables(name, there, split, data_dir, download)
        listed = {"items": columns.get("items", {})}
        tables |= read_tables(items, listed, "train", data_dir, download)
    return from_frames(**tables, **{"name": name, **options})


def read_tables(
    name: str,
    columns: Columns,
    split: str = "train",
    data_dir: str | PathLike | None = None,
    download: bool = True,
) -> dict[str, pd.DataFrame]:
    """Reads a set of TensorFlow Datasets into data frames for `from_frames`; arguments as for `from_tfds`."""
    _check_tables(columns)
    # Decides which Keras is used, before TensorFlow Datasets imports TensorFlow.
    import tfrec_div._keras  # noqa: F401

    # isort: split
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if download:
        builder.download_and_prepare()
    features = {path: _feature(builder.info.features, path, name) for path in _paths(columns)}
    wanted = tfds.decode.PartialDecoding(_nested(features))
    data = builder.as_dataset(split=split, decoders=wanted)
    parts: dict[str, list[np.ndarray]] = {path: [] for path in features}
    rows = tqdm(desc=f"reading {name}", unit="row", unit_scale=True, delay=1.0)
    for batch in data.ragged_batch(BATCH).prefetch(2):
        for path, feature in features.items():
            values = batch
            for key in path.split("/"):
                values = values[key]
            parts[path].append(_cells(values, _labels(feature)))
        rows.update(len(parts[path][-1]))
    rows.close()
    read = {path: np.concatenate(found) if found else np.array([], object) for path, found in parts.items()}
    return _frames(read, columns)


def _check_tables(columns: Columns) -> None:
    if unknown := [table for table in columns if table not in TABLES]:
        raise ValueError(f"columns: expected keys out of {', '.join(TABLES)}, got {unknown[0]!r}")
    if not any(columns.values()):
        raise ValueError("columns: expected the features to read, got none")


def _paths(columns: Columns) -> Iterator[str]:
    return iter(dict.fromkeys(path for names in columns.values() for path in names))


def _feature(features: Any, path: str, name: str) -> Any:
    found = features
    for key in path.split("/"):
        there = list(found.keys()) if hasattr(found, "keys") else []
        if key not in there:
            raise ValueError(f"columns: expected features of {name} ({', '.join(there)}), got {path!r}")
        found = found[key]
    return found


def _nested(features: Mapping[str, Any]) -> dict:
    """Returns {"a": {"b": True}} for "a/b"."""
    tree: dict = {}
    for path in features:
        *outer, last = path.split("/")
        place = tree
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = True
    return tree


def _labels(feature: Any) -> np.ndarray | None:
    """Returns the names of a label or of a list of labels."""
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return np.array(names, object) if names else None


def _cells(values: Any, labels: np.ndarray | None) -> np.ndarray:
    """Returns a batch of values as a column: numbers, or `str`; a list becomes one text."""
    if hasattr(values, "row_splits"):
        flat, splits = _plain(values.flat_values.numpy(), labels).astype(str), values.row_splits.numpy()
        cells = np.empty(len(splits) - 1, object)
        cells[:] = [SEPARATOR.join(flat[start:end]) for start, end in pairwise(splits)]
        return cells
    array = _plain(values.numpy(), labels)
    if array.ndim == 1:
        return array
    if array.ndim > 2:
        raise ValueError(f"columns: expected single values or lists, got values of shape {array.shape[1:]}")
    cells = np.empty(len(array), object)
    cells[:] = [SEPARATOR.join(row) for row in array.astype(str)]
    return cells


def _plain(array: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    if labels is not None:
        # What has no label is coded by -1.
        return np.append(labels, "")[array]
    if array.dtype == object:
        codes, unique = pd.factorize(array.ravel())
        texts = np.empty(len(unique), object)
        texts[:] = [text.decode("utf-8", "replace") for text in unique]
        return texts[codes].reshape(array.shape)
    return array.astype(str).astype(object) if array.dtype == bool else array


def _frames(read: Mapping[str, np.ndarray], columns: Columns) -> dict[str, pd.DataFrame]:
    tables = {
        table: pd.DataFrame({ours: read[theirs] for theirs, ours in names.items()})
        for table, names in columns.items()
        if names
    }
    for table, key in IDS.items():
        if table not in tables:
            continue
        if key not in tables[table] and key in tables.get("interactions", ()):
            tables[table].insert(0, key, tables["interactions"][key])
        if key not in tables[table]:
            raise ValueError(f"columns: expected a feature for {key} in {table!r} or in 'interactions'")
        if "interactions" in tables:
            tables[table] = tables[table].drop_duplicates(key, ignore_index=True)
    return tables
