"""tfrec_div: recommenders that are relevant and diverse, on TensorFlow and Keras.

Names are imported when they are first used, so `import tfrec_div` is quick and loads no TensorFlow.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Where each public name lives.
_NAMES = {
    "Batches": "data.batches",
    "BruteForce": "index.brute_force",
    "Catalog": "data.catalog",
    "DataError": "data.errors",
    "Dataset": "data.dataset",
    "Evaluation": "evaluation.evaluator",
    "Interactions": "data.interactions",
    "LazyAdam": "optimizers",
    "Recommender": "recommender",
    "Schema": "data.schema",
    "TextEncoder": "towers.text",
    "ImageEncoder": "towers.image",
    "TwoTower": "models.two_tower",
    "diversify": "rerank.diversify",
    "evaluate": "evaluation.evaluator",
    "export": "serving.export",
    "from_frames": "data.frames",
    "load_folder": "data.folder",
    "make_synthetic": "data.synthetic",
    "validate_folder": "data.validate",
    "write_folder": "data.write",
}
_MODULES = ("data", "evaluation", "index", "metrics", "models", "rerank", "serving", "tasks", "towers", "training")

__all__ = sorted(["__version__", "load", *_NAMES, *_MODULES])


def load(path):
    """Reads a recommender that `Recommender.save` wrote; it needs neither the data nor a network.

    Args:
        path: The folder.

    Returns:
        The `Recommender`.

    Raises:
        DataError: If `path` is no saved recommender.
    """
    from tfrec_div.storage import load_recommender

    return load_recommender(path)


def __getattr__(name: str):
    if name in _NAMES:
        # Kept, so that a name is looked up once; also because importing a submodule of the same name would hide it.
        value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
