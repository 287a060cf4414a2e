"""Features, items, users and interactions: reading, checking, splitting, writing."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "Batches": "batches",
    "Catalog": "catalog",
    "Category": "features",
    "DataError": "errors",
    "Dataset": "dataset",
    "Entities": "entities",
    "Feature": "features",
    "Id": "features",
    "Image": "features",
    "Impressions": "impressions",
    "Interactions": "interactions",
    "Number": "features",
    "Problem": "errors",
    "SPLITS": "split",
    "Schema": "schema",
    "Text": "features",
    "Timestamp": "features",
    "add_items": "new_items",
    "from_frames": "frames",
    "from_tfds": "tfds",
    "load_folder": "folder",
    "load_movielens": "movielens",
    "make_synthetic": "synthetic",
    "validate_folder": "validate",
    "write_folder": "write",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
