"""Arrays in the config of a metric, and in its graph."""

from __future__ import annotations

import base64
import types
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrec_div._keras import tf


def pack(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as plain values for `get_config`, bit by bit."""
    array = np.ascontiguousarray(array)
    data = base64.b64encode(zlib.compress(array.tobytes(), 1)).decode()
    return {"shape": list(array.shape), "dtype": array.dtype.str, "data": data}


def unpack(name: str, value: Any, axes: int) -> np.ndarray:
    """Returns an array that was given, or one that `pack` made.

    Args:
        name: Of the argument, for the message.
        value: An array, nested lists, or the result of `pack`.
        axes: How many axes it must have; the first is that of the items.

    Raises:
        ValueError: If it has another number of axes, no items, or no numbers.
    """
    if isinstance(value, Mapping):
        data = zlib.decompress(base64.b64decode(value["data"]))
        value = np.frombuffer(data, np.dtype(value["dtype"])).reshape(value["shape"])
    array = np.asarray(value)
    if array.ndim != axes or not len(array) or array.dtype.kind not in "biuf":
        shape = "[items, dim]" if axes == 2 else "[items]"
        raise ValueError(f"{name}: expected numbers {shape}, got {array.dtype} {list(array.shape)}")
    return array


def table(values: np.ndarray) -> types.SimpleNamespace:
    """Returns a float32 variable, as `.value`, to look items up in.

    It is a variable since a graph must not hold large constants, and is kept where Keras does not find it: it is no
    state, which would be reset, merged and saved.
    """
    return types.SimpleNamespace(value=tf.Variable(values.astype(np.float32), trainable=False, name="table"))
