"""What counts as bad input, and how it is told."""

from __future__ import annotations

from tfrec_div.data.errors import DataError

BadInput = (DataError, FileExistsError, FileNotFoundError, PermissionError)


def explain(error: Exception) -> str:
    """Returns the one message for a user."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
