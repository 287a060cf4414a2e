"""What counts as bad input, and how it is told."""

from __future__ import annotations

from tfrec_div.data.errors import DataError, Problem

BadInput = (DataError, FileExistsError, FileNotFoundError, IsADirectoryError, PermissionError)


def explain(error: Exception) -> str:
    """Returns the one message for a user."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def refusal(option: str, expected: str, found: object) -> DataError:
    """Returns the error for an option whose value does not fit."""
    return DataError([Problem(option, None, None, expected, str(found))])
