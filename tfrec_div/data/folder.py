"""Reads a dataset folder."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tfrec_div.data.assemble import assemble, check_on_error, check_tables
from tfrec_div.data.checks import REQUIRED
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.settings import IDS, ITEM_FEATURES, TABLES, Settings, read_settings
from tfrec_div.data.table import Table
from tfrec_div.data.tables import read_table

EXTENSIONS = (".csv", ".parquet")


def load_folder(path: str | PathLike, on_error: str = "raise", check_images: bool = True) -> Dataset:
    """Loads a dataset folder.

    The folder holds `interactions` and optionally `items`, `users` and `impressions`, each as `.csv` or
    `.parquet`, and optionally `dataset.yaml`. Without items, the items are those of the interactions.

    Args:
        path: The folder.
        on_error: `"raise"` refuses a dataset with any error. `"drop"` leaves out the rows with errors,
            and the interactions of items that are left out, and counts them in `Dataset.dropped`. A bad
            picture is taken for a missing one.
        check_images: Whether to decode every picture once.

    Returns:
        The dataset.

    Raises:
        DataError: With all problems. A folder, file or column that is missing cannot be dropped.
    """
    check_on_error(on_error)
    folder = Path(path)
    tables, settings, fatal = read_folder(folder)
    checked = check_tables(tables, settings, folder, check_images and not fatal)
    if fatal:
        raise DataError([*fatal, *checked.problems], folder)
    return assemble(checked, settings, on_error, settings.name or folder.resolve().name, folder)


def read_folder(folder: Path) -> tuple[dict[str, Table], Settings, list[Problem]]:
    """Reads the files of a folder as strings.

    Args:
        folder: The folder.

    Returns:
        The tables that could be read, what `dataset.yaml` says, and the problems that no dropping of rows
        cures.
    """
    if not folder.is_dir():
        return (
            {},
            Settings(),
            [Problem(str(folder), None, None, "a dataset folder", "a file" if folder.exists() else "")],
        )
    fatal: list[Problem] = []
    settings, tables = Settings(), {}
    try:
        settings = read_settings(folder)
    except DataError as error:
        fatal += error.problems
    for name in TABLES:
        files = [
            folder / (name + extension) for extension in EXTENSIONS if (folder / (name + extension)).is_file()
        ]
        if len(files) > 1:
            fatal.append(
                Problem(
                    files[0].name, None, None, "one file of this name", " and ".join(f.name for f in files)
                )
            )
        elif files:
            try:
                renames = settings.columns.get(name, {})
                pictures = picture_columns(name, settings)
                tables[name] = read_table(files[0], renames, REQUIRED[name], pictures, coded=name not in IDS)
            except DataError as error:
                fatal += error.problems
        elif name == "interactions":
            fatal.append(
                Problem("interactions.csv", None, None, f"this file or interactions.parquet in {folder}", "")
            )
    return tables, settings, fatal


def picture_columns(table: str, settings: Settings) -> set[str]:
    """Returns the names of columns that may hold encoded pictures.

    Args:
        table: Name of the table.
        settings: What `dataset.yaml` says.
    """
    if table not in IDS:
        return set()
    features = {**(ITEM_FEATURES if table == "items" else {}), **settings.features.get(table, {})}
    return {name for name, feature in features.items() if feature is not None and feature.kind == "image"}
