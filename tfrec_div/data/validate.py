"""Checks a dataset folder without loading it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tfrec_div.data.assemble import check_tables
from tfrec_div.data.errors import Problem
from tfrec_div.data.folder import read_folder

__all__ = ["Problem", "validate_folder"]


def validate_folder(path: str | PathLike, check_images: bool = True) -> list[Problem]:
    """Lists everything that is wrong with a dataset folder, by the same checks that loading makes.

    Args:
        path: The folder.
        check_images: Whether to decode every picture.

    Returns:
        All problems by file and row: first those that concern whole files, then errors and warnings of rows.
        Empty when all is well.
    """
    folder = Path(path)
    tables, settings, fatal = read_folder(folder)
    return [*fatal, *check_tables(tables, settings, folder, check_images).problems]
