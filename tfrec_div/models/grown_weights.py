"""The weights of a model, in one with room for more items."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras


def copy_grown_weights(model: keras.layers.Layer, larger: keras.layers.Layer) -> None:
    """Copies the weights to a model of the same kind some of whose weights are larger; what is new is zero.

    Args:
        model: The model.
        larger: The one that takes its weights.
    """
    for old, new in zip(model.weights, larger.weights, strict=True):
        values = old.numpy()
        if new.shape.is_fully_defined() and new.shape != values.shape:
            more = np.subtract(new.shape.as_list(), values.shape)
            values = np.pad(values, [(0, rows) for rows in more])
        new.assign(values)
