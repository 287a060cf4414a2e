"""Columns that stand for strings without holding one for each row: numbers, and codes of distinct strings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfrec_div.data import values as _values
from tfrec_div.data.values import as_strings


@dataclass(frozen=True, eq=False)
class Coded:
    """Strings as codes.

    Args:
        codes: Place of each row's string among the distinct ones, integer `[n]`.
        distinct: Object array of different `str`.

    Example:
        >>> column = Coded(np.array([0, 1, 0]), np.array(["7", "007"], dtype=object))
        >>> column[2], len(column)
        ('7', 3)
    """

    codes: np.ndarray
    distinct: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        return self.distinct[self.codes[row]]

    @cached_property
    def order(self) -> np.ndarray:
        """Places of the distinct strings in the order of the alphabet, int64."""
        texts = self.distinct.tolist()
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Strings that are numbers, written as `as_strings` writes them.

    Args:
        values: Int64 or float64 `[n]`; NaN stands for `""`.

    Example:
        >>> column = Numbers(np.array([7.0, np.nan, 0.5]))
        >>> column[0], column[1], column[2]
        ('7', '', '0.5')
    """

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> str:
        return as_strings(self.values[row : row + 1])[0]

    def within(self, limit: float) -> bool:
        """Tells whether all are whole numbers in a column of such, none further from zero than `limit`."""
        numbers = self.values
        whole = numbers.dtype.kind == "i" and len(numbers) > 0
        return whole and -limit <= numbers.min() and numbers.max() <= limit

    @cached_property
    def coded(self) -> Coded:
        """The same as codes of strings."""
        numbers = self.values
        if numbers.dtype.kind == "i" and len(numbers):
            low, high = int(numbers.min()), int(numbers.max())
            if high - low < 8 * len(numbers):
                # Ids are mostly dense: a table by number takes a tenth of the time of hashing.
                there = np.zeros(high - low + 1, bool)
                there[numbers - low] = True
                place = np.cumsum(there, dtype=np.int32) - 1
                return Coded(place[numbers - low], _written(np.flatnonzero(there) + low))
        codes, distinct = pd.factorize(numbers, use_na_sentinel=False)
        return Coded(codes, _written(distinct))


Column = np.ndarray | Coded | Numbers
"""A column of a table: an object array of `str`, or what stands for one."""


def coded(column: Column) -> Coded:
    """Returns a column as codes of its distinct strings, which come in any order."""
    if isinstance(column, np.ndarray):
        return Coded(*pd.factorize(column))
    return column.coded if isinstance(column, Numbers) else column


def factorized(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Returns codes `[n]` and the distinct strings, as `pandas.factorize` does but in any order."""
    found = coded(column)
    return found.codes, found.distinct


def strings_of(column: Column) -> np.ndarray:
    """Returns the strings themselves, an object array `[n]`."""
    if isinstance(column, np.ndarray):
        return column
    codes, distinct = factorized(column)
    return distinct[codes]


def is_blank(column: Column) -> np.ndarray:
    """Tells which strings are empty or only white space, boolean `[n]`."""
    if isinstance(column, Numbers):
        return np.isnan(column.values)
    if isinstance(column, Coded):
        empty = column.distinct == ""
        blank = empty | np.fromiter(map(str.isspace, column.distinct), bool, len(column.distinct))
        return blank[column.codes] if blank.any() else np.zeros(len(column), bool)
    return _values.is_blank(column)


def parse_numbers(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Reads finite numbers, see `values.parse_numbers`."""
    if isinstance(column, Numbers):
        numbers = column.values.astype(np.float64)
        if column.values.dtype.kind == "i":
            return numbers, np.zeros(len(numbers), bool)
        with np.errstate(over="ignore"):
            bad = ~np.isnan(numbers) & ~np.isfinite(numbers.astype(np.float32))
        numbers[bad] = np.nan
        return numbers, bad
    if isinstance(column, Coded):
        numbers, bad = _values.parse_numbers(column.distinct)
        return numbers[column.codes], bad[column.codes]
    return _values.parse_numbers(column)


def parse_clicks(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Reads 0, 1, true and false, see `values.parse_clicks`."""
    codes, distinct = factorized(column)
    clicks, bad = _values.parse_clicks(distinct)
    return clicks[codes], bad[codes]


def _written(numbers: np.ndarray) -> np.ndarray:
    if numbers.dtype.kind != "i":
        return as_strings(numbers)
    written = np.empty(len(numbers), dtype=object)
    written[:] = list(map(str, numbers.tolist()))
    return written
