"""Checks that pictures are there, lie inside the folder, and decode."""

from __future__ import annotations

import io
import os
import posixpath
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from tfrec_div.data.table import Table

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP")
"""What TensorFlow decodes in the graph; MPO is what some cameras call a JPEG."""


def check_pictures(table: Table, column: str, root: Path | None, decode: bool = True) -> None:
    """Reports cells that name no usable picture, and empties them.

    A path must lead to a file without leaving the folder by `..` or a leading `/`.

    Args:
        table: The table, which is changed.
        column: The column of paths, or of encoded pictures as `bytes`.
        root: The folder that paths are relative to.
        decode: Whether to decode the pictures too, with a progress bar when that takes long.
    """
    codes, uniques = pd.factorize(table.strings(column))
    faults: dict[int, tuple[str, str]] = {}
    sources: dict[int, bytes | Path] = {}
    for index, value in enumerate(uniques):
        if isinstance(value, bytes):
            sources[index] = value
        elif value == "":
            continue
        elif root is None:
            faults[index] = "image_root, because the column holds paths", value
        elif leaves_folder(value):
            faults[index] = "a path inside the folder", value
        elif not os.path.isfile(root / value):
            faults[index] = "the path of a file in the folder", value
        else:
            sources[index] = root / value
    if decode:
        for index, reason in _undecodable(sources).items():
            value = uniques[index]
            shown = f"{len(value)} bytes" if isinstance(value, bytes) else value
            faults[index] = "a picture that decodes (JPEG, PNG, GIF or BMP)", f"{shown} ({reason})"
    for expected in dict.fromkeys(expected for expected, _ in faults.values()):
        of_kind = np.array([index for index, fault in faults.items() if fault[0] == expected])
        where = np.isin(codes, of_kind)
        found = {int(cell): faults[codes[cell]][1] for cell in np.flatnonzero(where)}
        table.report(where, column, expected, found=found, drops=False)
        table.lost_pictures += int((where & ~table.bad).sum())
        cells = table.strings(column)
        cells[where] = ""
        table.columns[column] = cells


def leaves_folder(path: str) -> bool:
    """Tells whether a path leads out of the folder it is relative to.

    Args:
        path: As it stands in a cell.

    Example:
        >>> leaves_folder("images/../7.jpg"), leaves_folder("images/../../7.jpg"), leaves_folder("/7.jpg")
        (False, True, True)
    """
    windows = PureWindowsPath(path)
    inner = posixpath.normpath(path.replace("\\", "/"))
    return bool(windows.drive or windows.root) or inner == ".." or inner.startswith("../")


def _undecodable(sources: dict[int, bytes | Path]) -> dict[int, str]:
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow warns of large pictures, which are no fault
        reasons = tqdm(
            pool.map(_fault, sources.values()), "checking pictures", len(sources), unit="picture", delay=1.0
        )
        return {index: reason for index, reason in zip(sources, reasons, strict=True) if reason}


def _fault(source: bytes | Path) -> str | None:
    try:
        # Pillow's verify leaves the picture unusable, so it is opened once more to decode it.
        with Image.open(_stream(source)) as picture:
            kind = picture.format
            picture.verify()
        with Image.open(_stream(source)) as picture:
            picture.load()
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly anything
        return (
            "no known picture format"
            if "cannot identify" in str(error)
            else str(error) or type(error).__name__
        )
    return None if kind in FORMATS else str(kind)


def _stream(source: bytes | Path) -> io.BytesIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source
