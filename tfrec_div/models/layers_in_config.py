"""Layers among the arguments of a model, in its configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfrec_div._keras import keras


def serialized(**parts: Any) -> dict[str, Any]:
    """Returns arguments as a configuration holds them: layers serialized, names and None as they are.

    Args:
        **parts: Layers, names or None, by argument.

    Example:
        >>> serialized(fusion="concat", text=None)
        {'fusion': 'concat', 'text': None}
    """
    return {
        name: keras.layers.serialize(part) if isinstance(part, keras.layers.Layer) else part
        for name, part in parts.items()
    }


def deserialized(
    config: dict[str, Any], names: Iterable[str], custom_objects: dict | None = None
) -> dict[str, Any]:
    """Returns the arguments that `serialized` made, layers made again.

    Args:
        config: The configuration.
        names: Of the arguments; what is not in the configuration is passed over.
        custom_objects: As for `keras.layers.deserialize`.
    """
    return {
        name: keras.layers.deserialize(config[name], custom_objects)
        if isinstance(config[name], dict)
        else config[name]
        for name in names
        if name in config
    }
