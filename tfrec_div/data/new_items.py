"""New items for a data set whose schema a model was made with."""

from __future__ import annotations

import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div.data.catalog import Catalog
from tfrec_div.data.checks import Columns, check_entities
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.features import Category
from tfrec_div.data.schema import Schema
from tfrec_div.data.tables import table_from_frame

TABLE = "items"
# Names or values that a message lists.
SHOWN = 5


def add_items(data: Dataset, items: pd.DataFrame, image_root: str | PathLike | None = None) -> Dataset:
    """Returns a data set with more items, whose rows come after those that there are.

    Users, interactions and impressions stay, and so do vocabularies and statistics: models know no other values. A
    category's value that is not among them counts as missing, with a warning.

    Args:
        data: What there is.
        items: The new items: `item_id`, and a column for each feature of the items that there are. Cells may be empty.
        image_root: The folder that paths of pictures are relative to; pictures may be encoded `bytes`, too.

    Returns:
        The larger data set.

    Raises:
        DataError: If a column is missing, or a cell is not what its column holds, an id is there already, or comes
            twice.

    Example:
        >>> from tfrec_div.data.frames import from_frames
        >>> log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
        >>> data = from_frames(log, pd.DataFrame({"item_id": ["a"], "title": ["Tea"]}))
        >>> larger = add_items(data, pd.DataFrame({"item_id": ["b"], "title": ["Green tea"]}))
        >>> larger.schema.item_ids, larger.catalog.titles(), len(larger.interactions)
        (('a', 'b'), ['Tea', 'Green tea'], 1)
    """
    if not isinstance(items, pd.DataFrame):
        raise TypeError(f"items: expected a pandas DataFrame, got {type(items).__name__}")
    ids, columns = _checked(data.schema, items, image_root)
    schema = replace(data.schema, item_ids=(*data.schema.item_ids, *ids.tolist()))
    _warn_of_unknown_values(schema, columns)
    catalog = Catalog(
        schema,
        "item",
        np.concatenate([data.catalog.ids, ids]),
        {name: np.concatenate([column, columns[name]]) for name, column in data.catalog.columns.items()},
        data.catalog.root,
    )
    users = data.users
    return replace(
        data,
        schema=schema,
        catalog=catalog,
        users=Entities(schema, "user", users.ids, users.columns, users.root),
        interactions=replace(data.interactions, num_items=schema.num_items),
    )


def only_items(data: Dataset, rows: slice) -> Dataset:
    """Returns some of the items of a data set as one of its own, without interactions.

    Args:
        data: The data set.
        rows: Which items.
    """
    schema = replace(data.schema, item_ids=data.schema.item_ids[rows])
    columns = {name: column[rows] for name, column in data.catalog.columns.items()}
    users, nothing = data.users, data.interactions.take(np.zeros(len(data.interactions), bool))
    return replace(
        data,
        schema=schema,
        catalog=Catalog(schema, "item", data.catalog.ids[rows], columns, data.catalog.root),
        users=Entities(schema, "user", users.ids, users.columns, users.root),
        interactions=replace(nothing, num_items=schema.num_items),
        impressions=None,
    )


def check_larger(schema: Schema, larger: Schema) -> None:
    """Refuses a schema that is not another one with new items after its own.

    Args:
        schema: That of a model.
        larger: That of the data which the model shall take new items from.

    Raises:
        ValueError: If anything but the items differs, or the first items are others.
    """
    if replace(larger, item_ids=schema.item_ids) != schema:
        raise ValueError(
            "data: expected the users, features, vocabularies and statistics of the model's schema; add_items keeps "
            "them"
        )
    if larger.item_ids[: schema.num_items] != schema.item_ids:
        raise ValueError(
            "data: expected the model's items first, in their order, and the new ones after them"
        )


def _checked(
    schema: Schema, items: pd.DataFrame, image_root: str | PathLike | None
) -> tuple[np.ndarray, Columns]:
    """Returns the ids and the columns of new items."""
    names = [feature.name for feature in schema.item_features]
    pictures = [feature.name for feature in schema.features_of("item", "image")]
    table = table_from_frame(items, TABLE, ["item_id", *names], pictures)
    root = None if image_root is None else Path(image_root).resolve()
    columns = check_entities(table, schema.item_features, root, decode=True)
    ids = table.strings("item_id")
    table.report(schema.item_rows(ids) >= 0, "item_id", "an id that no item has yet")
    if not len(table):
        table.problems.append(Problem(TABLE, None, None, "at least one row below the header", ""))
    problems = table.sorted_problems()
    if any(problem.severity == "error" for problem in problems):
        raise DataError(problems)
    others = [name for name in table.columns if name not in ("item_id", *names)]
    if others:
        warnings.warn(
            f"{TABLE}: columns that the items do not have are passed over: {_listed(others)}", stacklevel=4
        )
    if root is not None:
        for name in pictures:
            # The catalogue may have another folder, or none.
            cells = [str(root / cell) if isinstance(cell, str) and cell else cell for cell in columns[name]]
            columns[name] = np.array(cells, object)
    return ids, columns


def _warn_of_unknown_values(schema: Schema, columns: Columns) -> None:
    for feature in schema.item_features:
        if isinstance(feature, Category):
            known = set(schema.vocabularies[f"item/{feature.name}"])
            values = dict.fromkeys(feature.values(columns[feature.name])[1].tolist())
            unknown = [value for value in values if value not in known]
            if unknown:
                warnings.warn(
                    f"{TABLE}, column {feature.name}: values that the model was made without count as missing: "
                    f"{_listed(unknown)}",
                    stacklevel=3,
                )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
