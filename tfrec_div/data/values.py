"""Text to values: every column is read as strings first, so that an error can quote what it found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

MILLISECONDS_FROM = 1e11
"""Seconds beyond this (the year 5138) are taken for milliseconds."""

_EPOCH_SECONDS = re.compile(r"[+-]?\d{9,}(\.\d*)?")
# pandas takes '12:30', 'may' or 'now' for dates of today or of the year 1: a date must name its year.
_NAMES_A_YEAR = re.compile(r"(?<!\d)(\d{4}|\d{8})(?!\d)|^\w{1,9}[-/. ]\w{1,9}[-/., ]+\d{2}(?!\d)")
_DOTTED = re.compile(r"\d{1,2}\.\d{1,2}\.\d{2}")
_NEGATIVE = re.compile(r"[+-]")
_CLICKED = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "1.0": 1.0, "0.0": 0.0}


def as_strings(values: Iterable) -> np.ndarray:
    """Turns ids or cells of any type into an object array of `str`.

    Whole floats lose their '.0' (a column of integers with gaps becomes floats in pandas), missing values
    become `""`, lists are joined by '|', dates are written in ISO form, and `bytes` stay as they are.

    Args:
        values: A sequence, array or pandas column `[n]`.

    Returns:
        Object array `[n]`.

    Example:
        >>> as_strings([7, 7.0, "007", None, 0.5]).tolist()
        ['7', '7', '007', '', '0.5']
    """
    if isinstance(values, (str, bytes)):
        raise TypeError(f"expected a sequence of values, got the single value {values!r}")
    if isinstance(values, np.ndarray):
        column = values
    else:
        column = values.to_numpy() if isinstance(values, (pd.Series, pd.Index)) else _object_array(values)
    if column.ndim != 1:
        raise ValueError(f"expected a one-dimensional sequence of values, got the shape {column.shape}")
    if column.dtype.kind in "iu":
        return column.astype(str).astype(object)
    if column.dtype.kind == "U":
        return column.astype(object)
    column = column.astype(object)
    if pd.api.types.infer_dtype(column, skipna=False) == "string":
        return column
    codes, uniques = _factorized(column)
    if uniques is None:
        return _object_array([_text(value) for value in column])
    return _object_array([_text(value) for value in uniques])[codes]


def is_blank(values: np.ndarray) -> np.ndarray:
    """Tells which strings are empty or only white space.

    Args:
        values: Object array `[n]` of `str` (or `bytes`).

    Returns:
        Boolean array `[n]`.
    """
    codes, uniques = pd.factorize(values)
    blank = np.fromiter((not text.strip() for text in uniques), bool, len(uniques))
    return blank[codes] if len(codes) else np.zeros(0, bool)


def parse_numbers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads finite numbers.

    Args:
        values: Object array `[n]` of `str`.

    Returns:
        The numbers, float64 `[n]`, NaN where nothing (valid) stands; and a boolean array `[n]`, true where
        something stands that is no finite number (that float32 can hold).

    Example:
        >>> numbers, bad = parse_numbers(np.array(["4.5", "", "abc", "inf"], dtype=object))
        >>> numbers.tolist(), bad.tolist()
        ([4.5, nan, nan, nan], [False, False, True, True])
    """
    codes, uniques = pd.factorize(values)
    numbers = np.fromiter((_number(text) for text in uniques), np.float64, len(uniques))
    present = np.fromiter((bool(text.strip()) for text in uniques), bool, len(uniques))
    with np.errstate(over="ignore"):
        bad = present & ~np.isfinite(numbers.astype(np.float32))
    numbers[bad] = np.nan
    return numbers[codes], bad[codes]


