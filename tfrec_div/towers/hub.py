"""A text model from TF-Hub: a SavedModel that turns strings into vectors."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from packaging.version import parse

from tfrec_div._keras import keras, tf
from tfrec_div.towers.cache import Contents
from tfrec_div.towers.content_encoder import ContentEncoder, Progress


@keras.utils.register_keras_serializable(package="tfrec_div")
class HubTextEncoder(ContentEncoder):
    """Encode strings by a model of TF-Hub, frozen: `[batch]` → `[batch, dim]`.

    Models with and without a preprocessor are read: sentence encoders take strings, while a BERT takes what its
    preprocessor makes of them. The handle is in `get_config`, so a restored encoder needs the model where it was.

    Args:
        handle: Folder of a SavedModel, or an address of TF-Hub where that can be reached.
        preprocessor: Handle of the preprocessor, or `None`.
        output: Which vectors to take of a model that returns several by name, such as `"pooled_output"`; `None` takes
            `"default"`, `"pooled_output"` or the only one.
        normalize: Scale the vectors to length one.

    Raises:
        ImportError: tensorflow-hub is not installed.
        FileNotFoundError: There is no SavedModel in the folder `handle`.
        ValueError: The model does not return float `[batch, dim]`, or has no such output.

    Example:
        >>> encoder = HubTextEncoder("models/nnlm-en-dim50")  # doctest: +SKIP
        >>> encoder.encode(["a toy story"]).shape  # doctest: +SKIP
        (1, 50)
    """

    def __init__(
        self,
        handle: str | os.PathLike,
        preprocessor: str | os.PathLike | None = None,
        output: str | None = None,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.handle = os.fspath(handle)
        self.preprocessor = os.fspath(preprocessor) if preprocessor is not None else None
        self.output_name = output
        self.normalize = normalize
        self.model = _load(self.handle, "handle")
        self.prepare = _load(self.preprocessor, "preprocessor") if self.preprocessor is not None else None
        self.trainable = False
        self._dim = self._vectors(tf.constant(["a"])).shape[-1]
        self.built = True

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        """Encode a batch.

        Args:
            texts: Strings `[batch]`.

        Returns:
            Vectors float32 `[batch, dim]`; an empty text has the zero vector.
        """
        vectors = self._vectors(texts)
        if self.normalize:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        present = tf.strings.length(tf.strings.strip(texts)) > 0
        return tf.ensure_shape(tf.where(present[:, tf.newaxis], vectors, 0.0), [None, self.dim])

    def encode(self, texts: Contents, batch_size: int = 32, progress: Progress = True) -> np.ndarray:
        """Encode many texts.

        Args:
            texts: `n` strings.
            batch_size: Texts in a batch.
            progress: Whether to show a bar; or a function that is called with the number of texts done since.

        Returns:
            Vectors float32 `[n, dim]`.
        """
        return self._in_batches(
            texts,
            lambda batch, _: self._encode(tf.constant(batch, tf.string)).numpy(),
            batch_size,
            progress,
            "text",
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 of all that decides the vectors: the settings and every file of the SavedModels."""
        digest = hashlib.sha256(json.dumps([self.output_name, self.normalize]).encode())
        for handle in filter(None, (self.handle, self.preprocessor)):
            folder = Path(_resolved(handle))
            for path in sorted(folder.rglob("*")):
                # The fingerprint that TensorFlow writes differs from one saving to the next.
                if path.is_file() and path.name != "fingerprint.pb":
                    digest.update(path.relative_to(folder).as_posix().encode())
                    digest.update(path.read_bytes())
        return digest.hexdigest()

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            "name": self.name,
            "handle": self.handle,
            "preprocessor": self.preprocessor,
            "output": self.output_name,
            "normalize": self.normalize,
        }

    def _vectors(self, texts: tf.Tensor) -> tf.Tensor:
        outputs = self.model(texts if self.prepare is None else self.prepare(texts))
        if isinstance(outputs, dict):
            names = [
                n
                for n in ("default", "pooled_output", *(outputs if len(outputs) == 1 else ()))
                if n in outputs
            ]
            name = self.output_name or next(iter(names), None)
            if name not in outputs:
                raise ValueError(f"output: expected one of {sorted(outputs)}, got {self.output_name!r}")
            outputs = outputs[name]
        elif self.output_name is not None:
            raise ValueError(
                f"output: {self.handle} returns one tensor without a name, got {self.output_name!r}"
            )
        if not outputs.dtype.is_floating or outputs.shape.rank != 2 or outputs.shape[-1] is None:
            raise ValueError(
                f"handle: expected {self.handle} to return float vectors [batch, dim], "
                f"got {outputs.dtype.name} {outputs.shape}"
            )
        return tf.cast(outputs, tf.float32)

    # Kept out of Keras' sight (a cached property goes to the instance's dictionary directly).
    @functools.cached_property
    def _encode(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return tf.function(self, input_signature=[tf.TensorSpec([None], tf.string)])


def _load(handle: str, argument: str) -> keras.layers.Layer:
    hub = _tensorflow_hub()
    if "://" not in handle and not Path(handle, "saved_model.pb").is_file():
        raise FileNotFoundError(f"{argument}: no SavedModel (saved_model.pb) in {handle}")
    return hub.KerasLayer(_resolved(handle), trainable=False)


def _resolved(handle: str) -> str:
    return _tensorflow_hub().resolve(handle) if "://" in handle else handle


@functools.cache
def _tensorflow_hub() -> types.ModuleType:
    try:
        with _pkg_resources():
            import tensorflow_hub
    except ImportError as error:
        raise ImportError("TF-Hub handles need tensorflow-hub: pip install 'tfrec_div[hub]'") from error
    return tensorflow_hub


@contextlib.contextmanager
def _pkg_resources() -> Iterator[None]:
    """Stands in for what tensorflow-hub 0.16 takes from setuptools, which has it no longer since version 82."""
    if importlib.util.find_spec("pkg_resources") is not None:
        yield
        return
    module = types.ModuleType("pkg_resources")
    module.parse_version = parse  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = module
    try:
        yield
    finally:
        del sys.modules["pkg_resources"]
