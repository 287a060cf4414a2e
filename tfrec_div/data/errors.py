"""What is wrong with a dataset, and the exception that carries it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST_QUOTE = 80


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in one place of a dataset.

    Args:
        file: Name of the file, such as `interactions.csv`.
        row: Row as a spreadsheet shows it, the header being row 1. `None` when the whole file is meant.
        column: Name of the column as this package knows it. `None` when no column is meant.
        expected: What should have been there, such as `a number`.
        found: The text that was there; `""` reads as "nothing" and `None` leaves the part out.
        severity: `"error"` (training refuses it) or `"warning"`.

    Example:
        >>> print(Problem("interactions.csv", 17, "rating", "a number", "abc"))
        interactions.csv, row 17, column rating: expected a number, found "abc"
    """

    file: str
    row: int | None
    column: str | None
    expected: str
    found: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        text = f"{place}: expected {self.expected}"
        if self.found is not None:
            text += f", found {_quoted(self.found)}"
        return text


class DataError(ValueError):
    """A dataset cannot be used as it is.

    Args:
        problems: All that is wrong, in the order of the files and rows; warnings are left out.
        path: The dataset folder, for the hint at the end of the message.

    Attributes:
        problems: The list of `Problem`, errors only.
        path: As given.

    Example:
        >>> first = Problem("items.csv", 3, "price", "a number", "12 EUR")
        >>> print(DataError([first, Problem("items.csv", 9, "item_id", "an id", "")], "my_shop"))
        items.csv, row 3, column price: expected a number, found "12 EUR"
        and 1 more (tfrec-div validate my_shop lists all)
    """

    def __init__(self, problems: Iterable[Problem], path: object = None):
        self.problems = [problem for problem in problems if problem.severity == "error"]
        self.path = path
        message = str(self.problems[0]) if self.problems else "the dataset cannot be used"
        if len(self.problems) > 1:
            hint = ".problems lists all" if path is None else f"tfrec-div validate {path} lists all"
            message += f"\nand {len(self.problems) - 1} more ({hint})"
        super().__init__(message)

    def __reduce__(self):
        return type(self), (self.problems, self.path)


def _quoted(text: str) -> str:
    if text == "":
        return "nothing"
    if len(text) > _LONGEST_QUOTE:
        text = text[:_LONGEST_QUOTE] + "…"
    # JSON quoting keeps line breaks and quotes of the found text on one readable line.
    return json.dumps(text, ensure_ascii=False)