def parse_times(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads dates and times in ISO form and other common written forms; the month comes first in '1/2/1995'
    and the day in '1.2.1995'.

    Times without a zone are UTC. A number of nine digits or more is taken for seconds since 1970.

    Args:
        values: Object array `[n]` of `str`.

    Returns:
        Seconds since 1970, float64 `[n]`, NaN where nothing (valid) stands; and a boolean array `[n]`, true
        where something stands that is no date.

    Example:
        >>> seconds, bad = parse_times(np.array(["01-Jan-1995", "1970-01-02", "", "soon"], dtype=object))
        >>> seconds.tolist(), bad.tolist()
        ([788918400.0, 86400.0, nan, nan], [False, False, False, True])
    """
    codes, uniques = pd.factorize(values)
    texts = [text.strip() for text in uniques]
    seconds = np.full(len(texts), np.nan)
    is_epoch = np.fromiter((_EPOCH_SECONDS.fullmatch(text) is not None for text in texts), bool, len(texts))
    is_date = np.fromiter((_may_be_date(text) for text in texts), bool, len(texts)) & ~is_epoch
    seconds[is_epoch] = [float(text) for text, yes in zip(texts, is_epoch, strict=True) if yes]
    seconds[is_epoch & ~(np.abs(seconds) <= MILLISECONDS_FROM)] = np.nan
    is_dotted = np.fromiter((_DOTTED.match(text) is not None for text in texts), bool, len(texts))
    for where, day_first in ((is_date & ~is_dotted, False), (is_date & is_dotted, True)):
        if where.any():
            seconds[where] = _dates([text for text, yes in zip(texts, where, strict=True) if yes], day_first)
    present = np.fromiter((bool(text) for text in texts), bool, len(texts))
    return seconds[codes], (present & np.isnan(seconds))[codes]


def parse_clicks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads 0, 1, true and false as float64 `[n]`; the second array is true where anything else stands."""
    codes, uniques = pd.factorize(values)
    clicks = np.fromiter(
        (_CLICKED.get(text.strip().lower(), np.nan) for text in uniques), np.float64, len(uniques)
    )
    return clicks[codes], np.isnan(clicks)[codes]


def format_times(seconds: np.ndarray) -> np.ndarray:
    """Writes seconds since 1970 as ISO dates, the inverse of `parse_times`.

    Args:
        seconds: Float64 `[n]`, NaN where missing.

    Returns:
        Object array `[n]` of `str`, `""` where missing; a whole day is written without the time.
    """
    missing = np.isnan(seconds)
    whole_seconds = np.floor(np.where(missing, 0.0, seconds))
    # The fraction apart, because a product of large seconds would round it away.
    microseconds = np.round(np.where(missing, 0.0, seconds - whole_seconds) * 1e6).astype(np.int64)
    ticks = (whole_seconds.astype(np.int64) * 1_000_000 + microseconds).astype("datetime64[us]")
    whole = np.datetime_as_string(ticks, unit="us").astype(object)
    days = np.datetime_as_string(ticks, unit="D").astype(object)
    written = np.where(ticks == ticks.astype("datetime64[D]"), days, whole)
    return np.where(missing, "", written).astype(object)


def format_numbers(numbers: np.ndarray) -> np.ndarray:
    """Writes numbers so that reading them gives the same numbers; `""` where NaN.

    Args:
        numbers: Float or integer array `[n]`.

    Returns:
        Object array `[n]` of `str`.

    Example:
        >>> format_numbers(np.array([4.0, 0.1, np.nan], np.float32)).tolist()
        ['4', '0.1', '']
    """
    codes, uniques = pd.factorize(numbers)
    if numbers.dtype.kind in "iu":
        written = [str(number) for number in uniques]
    else:
        written = [np.format_float_positional(number, trim="-") for number in uniques]
    return _object_array([*written, ""])[codes]


def _dates(texts: list[str], day_first: bool) -> np.ndarray:
    written = pd.Series(texts, dtype=object)
    parsed = pd.to_datetime(written, format="mixed", dayfirst=day_first, errors="coerce", utc=True)
    ticks = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64) / 1e6)


def _number(text: str) -> float:
    try:
        return np.nan if "_" in text else float(text)
    except ValueError:
        return np.nan


def _may_be_date(text: str) -> bool:
    return _NAMES_A_YEAR.search(text) is not None and not _NEGATIVE.match(text)


def _object_array(values: Iterable) -> np.ndarray:
    cells = list(values)
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def _factorized(column: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    # 1, True and 1.0 are one key to a hash table but not one text: one type alone takes the short way.
    kinds = set(map(type, column))
    if len(kinds) > 1 or not kinds <= {int, float, np.int64, np.float32, np.float64}:
        return np.empty(0, np.int64), None
    return pd.factorize(column, use_na_sentinel=False)


def _text(value: Any) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (list, tuple, set, np.ndarray)):
        return "|".join(str(part) for part in value)
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
