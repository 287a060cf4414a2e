"""The constraints of a re-ranker, from its argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras
from tfrec_div.rerank.constraints.base import Constraint

_MOST = 30  # they are compared as the digits of an int32


def make_constraints(name: str, constraints: Sequence[Any]) -> tuple[Constraint, ...]:
    """Check a sequence of constraints, or of what `get_config` made of them.

    Args:
        name: the re-ranker, for the messages.
        constraints: the argument.

    Raises:
        ValueError: something is no constraint, or is there twice, or there are more than 30.
    """
    if isinstance(constraints, (Constraint, str, dict)) or not hasattr(constraints, "__iter__"):
        raise ValueError(f"{name}: constraints must be a list of constraints; received {constraints!r}")
    made = tuple(
        keras.saving.deserialize_keras_object(one) if isinstance(one, dict) else one for one in constraints
    )
    for number, one in enumerate(made):
        if not isinstance(one, Constraint):
            raise ValueError(
                f"{name}: constraints must hold AtMost, AtLeast or MinGap; received {one!r} at {number}"
            )
        if one in made[:number]:
            raise ValueError(f"{name}: constraints must differ; received {one!r} twice")
    if len(made) > _MOST:
        raise ValueError(f"{name}: constraints must be at most {_MOST}; received {len(made)}")
    return made
