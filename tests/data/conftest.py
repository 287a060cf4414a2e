"""Folders and pictures for the tests of the data."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_folder(tmp_path):
    """Writes a dataset folder: `make_folder(interactions="user_id,…", files={"images/a.png": b"…"})`."""

    def make(name="shop", files=None, yaml=None, **tables):
        folder = tmp_path / name
        folder.mkdir()
        contents = {f"{table}.csv": text for table, text in tables.items()} | (files or {})
        if yaml is not None:
            contents["dataset.yaml"] = yaml
        for path, content in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return make


@pytest.fixture
def make_picture():
    """Encodes a picture of one colour."""

    def make(colour="red", kind="PNG", size=(4, 3)):
        stream = io.BytesIO()
        Image.new("RGB", size, colour).save(stream, kind)
        return stream.getvalue()

    return make


@pytest.fixture
def movielens():
    """The MovieLens folder beside the repository."""
    folder = Path(ROOT, os.environ.get("TFREC_DIV_SHARED", "../shared")) / "data" / "ml-100k-multimodal"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (TFREC_DIV_SHARED names the folder that holds it)")
    return folder
