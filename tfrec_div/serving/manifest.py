"""What an export holds and was made with: versions, operations, checksum, a sample to compare with."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
from pathlib import Path

from tfrec_div import __version__
from tfrec_div._keras import tf

MANIFEST = "manifest.json"
PACKAGES = ("tensorflow", "tensorflow-text", "tf-keras", "tensorflow-recommenders", "transformers", "numpy")
# What the build files of stock TensorFlow Serving link of tensorflow_text.
LINKED_TEXT_LIBRARIES = (
    "_fast_bert_normalizer",
    "_fast_wordpiece_tokenizer",
    "_normalize_ops",
    "_regex_split_ops",
    "_wordpiece_tokenizer",
)


def inputs_of(function) -> list[tf.TensorSpec]:
    """Returns the inputs of a concrete function, each with its name."""
    return tf.nest.flatten(function.structured_input_signature)


def operations(folder: Path) -> list[str]:
    """Returns the name of every operation in a SavedModel, those in its functions too."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    names: set[str] = set()
    for graph in model.meta_graphs:
        names.update(node.op for node in graph.graph_def.node)
        for function in graph.graph_def.library.function:
            names.update(node.op for node in function.node_def)
        own = {function.signature.name for function in graph.graph_def.library.function}
        names -= own
    return sorted(names)


def not_served(names: list[str]) -> list[str]:
    """Returns the operations that stock TensorFlow Serving does not link.

    An operation is linked when it is TensorFlow's own, or in one of `LINKED_TEXT_LIBRARIES`.
    """
    from tensorflow.python.framework import op_def_registry

    linked = text_operations(names, LINKED_TEXT_LIBRARIES)
    of_text = text_operations(names)
    return [n for n in names if n not in linked and (n in of_text or op_def_registry.get(n) is None)]


def text_operations(names: list[str], libraries: tuple[str, ...] | None = None) -> list[str]:
    """Returns which operations are of tensorflow_text, or of some of its libraries."""
    import tensorflow_text

    files = (Path(tensorflow_text.__file__).parent / "python" / "ops").glob("*.so")
    chosen = [file for file in files if libraries is None or file.stem in libraries]
    # A library's Python module has a name for each operation, with "_" for what Python does not allow.
    modules = [tf.load_op_library(str(file)) for file in chosen]
    known = {name for module in modules for name, value in vars(module).items() if inspect.isfunction(value)}
    return [name for name in names if name.replace(">", "_") in known]


def checksum(folder: Path) -> str:
    """Returns the SHA-256 of the graph and the variables, file names included."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path, signatures: dict, sample: dict, settings: dict) -> dict:
    """Writes the manifest of an export into its folder and returns it.

    Args:
        folder: The version folder with the SavedModel.
        signatures: Concrete functions by name.
        sample: Requests and answers for a parity check.
        settings: How the recommender is set.

    Raises:
        RuntimeError: If an operation would not load in stock TensorFlow Serving.
    """
    names = operations(folder)
    missing = not_served(names)
    if missing:
        raise RuntimeError(f"stock TensorFlow Serving does not link these operations: {', '.join(missing)}")
    manifest = {
        "format": 1,
        "versions": {"tfrec_div": __version__, **{package: _version(package) for package in PACKAGES}},
        "settings": settings,
        "signatures": {
            name: {
                "inputs": {spec.name: _describe(spec) for spec in inputs_of(function)},
                "outputs": {key: _describe(spec) for key, spec in function.structured_outputs.items()},
            }
            for name, function in signatures.items()
        },
        "operations": names,
        "operations_of_tensorflow_text": text_operations(names),
        "sha256": checksum(folder),
        "parity": sample,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
    return manifest


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _describe(spec: tf.TensorSpec) -> dict:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
