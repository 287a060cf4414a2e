"""A file of a dataset as columns of strings, with the rows to name in a message."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from tfrec_div.data.column import Column, strings_of
from tfrec_div.data.errors import DataError, Problem

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Table:
    """Columns of strings with row numbers, and what was found to be wrong with them.

    Args:
        file: The name to use in messages.
        columns: Object arrays `[n]` of `str` by name, or what stands for one (`Coded`, `Numbers`); a column of
            pictures may hold `bytes`.
        rows: Row numbers as a spreadsheet shows them, int64 `[n]`.
        garbled: Rows that could not be read well enough to look at their cells, boolean `[n]`.
        bad: Rows with an error, boolean `[n]`.
        problems: What is wrong.
        lost_pictures: How many cells name no usable picture.
    """

    file: str
    columns: dict[str, Column]
    rows: np.ndarray
    garbled: np.ndarray
    bad: np.ndarray
    problems: list[Problem] = field(default_factory=list)
    lost_pictures: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def strings(self, column: str) -> np.ndarray:
        """Returns the cells of a column, an object array `[n]`."""
        return strings_of(self.columns[column])

    def report(
        self,
        where: np.ndarray,
        column: str | None,
        expected: str,
        *,
        severity: str = "error",
        found: dict[int, str] | None = None,
        drops: bool = True,
    ) -> None:
        """Records one problem for each row of a mask.

        Args:
            where: Boolean `[n]`.
            column: The column meant; its cell is quoted.
            expected: What should have been there.
            severity: `"error"` or `"warning"`.
            found: What to quote instead of the cell, by index.
            drops: Whether the row is of no use because of it.
        """
        hits = np.flatnonzero(where & ~self.garbled)
        if severity == "error" and drops:
            self.bad[hits] = True
        cells = None if column is None else self.columns[column]
        for index, row in zip(hits.tolist(), self.rows[hits].tolist(), strict=True):
            cell = found[index] if found is not None else None if cells is None else str(cells[index])
            self.problems.append(Problem(self.file, row, column, expected, cell, severity))

    def sorted_problems(self) -> list[Problem]:
        """Returns the problems by row; those of the whole file come first."""
        return sorted(self.problems, key=lambda problem: problem.row or 0)


def new_table(file: str, columns: Mapping[str, Column], size: int, problems: list[Problem]) -> Table:
    """Makes a table whose rows stand below a header without gaps.

    Args:
        file: The name to use in messages.
        columns: Columns by name, each of that size.
        size: The number of rows.
        problems: What is known to be wrong.
    """
    return Table(
        file, dict(columns), np.arange(2, size + 2), np.zeros(size, bool), np.zeros(size, bool), problems
    )


def name_columns(
    header: list[str], renames: dict[str, str], required: Collection[str], file: str
) -> tuple[dict[int, str], list[Problem]]:
    """Names the columns of a file.

    Args:
        header: The names in the file.
        renames: The column in the file and the name used here.
        required: Names that must be there.
        file: The name of the file in messages.

    Returns:
        The name used here of each column by its place, and warnings. A column without a name is left out.

    Raises:
        DataError: If a column is missing or there twice.
    """
    header = [name.strip() for name in header]
    names = {place: renames.get(name, name) for place, name in enumerate(header) if name}
    errors = [
        Problem(
            file, None, name, "this column, which dataset.yaml renames", "the columns " + ", ".join(header)
        )
        for name in renames
        if name not in header
    ]
    used = list(names.values())
    for name in dict.fromkeys(name for name in used if used.count(name) > 1):
        errors.append(Problem(file, None, name, "one column of this name", f"{used.count(name)} columns"))
    for name in required:
        if name not in used:
            errors.append(Problem(file, None, name, "this column", "the columns " + ", ".join(header)))
    if errors:
        raise DataError(errors)
    nameless = [place + 1 for place, name in enumerate(header) if not name]
    return names, [
        Problem(file, None, None, f"a name for column {place}; it is ignored", severity="warning")
        for place in nameless
    ]


def printable(text: str) -> str:
    """Replaces what stands for bytes that are no UTF-8.

    Args:
        text: Text that may hold lone surrogates.

    Example:
        >>> printable("caf" + chr(0xDCE9))
        'caf�'
    """
    return _SURROGATE.sub("\ufffd", text)
