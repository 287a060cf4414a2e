"""Refuses arguments of models that do not fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema


def check_number(
    name: str,
    value: Any,
    fits: Callable[[Any], bool],
    expected: str,
    whole: bool = False,
    optional: bool = False,
) -> None:
    """Refuses what is no finite number, or one that does not fit.

    Args:
        name: Name of the argument.
        value: What was given for it.
        fits: Whether a number is in range.
        expected: What numbers are, for the message.
        whole: Whether it must be a whole number.
        optional: Whether None will do.

    Raises:
        ValueError: If it does not fit; the message names the argument, what was expected and what came.

    Example:
        >>> check_number("l2", None, lambda value: value > 0, "above 0, or None", optional=True)
        >>> check_number("l2", "x", lambda value: value > 0, "above 0, or None", optional=True)
        Traceback (most recent call last):
        ValueError: l2: expected above 0, or None, got 'x'
    """
    if value is None and optional:
        return
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value) or not fits(value):
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def training_data(x: Any, schema: Schema) -> Dataset:
    """Returns the data set behind what `fit` was given.

    Args:
        x: `Dataset.batches(...)`, or the data set itself.
        schema: That of the model.

    Raises:
        ValueError: If it is something else, or of another schema.
    """
    data = x.dataset if isinstance(x, Batches) else x
    if not isinstance(data, Dataset):
        raise ValueError(f"x: expected Batches (Dataset.batches(...)) or a Dataset, got {type(x).__name__}")
    if data.schema != schema:
        raise ValueError("x: its schema is not the one that the model was made with")
    return data
