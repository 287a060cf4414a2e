"""What `dataset.yaml` says about the columns of a dataset.

name: My shop
columns:                                  # per file: the column there -> the name used here
  interactions: {movie: item_id, stars: rating}
features:                                 # types of further columns, or other types for known ones
  items: {mood: category, runtime: number, tags: {type: category, multivalued: true, separator: ";"}}
  users: {zip_code: category, phone: ignore}
rating_scale: [1, 5]                      # lowest and highest rating possible
event_names: [view, purchase]             # events that can occur
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.features import KINDS, Category, Feature, Image, Number, Text, Timestamp

FILE = "dataset.yaml"
TABLES = ("interactions", "items", "users", "impressions")
IDS = {"items": "item_id", "users": "user_id"}
ITEM_FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Text("title"),
        Text("description"),
        Category("categories", multivalued=True),
        Image("image"),
        Number("price"),
        Category("brand"),
        Timestamp("release_date"),
    )
}
"""Columns of items whose type needs no declaration."""

_TYPES = (*(kind for kind in KINDS if kind != "id"), "ignore")


@dataclass(frozen=True)
class Settings:
    """The declarations that go with the files of a dataset.

    Args:
        name: What to call the dataset.
        columns: For each table, the column in the file and the name used here.
        features: For `items` and `users`, the feature declared for a column; `None` where it is to be
            ignored.
        rating_scale: Lowest and highest rating possible.
        event_names: Events that can occur.
    """

    name: str = ""
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    features: dict[str, dict[str, Feature | None]] = field(default_factory=dict)
    rating_scale: tuple[float, float] | None = None
    event_names: tuple[str, ...] | None = None


def read_settings(folder: Path) -> Settings:
    """Reads `dataset.yaml` of a folder; a folder without one has no settings.

    Args:
        folder: The dataset folder.

    Returns:
        The settings.

    Raises:
        DataError: If the file is no YAML, or says something unknown; all of it is named.
    """
    path = folder / FILE
    if not path.exists():
        return Settings()
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError([Problem(FILE, None, None, "a readable UTF-8 file", str(error))], folder) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found = getattr(error, "problem", None) or str(error)
        raise DataError(
            [Problem(FILE, mark.line + 1 if mark else None, None, "valid YAML", found)], folder
        ) from error
    settings, problems = parse_settings({} if values is None else values)
    if problems:
        raise DataError(problems, folder)
    return settings


def parse_settings(values: object) -> tuple[Settings, list[Problem]]:
    """Reads settings from plain values, as YAML gives them.

    Args:
        values: A mapping of the keys above.

    Returns:
        The settings, and all that is wrong with the values.
    """
    problems: list[Problem] = []
    known = ("name", "columns", "features", "rating_scale", "event_names")
    top = _mapping(values, "the file", known, problems)
    columns = {}
    for table, renames in _mapping(top.get("columns"), "columns", TABLES, problems).items():
        columns[table] = {
            str(k): str(v) for k, v in _mapping(renames, f"columns.{table}", None, problems).items()
        }
    features = {}
    for table, declared in _mapping(top.get("features"), "features", tuple(IDS), problems).items():
        place = f"features.{table}"
        declared = _mapping(declared, place, None, problems)
        features[table] = {
            str(n): _feature(str(n), spec, table, place, problems) for n, spec in declared.items()
        }
    return Settings(
        name=str(top.get("name") or ""),
        columns=columns,
        features=features,
        rating_scale=_rating_scale(top.get("rating_scale"), problems),
        event_names=_event_names(top.get("event_names"), problems),
    ), problems


def settings_values(settings: Settings) -> dict:
    """Returns settings as the plain values that `parse_settings` reads.

    Args:
        settings: The settings.
    """
    features = {
        table: {name: _spec(feature) for name, feature in declared.items()}
        for table, declared in settings.features.items()
        if declared
    }
    values = {
        "name": settings.name,
        "columns": settings.columns,
        "features": features,
        "rating_scale": list(settings.rating_scale or ()),
        "event_names": list(settings.event_names or ()),
    }
    return {key: value for key, value in values.items() if value}


def _mapping(values: object, place: str, known: tuple[str, ...] | None, problems: list[Problem]) -> dict:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        problems.append(Problem(FILE, None, None, f"a mapping (key: value) in {place}", str(values)))
        return {}
    if known is None:
        return dict(values)
    for key in values:
        if key not in known:
            problems.append(Problem(FILE, None, None, f"keys out of {', '.join(known)} in {place}", str(key)))
    return {key: value for key, value in values.items() if key in known}


def _feature(name: str, spec: object, table: str, place: str, problems: list[Problem]) -> Feature | None:
    if isinstance(spec, Feature):
        spec = _spec(replace(spec, name=name))
    options = dict(spec) if isinstance(spec, Mapping) else {"type": spec}
    default = ITEM_FEATURES.get(name) if table == "items" else None
    kind = str(options.pop("type", default.kind if default else ""))
    fault = _fault(name, kind, options, table, place)
    if fault is not None:
        problems.append(Problem(FILE, None, None, *fault))
    if fault is not None or kind == "ignore":
        return None
    if kind == Category.kind and "multivalued" not in options:
        options["multivalued"] = "separator" in options or getattr(default, "multivalued", False)
    return KINDS[kind](name, **options)


def _fault(name: str, kind: str, options: dict, table: str, place: str) -> tuple[str, str] | None:
    """Returns what was expected of a declaration and what was found, `None` if it is sound."""
    if name == IDS[table]:
        return f"no feature type for the id in {place}", name
    place = f"{place}.{name}"
    if kind not in _TYPES:
        return f"a type out of {', '.join(_TYPES)} in {place}", kind
    known = {"multivalued": bool, "separator": str} if kind == Category.kind else {}
    for key, value in options.items():
        if key not in known:
            return f"keys out of {', '.join(['type', *known])} in {place}", str(key)
        if not isinstance(value, known[key]) or value == "":
            return f"{'true or false' if key == 'multivalued' else 'some text'} in {place}.{key}", str(value)
    return None


def _spec(feature: Feature | None) -> object:
    if feature is None:
        return "ignore"
    options = feature.to_dict()
    kind, _ = options.pop("kind"), options.pop("name")
    return {"type": kind, **options} if options else kind


def _rating_scale(values: object, problems: list[Problem]) -> tuple[float, float] | None:
    if values is None:
        return None
    try:
        low, high = (float(value) for value in values)  # type: ignore[attr-defined]  # else a TypeError
        if math.isfinite(low) and math.isfinite(high) and low <= high:
            return low, high
    except (TypeError, ValueError):
        pass  # reported below, as a scale that is the wrong way round is
    expected = "the lowest and the highest rating, like [1, 5], in rating_scale"
    problems.append(Problem(FILE, None, None, expected, str(values)))
    return None


def _event_names(values: object, problems: list[Problem]) -> tuple[str, ...] | None:
    if values is None:
        return None
    if isinstance(values, (list, tuple)):
        return tuple(str(value) for value in values)
    problems.append(Problem(FILE, None, None, "a list of names in event_names", str(values)))
    return None
