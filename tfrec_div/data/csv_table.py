"""Reads a CSV file as a table, however broken it is."""

from __future__ import annotations

import csv
import sys
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.table import Table, name_columns, new_table, printable

_BLOCK = 4096


def read_csv_table(path: Path, renames: dict[str, str], required: Collection[str]) -> Table:
    """Reads a CSV file as strings; the record that comes n-th has row number n, as in a spreadsheet.

    Args:
        path: The file.
        renames: The column in the file and the name used here.
        required: Names, after renaming, of columns that must be there.

    Returns:
        The table; rows that are garbled are marked and reported in it.

    Raises:
        DataError: If a column is missing or there twice.
    """
    limit = csv.field_size_limit(sys.maxsize)
    try:
        return _parse_csv(path, renames, required)
    finally:
        csv.field_size_limit(limit)


def _parse_csv(path: Path, renames: dict[str, str], required: Collection[str]) -> Table:
    # pandas cannot tell a row that is too short from one that ends in empty cells, and stops at the first row
    # that is too long; the csv module is as fast when it is read in blocks (more live lists would keep the
    # garbage collector busy).
    # Bytes that are no UTF-8 come as lone surrogates, which the caller looks for.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        records = _records(csv.reader(stream, strict=True))
        header = next(records, [])
        if isinstance(header, _Malformed):
            raise DataError([Problem(path.name, 1, None, header.expected, header.found)])
        width = len(header)
        names, problems = name_columns([printable(name) for name in header], renames, required, path.name)
        blocks, rows = [], []
        faults: dict[int, tuple[str, str]] = {}
        start = 2
        while block := list(islice(records, _BLOCK)):
            numbers = np.arange(start, start + len(block))
            start += len(block)
            lengths = np.fromiter(map(len, block), np.int64, len(block))
            if (lengths != width).any():
                block, numbers = _mend(block, numbers, width, faults)
            cells = np.empty((len(block), width), dtype=object)
            cells[:] = block
            blocks.append(cells)
            rows.append(numbers)
    cells = np.concatenate(blocks) if blocks else np.empty((0, width), dtype=object)
    columns = {name: np.ascontiguousarray(cells[:, place]) for place, name in names.items()}
    table = new_table(path.name, columns, len(cells), problems)
    table.rows = np.concatenate(rows) if rows else table.rows
    for row, (expected, found) in faults.items():
        table.problems.append(Problem(path.name, row, None, expected, found))
    garbled = np.isin(table.rows, list(faults))
    table.garbled, table.bad = garbled, garbled.copy()
    return table


class _Malformed(list):
    """A record that breaks the rules of quoting; it has no cells."""

    def __init__(self, error: csv.Error):
        super().__init__()
        ends = "unexpected end" in str(error)
        self.expected = "a closing quote" if ends else "a well-formed CSV row"
        self.found = "the end of the file" if ends else str(error)


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            yield from reader
            return
        except csv.Error as error:
            yield _Malformed(error)


def _mend(
    block: list, numbers: np.ndarray, width: int, faults: dict[int, tuple[str, str]]
) -> tuple[list, np.ndarray]:
    """Leaves out blank lines, and notes the rows that do not have as many cells as the header."""
    mended, kept = [], []
    for record, row in zip(block, numbers.tolist(), strict=True):
        if isinstance(record, _Malformed):
            faults[row] = record.expected, record.found
        elif not record:
            continue
        elif len(record) != width:
            faults[row] = f"{width} cells as in the header", f"{len(record)} cells"
        mended.append((record + [""] * width)[:width])
        kept.append(row)
    return mended, np.array(kept, dtype=np.int64)
