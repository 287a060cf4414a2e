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
    """Encode strings by a model of TF-Hub, frozen or trained along: `[batch]` → `[batch, dim]`.

    Models with and without a preprocessor are read: sentence encoders take strings, while a BERT takes what its
    preprocessor makes of them. The handle is in `get_config`, so a restored encoder needs the model where it was; the
    weights that training has changed are saved with the tower.

    Args:
        handle: Folder of a SavedModel, or an address of TF-Hub where that can be reached.
        preprocessor: Handle of the preprocessor, or `None`.
        output: Which vectors to take of a model that returns several by name, such as `"pooled_output"`; `None` takes
            `"default"`, `"pooled_output"` or the only one.
        normalize: Scale the vectors to length one.
        trainable: Whether training changes the model, all of it; the preprocessor stays as it is.
        max_bytes: Bytes of a text, in UTF-8, that a model which is trained reads; the rest is cut.

    Raises:
        ImportError: tensorflow-hub is not installed.
        FileNotFoundError: There is no SavedModel in the folder `handle`.
        ValueError: The model does not return float `[batch, dim]`, has no such output, or is to be trained and has
            no trainable variables.

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
        trainable: bool = False,
        max_bytes: int = 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_bytes < 1:
            raise ValueError(f"max_bytes: expected at least 1, got {max_bytes}")
        self.handle = os.fspath(handle)
        self.preprocessor = os.fspath(preprocessor) if preprocessor is not None else None
        self.output_name = output
        self.normalize = normalize
        self.trained, self.max_bytes = trainable, max_bytes
        self.model = _load(self.handle, "handle", trainable)
        if trainable and not self.model.trainable_weights:
            raise ValueError(
                f"trainable: expected a model with trainable_variables, and {self.handle} has none; leave it frozen"
            )
        self.prepare = (
            _load(self.preprocessor, "preprocessor", False) if self.preprocessor is not None else None
        )
        if not trainable:
            self.trainable = False
        self._dim = self._vectors(tf.constant(["a"])).shape[-1]
        self.built = True

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def call(self, texts: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode a batch.

        Args:
            texts: Strings `[batch]`.
            training: Whether the model works as in training, such as by dropout; never while frozen.

        Returns:
            Vectors float32 `[batch, dim]`; an empty text has the zero vector.
        """
        vectors = self._vectors(texts, training)
        if self.normalize:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        present = tf.strings.length(tf.strings.strip(texts)) > 0
        return tf.ensure_shape(tf.where(present[:, tf.newaxis], vectors, 0.0), [None, self.dim])

    @property
    def row_spec(self) -> tuple[tuple[int, ...], str]:
        """Shape and type of what `to_rows` makes of a text."""
        return (self.max_bytes,), "uint8"

    def to_rows(self, texts: tf.Tensor) -> tf.Tensor:
        """Take texts `[batch]` apart to their bytes, uint8 `[batch, max_bytes]`, 0 for padding."""
        texts = tf.strings.regex_replace(texts, r"\x00", "")
        # A character that the cut goes through is dropped.
        texts = tf.strings.unicode_transcode(
            tf.strings.substr(texts, 0, self.max_bytes), "UTF-8", "UTF-8", errors="ignore"
        )
        rows = tf.io.decode_raw(texts, tf.uint8, fixed_length=self.max_bytes)
        return tf.ensure_shape(rows, [None, self.max_bytes])

    def rows_of(self, texts: Contents, batch_size: int = 1024) -> np.ndarray:
        """Take many texts apart as `to_rows` does, uint8 `[n, max_bytes]`."""
        rows = np.zeros([len(texts), self.max_bytes], np.uint8)
        for start in range(0, len(texts), batch_size):
            batch = [texts[row] for row in range(start, min(start + batch_size, len(texts)))]
            rows[start : start + len(batch)] = self.to_rows(tf.constant(batch, tf.string)).numpy()
        return rows

    @staticmethod
    def present(rows: tf.Tensor) -> tf.Tensor:
        """Tell which rows `[batch, max_bytes]` hold more than white space, bool `[batch]`."""
        return tf.reduce_any(rows > 32, axis=1)

    def encode_rows(
        self, rows: tf.Tensor, training: bool | None = None, step: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Encode what `to_rows` made; equal rows once.

        Args:
            rows: Uint8 `[batch, max_bytes]`.
            training: Whether the model works as in training.
            step: Of no use here: a SavedModel's draws are its own.

        Returns:
            Vectors float32 `[batch, dim]`.
        """
        distinct = tf.raw_ops.UniqueV2(x=rows, axis=[0], out_idx=tf.int32)
        letters = tf.constant([b"", *(bytes([code]) for code in range(1, 256))])
        texts = tf.strings.reduce_join(tf.gather(letters, tf.cast(distinct.y, tf.int32)), axis=1)
        return tf.gather(self(texts, training=training), distinct.idx)

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
        if self.trained:
            for weight in self.get_weights():
                digest.update(np.ascontiguousarray(weight).data)
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
            "trainable": self.trained,
            "max_bytes": self.max_bytes,
        }

    def _vectors(self, texts: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        read = texts if self.prepare is None else self.prepare(texts)
        outputs = self.model(read, training=bool(training and self.trained))
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


def _load(handle: str, argument: str, trainable: bool) -> keras.layers.Layer:
    hub = _tensorflow_hub()
    if "://" not in handle and not Path(handle, "saved_model.pb").is_file():
        raise FileNotFoundError(f"{argument}: no SavedModel (saved_model.pb) in {handle}")
    return hub.KerasLayer(_resolved(handle), trainable=trainable)


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
