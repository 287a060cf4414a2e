"""From checked tables to a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div.data.catalog import Catalog
from tfrec_div.data.checks import (
    Columns,
    check_entities,
    check_impressions,
    check_interactions,
    item_features,
    user_features,
)
from tfrec_div.data.column import coded, factorized
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.features import Category, Feature, Number
from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.data.settings import Settings
from tfrec_div.data.table import Table

Sides = dict[str, tuple[tuple[Feature, ...], Columns]]

ON_ERROR = ("raise", "drop")


@dataclass
class Checked:
    """Tables that were checked.

    Args:
        tables: By name; those that are not there are left out.
        values: What the cells of each table say, by column.
        features: The features of items and users.
        root: The folder of the pictures.
    """

    tables: dict[str, Table]
    values: dict[str, Columns] = field(default_factory=dict)
    features: dict[str, tuple[Feature, ...]] = field(default_factory=dict)
    root: Path | None = None

    @property
    def problems(self) -> list[Problem]:
        """All problems by row, those of items and users before those of what refers to them."""
        return [
            problem
            for name in ("items", "users", "interactions", "impressions")
            if name in self.tables
            for problem in self.tables[name].sorted_problems()
        ]


def check_tables(
    tables: dict[str, Table], settings: Settings, root: Path | None, check_images: bool
) -> Checked:
    """Checks all tables.

    Args:
        tables: The tables that are there; problems are recorded in them.
        settings: What `dataset.yaml` says.
        root: The folder of the pictures.
        check_images: Whether to decode the pictures.

    Returns:
        What the tables say.
    """
    checked = Checked(tables, root=root)
    items = tables.get("items")
    for name, find in (("items", item_features), ("users", user_features)):
        checked.features[name] = find(tables[name], settings) if name in tables else ()
        if name in tables:
            checked.values[name] = check_entities(tables[name], checked.features[name], root, check_images)
    if "interactions" in tables:
        checked.values["interactions"] = check_interactions(tables["interactions"], items, settings)
    if "impressions" in tables:
        checked.values["impressions"] = check_impressions(tables["impressions"], items)
    for name in ("interactions", "items"):
        if name in tables and not len(tables[name]):
            tables[name].problems.append(
                Problem(tables[name].file, None, None, "at least one row below the header", "")
            )
    return checked


def assemble(
    checked: Checked, settings: Settings, on_error: str, name: str = "", path: Path | None = None
) -> Dataset:
    """Makes the dataset.

    Args:
        checked: Tables that were checked, interactions among them.
        settings: What `dataset.yaml` says.
        on_error: `"raise"`, or `"drop"` to leave out rows with errors and count them.
        name: What to call the dataset.
        path: Its folder, for messages.

    Returns:
        The dataset.

    Raises:
        DataError: If there are errors and they are not to be dropped, or nothing is left.
    """
    problems = checked.problems
    if on_error == "raise" and any(problem.severity == "error" for problem in problems):
        raise DataError(problems, path)
    tables, features = checked.tables, checked.features
    user_ids, item_ids = _ids(tables)
    if tables["interactions"].bad.all():
        nothing = Problem(tables["interactions"].file, None, None, "at least one row without an error", "")
        raise DataError([nothing, *problems], path)
    user_columns = _columns(checked, "users", len(user_ids))
    item_columns = _columns(checked, "items", len(item_ids))
    sides = {"user": (features["users"], user_columns), "item": (features["items"], item_columns)}
    schema = Schema(
        user_features=features["users"],
        item_features=features["items"],
        user_ids=tuple(user_ids),
        item_ids=tuple(item_ids),
        vocabularies=_vocabularies(sides),
        statistics=_statistics(sides),
        interaction_columns=tuple(checked.values["interactions"]),
    )
    interactions = Interactions.from_rows(
        **_pairs(tables["interactions"], user_ids, item_ids),
        user_ids=schema.user_ids,
        item_ids=schema.item_ids,
        rating_scale=settings.rating_scale if "rating" in schema.interaction_columns else None,
        event_names=settings.event_names if "event" in schema.interaction_columns else None,
        **_kept(checked, "interactions"),
    )
    impressions = None
    if "impressions" in tables:
        shown = _pairs(tables["impressions"], user_ids, item_ids) | _kept(checked, "impressions")
        impressions = Impressions.from_rows(**shown)
    dropped = {table.file: int(table.bad.sum()) for table in tables.values()}
    dropped["images"] = sum(table.lost_pictures for table in tables.values())
    return Dataset(
        schema=schema,
        catalog=Catalog(schema, "item", item_ids, item_columns, checked.root),
        users=Entities(schema, "user", user_ids, user_columns, checked.root),
        interactions=interactions,
        impressions=impressions,
        name=name,
        dropped={file: count for file, count in dropped.items() if count},
        warnings=tuple(problem for problem in problems if problem.severity == "warning"),
    )


def check_on_error(on_error: str) -> None:
    """Raises a `ValueError` unless the choice is known.

    Args:
        on_error: What a caller chose.
    """
    if on_error not in ON_ERROR:
        raise ValueError(f'expected on_error "raise" or "drop", got {on_error!r}')


def _ids(tables: dict[str, Table]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of users and items by row; an item that is dropped takes what refers to it along."""
    links = [tables[name] for name in ("interactions", "impressions") if name in tables]
    if "items" in tables:
        item_ids = tables["items"].strings("item_id")[~tables["items"].bad]
        for table in links:
            table.bad |= _unknown(table, item_ids)
    else:
        item_ids = _sorted_ids(links, "item_id")
    user_ids = _sorted_ids(links, "user_id")
    if "users" in tables:
        listed = tables["users"].strings("user_id")[~tables["users"].bad]
        others = user_ids[~pd.Index(user_ids, dtype=object).isin(listed)]
        user_ids = np.concatenate([listed, others])
    return user_ids, item_ids


