"""Features: how a column is parsed, encoded and served. The one place where this is declared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

MAX_VALUES = 8
"""Values of a multivalued category that are encoded per item."""
MAX_VOCABULARY = 10_000
"""Most frequent values of a category that get a code of their own."""


@dataclass(frozen=True)
class Feature:
    """A column of users or items. Use one of the subclasses.

    Args:
        name: The name of the column.

    Attributes:
        kind: The name of the kind in `dataset.yaml` and in JSON.
        serving_dtype: What the serving signature takes, `"string"` or `"float32"`.
        default_encoder: How a tower encodes it unless told otherwise.
    """

    name: str
    kind: ClassVar[str] = ""
    serving_dtype: ClassVar[str] = "string"
    default_encoder: ClassVar[str] = ""

    def to_dict(self) -> dict:
        """Returns the feature as plain values, for JSON."""
        return {"kind": self.kind, **asdict(self)}

    @staticmethod
    def from_dict(values: dict) -> Feature:
        """Makes the feature that `to_dict` described.

        Args:
            values: `{"kind": "category", "name": "mood", …}`.

        Returns:
            The feature, of the subclass of that kind.

        Raises:
            ValueError: If the kind is not known.

        Example:
            >>> Feature.from_dict({"kind": "number", "name": "price"})
            Number(name='price')
        """
        options = dict(values)
        kind = options.pop("kind", None)
        if kind not in KINDS:
            raise ValueError(f"expected a kind of feature out of {', '.join(KINDS)}, got {kind!r}")
        return KINDS[kind](**options)


@dataclass(frozen=True)
class Id(Feature):
    """An identifier, encoded as its row. Missing or unknown: -1."""

    kind: ClassVar[str] = "id"
    default_encoder: ClassVar[str] = "embedding"


@dataclass(frozen=True)
class Category(Feature):
    """One value, or several values, out of a vocabulary. Missing or unknown: code 0.

    Args:
        name: The name of the column.
        multivalued: Whether a cell holds several values.
        separator: What stands between the values of a cell.
    """

    multivalued: bool = False
    separator: str = "|"
    kind: ClassVar[str] = "category"
    default_encoder: ClassVar[str] = "embedding"

    def values(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Splits the cells; a value counts once in a cell, and surrounding white space does not count.

        Args:
            column: Object array `[n]` of `str`.

        Returns:
            For each of the v values found, the index of its cell, int64 `[v]` rising, and the value, object
            `[v]`.

        Example:
            >>> Category("tags", multivalued=True).values(np.array(["a|b", "", "b| |b"], dtype=object))
            (array([0, 0, 2]), array(['a', 'b', 'b'], dtype=object))
        """
        codes, uniques = pd.factorize(np.asarray(column, dtype=object))
        cells = [self._split(text) for text in uniques]
        lengths = np.fromiter(map(len, cells), np.int64, len(cells))
        flat = np.array([value for cell in cells for value in cell], dtype=object)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        counts = lengths[codes] if len(codes) else np.zeros(0, np.int64)
        cell = np.repeat(np.arange(len(codes)), counts)
        position = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cell, flat[starts[codes[cell]] + position] if len(cell) else np.empty(0, dtype=object)

    def vocabulary(self, column: np.ndarray) -> tuple[str, ...]:
        """Returns the values by descending count, then by name; at most 10,000.

        Args:
            column: Object array `[n]` of `str`.

        Example:
            >>> Category("tags", multivalued=True).vocabulary(np.array(["b|c", "c", "a"], dtype=object))
            ('c', 'a', 'b')
        """
        codes, uniques = pd.factorize(self.values(column)[1])
        counts = np.bincount(codes, minlength=len(uniques))
        ranked = sorted(zip(-counts, uniques, strict=True))
        return tuple(value for _, value in ranked[:MAX_VOCABULARY])

    def encode(self, column: np.ndarray, vocabulary: tuple[str, ...]) -> np.ndarray:
        """Encodes the cells as codes.

        Args:
            column: Object array `[n]` of `str`.
            vocabulary: The known values.

        Returns:
            Int32 `[n, m]`: 1 + the index in the vocabulary, known values first, padded with 0. m is the
            largest number of values in a cell, at most 8, and 1 unless the feature is multivalued.

        Example:
            >>> tags = Category("tags", multivalued=True)
            >>> tags.encode(np.array(["a|b", "c", ""], dtype=object), ("b", "a")).tolist()
            [[2, 1], [0, 0], [0, 0]]
        """
        cell, values = self.values(column)
        longest = int(np.bincount(cell).max()) if len(cell) else 1
        encoded = np.zeros((len(column), min(longest, MAX_VALUES)), np.int32)
        codes = pd.Index(vocabulary, dtype=object).get_indexer(values) + 1
        cell, codes = cell[codes > 0], codes[codes > 0]
        position = np.arange(len(cell)) - np.searchsorted(cell, cell)
        fits = position < encoded.shape[1]
        encoded[cell[fits], position[fits]] = codes[fits]
        return encoded

    def _split(self, text: str) -> list[str]:
        parts = text.split(self.separator) if self.multivalued else [text]
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


@dataclass(frozen=True)
class Number(Feature):
    """A finite number. Missing: NaN in the raw column and in a request, (0, 0) when encoded."""

    kind: ClassVar[str] = "number"
    serving_dtype: ClassVar[str] = "float32"
    default_encoder: ClassVar[str] = "number"

    def statistics(self, column: np.ndarray) -> dict[str, float]:
        """Returns mean and standard deviation of what is there; a deviation of 0 is given as 1.

        Args:
            column: Float array `[n]`, NaN where missing.

        Example:
            >>> Number("price").statistics(np.array([1.0, 3.0, np.nan]))
            {'mean': 2.0, 'std': 1.0}
        """
        known = column[~np.isnan(column)]
        if not len(known):
            return {"mean": 0.0, "std": 1.0}
        return {"mean": float(known.mean()), "std": float(known.std()) or 1.0}

    def encode(self, column: np.ndarray, statistics: dict[str, float]) -> np.ndarray:
        """Standardises the numbers.

        Args:
            column: Float array `[n]`, NaN where missing.
            statistics: `mean` and `std`.

        Returns:
            Float32 `[n, 2]`: the standardised value and 1, or (0, 0) where it is missing.

        Example:
            >>> Number("price").encode(np.array([3.0, np.nan]), {"mean": 2.0, "std": 0.5}).tolist()
            [[2.0, 1.0], [0.0, 0.0]]
        """
        known = ~np.isnan(column)
        standard = (np.where(known, column, statistics["mean"]) - statistics["mean"]) / statistics["std"]
        return np.stack([standard, known], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Timestamp(Number):
    """A date or time as seconds since 1970 (UTC), encoded like a number. Missing: NaN, encoded (0, 0)."""

    kind: ClassVar[str] = "timestamp"


@dataclass(frozen=True)
class Text(Feature):
    """Written text. Missing: the empty string."""

    kind: ClassVar[str] = "text"
    default_encoder: ClassVar[str] = "text"


@dataclass(frozen=True)
class Image(Feature):
    """A picture: its encoded bytes, or its path relative to the folder. Missing: empty bytes or string."""

    kind: ClassVar[str] = "image"
    default_encoder: ClassVar[str] = "image"


KINDS: dict[str, type[Feature]] = {kind.kind: kind for kind in (Id, Category, Number, Timestamp, Text, Image)}
