"""Features, items, users and interactions: reading, checking, splitting, writing. Imports no TensorFlow."""

from __future__ import annotations

import importlib

from tfrec_div.data.catalog import Catalog
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.features import Category, Feature, Id, Image, Number, Text, Timestamp
from tfrec_div.data.folder import load_folder
from tfrec_div.data.frames import from_frames
from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.data.split import SPLITS
from tfrec_div.data.validate import validate_folder
from tfrec_div.data.write import write_folder

__all__ = [
    "SPLITS",
    "Catalog",
    "Category",
    "DataError",
    "Dataset",
    "Entities",
    "Feature",
    "Id",
    "Image",
    "Impressions",
    "Interactions",
    "Number",
    "Problem",
    "Schema",
    "Text",
    "Timestamp",
    "from_frames",
    "load_folder",
    "validate_folder",
    "write_folder",
]

# Modules that import TensorFlow are loaded when their names are asked for.
_LAZY = {"Batches": "tfrec_div.data.batches"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
