"""Checks of the four tables: reports all that is wrong, and returns what the cells say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div.data.column import (
    Column,
    Numbers,
    factorized,
    is_blank,
    parse_clicks,
    parse_numbers,
)
from tfrec_div.data.errors import Problem
from tfrec_div.data.features import Category, Feature, Image, Number
from tfrec_div.data.interactions import COLUMNS
from tfrec_div.data.pictures import check_pictures
from tfrec_div.data.settings import IDS, ITEM_FEATURES, Settings
from tfrec_div.data.table import Table
from tfrec_div.data.values import MILLISECONDS_FROM, parse_times

REQUIRED = {
    "interactions": ("user_id", "item_id"),
    "items": ("item_id",),
    "users": ("user_id",),
    "impressions": ("user_id", "item_id", "timestamp", "position", "clicked"),
}

Columns = dict[str, np.ndarray]


def check_interactions(table: Table, items: Table | None, settings: Settings) -> Columns:
    """Checks the interactions.

    Args:
        table: The interactions; problems are recorded in it.
        items: The items, if there is such a file.
        settings: What `dataset.yaml` says.

    Returns:
        The optional columns that hold anything, each `[n]`.
    """
    _check_pairs(table, items)
    given = [name for name in COLUMNS if name in table.columns and not is_blank(table.columns[name]).all()]
    values: Columns = {name: table.strings(name) for name in given if name in ("event", "review")}
    if "rating" in given:
        values["rating"] = _numbers(table, "rating")
        if settings.rating_scale is not None:
            low, high = settings.rating_scale
            # As float32, in which ratings and a scale taken from them are held.
            kept = values["rating"].astype(np.float32)
            outside = (kept < np.float32(low)) | (kept > np.float32(high))
            table.report(outside, "rating", f"a rating from {low:g} to {high:g}, as rating_scale says")
    if "timestamp" in given:
        values["timestamp"] = _seconds(table)
    for name, expected in (("dwell", "a number of seconds, 0 or more"), ("weight", "a number, 0 or more")):
        if name in given:
            values[name] = _numbers(table, name, expected, lambda numbers: numbers >= 0)
    if "weight" in values:
        values["weight"] = np.nan_to_num(values["weight"], nan=1.0)
    _warn_of_others(table, [*REQUIRED["interactions"], *COLUMNS])
    _warn_of_copies(table, [*REQUIRED["interactions"], *given])
    return {name: values[name] for name in given}


def check_impressions(table: Table, items: Table | None) -> Columns:
    """Checks the impressions.

    Args:
        table: The impressions; problems are recorded in it.
        items: The items, if there is such a file.

    Returns:
        The columns besides the ids, each `[n]`.
    """
    _check_pairs(table, items)
    values = {"timestamp": _seconds(table)}
    values["position"] = _numbers(table, "position", "a whole number, 0 or more", _is_place, blank=False)
    values["clicked"], bad = parse_clicks(table.columns["clicked"])
    table.report(bad, "clicked", "0 or 1")
    if "propensity" in table.columns and not is_blank(table.columns["propensity"]).all():
        expected = "a probability above 0 and at most 1"
        values["propensity"] = _numbers(table, "propensity", expected, lambda p: (p > 0) & (p <= 1))
    _warn_of_others(table, [*REQUIRED["impressions"], "propensity"])
    return values


def check_entities(table: Table, features: Iterable[Feature], root: Path | None, decode: bool) -> Columns:
    """Checks users or items.

    Args:
        table: The users or items; problems are recorded in it.
        features: The features that its columns hold.
        root: The folder that picture paths are relative to.
        decode: Whether to decode the pictures.

    Returns:
        The raw column of each feature, `[n]`.
    """
    side_id = next(name for name in IDS.values() if name in table.columns)
    ids = table.strings(side_id)
    blank = is_blank(ids)
    table.report(blank, side_id, "an id")
    table.report(
        pd.Series(ids, dtype=object).duplicated().to_numpy() & ~blank,
        side_id,
        "an id that no earlier row has",
    )
    values = {}
    for feature in sorted(features, key=lambda feature: feature.kind == Image.kind):
        name = feature.name
        if feature.kind == "number":
            values[name] = _numbers(table, name)
        elif feature.kind == "timestamp":
            values[name], bad = parse_times(table.strings(name))
            table.report(bad, name, "a date such as 1995-01-31")
        elif feature.kind == "image":
            # Last, so that pictures of rows that are dropped anyway are not counted as lost.
            check_pictures(table, name, root, decode)
            values[name] = table.strings(name)
        else:
            values[name] = table.strings(name)
    return values


def item_features(table: Table, settings: Settings) -> tuple[Feature, ...]:
    """Returns the features of the items: the known columns, then the declared ones; warns of others.

    Args:
        table: The items.
        settings: What `dataset.yaml` says.
    """
    declared = settings.features.get("items", {})
    features = {**ITEM_FEATURES, **declared}
    _warn_of_others(table, ["item_id", *features])
    _report_absent(table, declared)
    return tuple(
        feature for name, feature in features.items() if feature is not None and name in table.columns
    )


def user_features(table: Table, settings: Settings) -> tuple[Feature, ...]:
    """Returns the features of the users: as declared, else a number where all is numeric, else a category.

    Numbers with leading zeros, as zip codes have, are no numbers. An empty column is left out with a warning.

    Args:
        table: The users.
        settings: What `dataset.yaml` says.
    """
    declared = settings.features.get("users", {})
    _report_absent(table, declared)
    features: list[Feature] = []
    for name, column in table.columns.items():
        if name == "user_id":
            continue
        feature = declared.get(name)
        if feature is not None:
            features.append(feature)
        elif name in declared:
            continue
        elif is_blank(column).all():
            table.problems.append(
                Problem(table.file, None, name, "some value in this column; it is ignored", None, "warning")
            )
        else:
            features.append(
                Number(name) if _is_numeric(table.strings(name)[~table.garbled]) else Category(name)
            )
    return tuple(features)


def _check_pairs(table: Table, items: Table | None) -> None:
    for column in ("user_id", "item_id"):
        table.report(is_blank(table.columns[column]), column, "an id")
    if items is not None:
        codes, uniques = factorized(table.columns["item_id"])
        unknown = ~pd.Index(uniques, dtype=object).isin(items.strings("item_id"))
        if unknown.any():
            where = unknown[codes] & ~is_blank(table.columns["item_id"])
            table.report(where, "item_id", f"the id of an item in {items.file}")


def _numbers(
    table: Table,
    column: str,
    expected: str = "a number",
    valid: Callable[[np.ndarray], np.ndarray] | None = None,
    blank: bool = True,
) -> np.ndarray:
    numbers, bad = parse_numbers(table.columns[column])
    if valid is not None:
        bad |= ~np.isnan(numbers) & ~valid(numbers)
    if not blank:
        bad |= np.isnan(numbers)
    table.report(bad, column, expected)
    return numbers


def _is_place(numbers: np.ndarray) -> np.ndarray:
    return (numbers >= 0) & (numbers == np.floor(numbers)) & (numbers <= np.iinfo(np.int32).max)


def _seconds(table: Table) -> np.ndarray:
    column = table.columns["timestamp"]
    if isinstance(column, Numbers) and column.within(MILLISECONDS_FROM):
        return column.values
    seconds, bad = parse_numbers(column)
    table.report(bad | is_blank(column), "timestamp", "seconds since 1970")
    large = np.abs(seconds) > MILLISECONDS_FROM
    table.report(large, "timestamp", "seconds since 1970, not milliseconds")
    return np.floor(np.where(np.isnan(seconds) | large, 0.0, seconds)).astype(np.int64)


def _is_numeric(column: np.ndarray) -> bool:
    uniques = pd.unique(column)
    is_code = any(text[:1] == "0" and len(text) > 1 and text.isdigit() for text in uniques)
    return not is_code and not parse_numbers(uniques)[1].any()


def _report_absent(table: Table, declared: dict[str, Feature | None]) -> None:
    for name, feature in declared.items():
        if feature is not None and name not in table.columns:
            table.problems.append(
                Problem(table.file, None, name, "this column, which dataset.yaml declares", None, "warning")
            )


def _warn_of_others(table: Table, known: Iterable[str]) -> None:
    for name in sorted(set(table.columns) - set(known)):
        expected = "a known column, or one declared in dataset.yaml; it is ignored"
        table.problems.append(Problem(table.file, None, name, expected, None, "warning"))


def _warn_of_copies(table: Table, columns: list[str]) -> None:
    if not len(table):
        return
    codes, sizes = [], []
    for name in REQUIRED["interactions"]:
        code, distinct = factorized(table.columns[name])
        codes.append(code)
        sizes.append(len(distinct))
    pair = codes[0].astype(np.int64) * max(sizes[1], 1) + codes[1]
    order = np.argsort(pair)
    again = pair[order[1:]] == pair[order[:-1]]
    # Only a pair that comes again can be a copy, and few do.
    rows = np.sort(order[np.append(again, False) | np.append(False, again)])
    frame = pd.DataFrame({name: _comparable(table.columns[name], rows) for name in columns})
    copies = np.zeros(len(table), bool)
    copies[rows[frame.duplicated().to_numpy()]] = True
    table.report(copies & ~table.bad, None, "no exact copy of an earlier row", severity="warning")


def _comparable(column: Column, rows: np.ndarray) -> np.ndarray:
    """Returns a number for each row, the same for the same text."""
    if isinstance(column, Numbers):
        return pd.factorize(column.values[rows], use_na_sentinel=False)[0]
    return factorized(column)[0][rows]
