"""Users or items in columns, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tfrec_div.data.features import Category, Number
from tfrec_div.data.schema import Schema


@dataclass(frozen=True, eq=False)
class Entities:
    """Users or items with their features, in columns.

    Args:
        schema: The schema that names the features.
        side: `"user"` or `"item"`.
        ids: Object array `[n]` of `str`, by row.
        columns: The raw values by feature name, each `[n]`: `str` for categories and texts, float64 (NaN
            missing) for numbers and timestamps, `str` paths or `bytes` for images.
        root: The folder that image paths are relative to.
    """

    schema: Schema
    side: str
    ids: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    root: Path | None = None

    def __post_init__(self):
        features = {feature.name for feature in self.schema.features(self.side)}
        if features != set(self.columns):
            raise ValueError(
                f"expected columns {sorted(features)} as in the schema, got {sorted(self.columns)}"
            )
        for name, column in self.columns.items():
            if len(column) != len(self.ids):
                raise ValueError(f"expected {len(self.ids)} values in column {name}, got {len(column)}")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Iterable) -> np.ndarray:
        """Looks up ids.

        Args:
            ids: Ids `[n]`.

        Returns:
            Int32 `[n]`, -1 for an unknown id.
        """
        return self.schema.user_rows(ids) if self.side == "user" else self.schema.item_rows(ids)

    def encoded(self) -> dict[str, np.ndarray]:
        """Returns the numeric encodings of categories, numbers and timestamps, computed once.

        Returns:
            By feature name: a category as int32 codes `[n, m]` (0 is missing or unknown), a number or
            timestamp as float32 `[n, 2]` (standardised value, 1 if present).
        """
        return self._encoded

    def equals(self, other: Entities) -> bool:
        """Tells whether ids, features and values are the same; pictures are compared by their bytes.

        Args:
            other: Other users or items.
        """
        if self.side != other.side or self.schema != other.schema or not np.array_equal(self.ids, other.ids):
            return False
        return all(self._same_column(other, feature.name) for feature in self.schema.features(self.side))

    def picture(self, name: str, row: int) -> bytes:
        """Reads one encoded picture.

        Args:
            name: Name of an image feature.
            row: The row, 0 to n - 1.

        Returns:
            The bytes of the file, empty when missing.
        """
        value = self.columns[name][row]
        if isinstance(value, bytes) or value == "":
            return value or b""
        return Path(self.root or ".", value).read_bytes()

    def _same_column(self, other: Entities, name: str) -> bool:
        mine, theirs = self.columns[name], other.columns[name]
        if mine.dtype.kind == "f":
            return np.array_equal(mine, theirs, equal_nan=True)
        differing = np.flatnonzero(mine != theirs)
        if self.schema.feature(self.side, name).kind != "image":
            return not len(differing)
        return all(self.picture(name, row) == other.picture(name, row) for row in differing.tolist())

    @cached_property
    def _encoded(self) -> dict[str, np.ndarray]:
        encoded = {}
        for feature in self.schema.features(self.side):
            key, column = f"{self.side}/{feature.name}", self.columns[feature.name]
            if isinstance(feature, Category):
                encoded[feature.name] = feature.encode(column, self.schema.vocabularies[key])
            elif isinstance(feature, Number):
                encoded[feature.name] = feature.encode(column, self.schema.statistics[key])
        return encoded
