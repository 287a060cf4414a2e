"""Reads files and data frames as tables of strings."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div.data.column import Coded, Column, Numbers
from tfrec_div.data.csv_table import read_csv_table
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.table import Table, name_columns, new_table, printable
from tfrec_div.data.values import as_strings


def read_table(
    path: Path,
    renames: dict[str, str],
    required: Collection[str],
    binary: Collection[str] = (),
    coded: bool = False,
) -> Table:
    """Reads a CSV or Parquet file as strings.

    Args:
        path: The file; its extension decides.
        renames: The column in the file and the name used here.
        required: Names, after renaming, of columns that must be there.
        binary: Names of columns whose cells may be bytes.
        coded: Whether columns are `Coded` or `Numbers`, for long tables.

    Returns:
        The table; rows that are garbled are marked and reported in it.

    Raises:
        DataError: If the file as a whole cannot be used.
    """
    try:
        if path.stat().st_size == 0:
            raise DataError([Problem(path.name, None, None, "a header and rows", "")])
        table = (
            _read_parquet(path, renames, required, coded)
            if path.suffix == ".parquet"
            else read_csv_table(path, renames, required)
        )
    except OSError as error:
        raise DataError(
            [Problem(path.name, None, None, "a readable file", error.strerror or str(error))]
        ) from error
    return _finished(table, binary, coded)


def table_from_frame(
    frame: pd.DataFrame,
    file: str,
    required: Collection[str],
    binary: Collection[str] = (),
    coded: bool = False,
) -> Table:
    """Takes a data frame for a table; its rows are numbered as if they stood in a file below a header.

    Args:
        frame: The data frame; its index does not matter.
        file: The name to use in messages.
        required: Names of columns that must be there.
        binary: Names of columns whose cells may be bytes.
        coded: Whether columns are `Coded` or `Numbers`, for long tables.

    Returns:
        The table.

    Raises:
        DataError: If a column is missing or there twice.
    """
    names, problems = name_columns([str(name) for name in frame.columns], {}, required, file)
    columns = {name: _column(frame.iloc[:, place], name, coded) for place, name in names.items()}
    return _finished(new_table(file, columns, len(frame), problems), binary, coded)


def _read_parquet(path: Path, renames: dict[str, str], required: Collection[str], coded: bool) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # ParquetFile, not read_table: the latter takes folder names like `year=2020` for columns.
        frame = pq.ParquetFile(path).read()
    except (pa.ArrowException, ValueError) as error:
        raise DataError([Problem(path.name, None, None, "a Parquet file", str(error))]) from error
    names, problems = name_columns(frame.column_names, renames, required, path.name)
    columns = {}
    for place, name in names.items():
        column = frame.column(place)
        if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
            if column.null_count == 0 and pa.types.is_integer(column.type):
                columns[name] = _column(column.to_pandas(), name, coded)
                continue
            # As pandas, integers with gaps would become floats and lose digits.
            column = column.cast(pa.string()).fill_null("")
        if coded and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            codes = column.fill_null("").combine_chunks().dictionary_encode()
            columns[name] = Coded(codes.indices.to_numpy(), _strings(codes.dictionary.to_pandas(), name))
        else:
            columns[name] = _column(column.to_pandas(), name, coded)
    return new_table(path.name, columns, frame.num_rows, problems)


def _column(column: pd.Series, name: str, coded: bool) -> Column:
    """Returns numbers as they are when `coded`, and all else as strings."""
    if not coded:
        return _strings(column, name)
    if name == "timestamp" and pd.api.types.is_datetime64_any_dtype(column.dtype) and not column.hasnans:
        return Numbers(_ticks(column).astype(np.int64) // 1_000_000)
    if (
        isinstance(column.dtype, np.dtype)
        and column.dtype.kind in "if"
        and column.dtype.itemsize in (1, 2, 4, 8)
    ):
        return Numbers(column.to_numpy().astype(np.int64 if column.dtype.kind == "i" else np.float64))
    return _strings(column, name)


def _ticks(column: pd.Series) -> np.ndarray:
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[us]")


def _strings(column: pd.Series, name: str) -> np.ndarray:
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        return as_strings(column).copy()
    ticks = _ticks(column)
    if name == "timestamp":
        written = (ticks.astype(np.int64) // 1_000_000).astype(str).astype(object)
    else:
        written = np.datetime_as_string(ticks).astype(object)
    written[np.isnat(ticks)] = ""
    return written


def _finished(table: Table, binary: Collection[str], coded: bool) -> Table:
    """Mends the text, and codes what is text still."""
    _mend_text(table, binary)
    if coded:
        for name, column in table.columns.items():
            if isinstance(column, np.ndarray):
                table.columns[name] = Coded(*pd.factorize(column))
    return table


def _mend_text(table: Table, binary: Collection[str]) -> None:
    """Decodes cells of bytes, and reports those that are no UTF-8."""
    for name, column in table.columns.items():
        if not isinstance(column, np.ndarray):
            continue
        try:
            "".join(column).encode()
            continue
        except (TypeError, UnicodeEncodeError):
            pass  # some cell holds bytes, or was read from bytes that are no UTF-8
        for index, cell in enumerate(column):
            if isinstance(cell, bytes):
                if name in binary:
                    continue
                cell = cell.decode("utf-8", "surrogateescape")
            column[index] = printable(cell)
            if column[index] != cell:
                row = int(table.rows[index])
                table.problems.append(Problem(table.file, row, name, "UTF-8 text", column[index]))
                table.garbled[index] = table.bad[index] = True
