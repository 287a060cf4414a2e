"""Recommenders on disk: a folder that needs neither the data nor a network to be read again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tfrec_div._keras import keras, tf
from tfrec_div.data.catalog import Catalog
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.models.retriever import all_weights
from tfrec_div.parts import FEATURE
from tfrec_div.recommender import Recommender

FORMAT = 3
# Folders of format 2 have no ranker.
_READ = (2, 3)
_DESCRIPTION, _WEIGHTS, _STATE, _ITEMS = (
    "recommender.json",
    "weights.safetensors",
    "state.safetensors",
    "items.parquet",
)
# There when there is a ranker.
_RANKER_WEIGHTS = "ranker.safetensors"


@contextmanager
def full_disk_as_os_error(path: str | Path):
    """Turns what TensorFlow and safetensors raise when the disk is full into Python's own error.

    Raises:
        OSError: If there is no space left to write to `path`.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, SafetensorError) as error:
        # TensorFlow names a lack of memory alike.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


@contextmanager
def new_folder(path: str | Path):
    """Gives a folder to write into that takes the name `path` only when all went well.

    Raises:
        FileExistsError: If there is something at `path` already.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists already: choose another name or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, so that the last step is a rename within one file system.
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        with full_disk_as_os_error(path):
            yield draft
        draft.chmod(0o755)
        draft.rename(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def save_recommender(recommender: Recommender, path: str | Path) -> Path:
    """Writes a recommender to a new folder; see `Recommender.save`."""
    ranker = recommender.ranker
    with new_folder(path) as folder:
        description = {
            "format": FORMAT,
            "retriever": keras.saving.serialize_keras_object(recommender.retriever),
            "reranker": recommender.reranker and keras.saving.serialize_keras_object(recommender.reranker),
            "k": recommender.k,
            "k_is_own": recommender.k_is_own,
            "num_candidates": recommender.num_candidates,
            "tuned": recommender.tuned,
            "adaptive": recommender.adaptive and keras.saving.serialize_keras_object(recommender.adaptive),
            "profile_half_life": recommender.profile_half_life,
            "own_vectors": recommender.vectors_are_own,
            "centred_on": recommender.features.centred_on,
            "own_features": sorted(recommender.features.own - {"vectors"}),
            "ranker": ranker and keras.saving.serialize_keras_object(ranker),
            "ranker_weight": recommender.ranker_weight,
        }
        (folder / _DESCRIPTION).write_text(json.dumps(description), "utf-8")
        save_file(_numbered(all_weights(recommender.retriever)), folder / _WEIGHTS)
        if ranker is not None:
            save_file(_numbered(ranker.weights), folder / _RANKER_WEIGHTS)
        state = {name: variable.numpy() for name, variable in recommender.state.items()}
        save_file(state, folder / _STATE)
        columns = {
            name: values
            for name, values in recommender.catalog.columns.items()
            if recommender.schema.feature("item", name).kind != "image"
        }
        pd.DataFrame({"item_id": recommender.catalog.ids, **columns}).to_parquet(folder / _ITEMS)
    return Path(path)


def load_recommender(path: str | Path) -> Recommender:
    """Reads what `save_recommender` wrote.

    Raises:
        DataError: If `path` is not such a folder.
    """
    folder = Path(path)
    _require(folder, _DESCRIPTION, _WEIGHTS, _STATE, _ITEMS)
    try:
        description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
    except ValueError as error:
        raise _refusal(folder, "the files of a saved recommender", str(error)) from error
    weights, state = _read_weights(folder, _WEIGHTS), _read_weights(folder, _STATE)
    if description["format"] not in _READ:
        expected = f"format {' or '.join(map(str, _READ))}"
        raise _refusal(folder / _DESCRIPTION, expected, str(description["format"]))
    retriever = keras.saving.deserialize_keras_object(description["retriever"])
    reranker = description["reranker"] and keras.saving.deserialize_keras_object(description["reranker"])
    _assign(all_weights(retriever), weights, folder / _WEIGHTS)
    ranker = description.get("ranker") and keras.saving.deserialize_keras_object(description["ranker"])
    if ranker is not None:
        _assign(ranker.weights, _read_weights(folder, _RANKER_WEIGHTS), folder / _RANKER_WEIGHTS)
    none = np.zeros(0, np.int32)
    nothing = Interactions.from_rows(none, none, retriever.schema.user_ids, retriever.schema.item_ids)
    catalog = _catalog(retriever.schema, pd.read_parquet(folder / _ITEMS))
    recommender = Recommender(
        retriever,
        _data_of(retriever.schema, catalog, nothing),
        reranker=reranker,
        k=description["k"],
        num_candidates=description["num_candidates"],
        diversity_vectors=state["diversity_vectors"],
        # `vectors` are the diversity_vectors, whoever gave them; folders of before name them here too.
        features={name: state[FEATURE + name] for name in description["own_features"] if name != "vectors"},
        adaptive=description["adaptive"] and keras.saving.deserialize_keras_object(description["adaptive"]),
        profile_half_life=description["profile_half_life"],
        ranker=ranker,
        ranker_weight=description.get("ranker_weight", 1.0),
    )
    recommender.k_is_own = description.get("k_is_own", True)
    recommender.vectors_are_own = description.get("own_vectors", False)
    recommender.features.centred_on = description.get("centred_on", len(catalog))
    recommender.restore(state, description["tuned"])
    return recommender


def _refusal(path: Path, expected: str, found: str) -> DataError:
    return DataError([Problem(str(path), None, None, expected, found)])


def _require(folder: Path, *names: str) -> None:
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise _refusal(folder, f"a saved recommender with the file {missing[0]}", "")


def _read_weights(folder: Path, name: str) -> dict[str, np.ndarray]:
    _require(folder, name)
    try:
        return load_file(folder / name)
    except SafetensorError as error:
        raise _refusal(folder, "the files of a saved recommender", str(error)) from error


def _numbered(weights: list[tf.Variable]) -> dict[str, np.ndarray]:
    # Keras' names change with the models that a process made before; the order does not.
    return {_number(place): np.asarray(weight.numpy()) for place, weight in enumerate(weights)}


def _assign(variables: list[tf.Variable], values: dict[str, np.ndarray], file: Path) -> None:
    # Of a table that grows, only the width is known before.
    wanted = {_number(place): variable for place, variable in enumerate(variables)}
    if set(wanted) != set(values) or not all(
        variable.shape.is_compatible_with(values[name].shape) for name, variable in wanted.items()
    ):
        raise _refusal(file, f"the weights of the model in {_DESCRIPTION}", "others")
    for name, variable in wanted.items():
        variable.assign(values[name])


def _number(place: int) -> str:
    return f"{place:05d}"


def data_of(recommender: Recommender, interactions: Interactions) -> Dataset:
    """Returns interactions as a data set of a recommender's users and items; user columns are missing values."""
    return _data_of(recommender.schema, recommender.catalog, interactions)


def _data_of(schema: Schema, catalog: Catalog, interactions: Interactions) -> Dataset:
    users = {
        feature.name: np.full(schema.num_users, np.nan if feature.serving_dtype == "float32" else "")
        for feature in schema.user_features
    }
    return Dataset(
        schema, catalog, Entities(schema, "user", np.asarray(schema.user_ids, object), users), interactions
    )


def _catalog(schema: Schema, items: pd.DataFrame) -> Catalog:
    columns = {f.name: items[f.name].to_numpy() for f in schema.item_features if f.name in items}
    for feature in schema.features_of("item", "image"):
        columns[feature.name] = np.full(len(items), "", object)
    return Catalog(schema, "item", items["item_id"].to_numpy(), columns)