def _unknown(table: Table, known: np.ndarray) -> np.ndarray:
    codes, uniques = factorized(table.columns["item_id"])
    unknown = ~pd.Index(uniques, dtype=object).isin(known)
    return unknown[codes] if unknown.any() else np.zeros(len(table), bool)


def _sorted_ids(tables: list[Table], column: str) -> np.ndarray:
    found = []
    for table in tables:
        link = coded(table.columns[column])
        uniques = link.distinct[link.order]
        if table.bad.any():
            used = np.bincount(link.codes[~table.bad], minlength=len(uniques)) > 0
            uniques = uniques[used[link.order]]
        found.append(uniques)
    if len(found) == 1:
        return found[0]
    ids = sorted(set().union(*found))
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array


def _columns(checked: Checked, side: str, size: int) -> Columns:
    """Returns the kept rows of each feature, and missing values for users that have no row."""
    columns = {}
    for feature in checked.features[side]:
        kept = checked.values[side][feature.name][~checked.tables[side].bad]
        nothing = np.nan if isinstance(feature, Number) else ""
        columns[feature.name] = np.concatenate([kept, np.full(size - len(kept), nothing, kept.dtype)])
    return columns


def _vocabularies(sides: Sides) -> dict[str, tuple[str, ...]]:
    return {
        f"{side}/{feature.name}": feature.vocabulary(columns[feature.name])
        for side, (features, columns) in sides.items()
        for feature in features
        if isinstance(feature, Category)
    }


def _statistics(sides: Sides) -> dict[str, dict[str, float]]:
    return {
        f"{side}/{feature.name}": feature.statistics(columns[feature.name])
        for side, (features, columns) in sides.items()
        for feature in features
        if isinstance(feature, Number)
    }


def _pairs(table: Table, user_ids: np.ndarray, item_ids: np.ndarray) -> Columns:
    return {"user": _rows(table, "user_id", user_ids), "item": _rows(table, "item_id", item_ids)}


def _rows(table: Table, column: str, ids: np.ndarray) -> np.ndarray:
    found = coded(table.columns[column])
    if np.array_equal(ids, found.distinct[found.order]):
        place = np.empty(len(ids), np.int32)
        place[found.order] = np.arange(len(ids))
    else:
        # A dictionary: the strings know their hashes already, which an index would compute again.
        row_of = dict(zip(ids.tolist(), range(len(ids)), strict=True))
        place = np.fromiter(map(row_of.get, found.distinct, repeat(-1)), np.int32, len(found.distinct))
    rows = place[found.codes]
    return rows[~table.bad] if table.bad.any() else rows


def _kept(checked: Checked, name: str) -> Columns:
    if not checked.tables[name].bad.any():
        return checked.values[name]
    keep = ~checked.tables[name].bad
    return {column: values[keep] for column, values in checked.values[name].items()}
