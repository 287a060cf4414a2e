"""What all constraints have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.rerank.inputs import CONTEXT, NOT_IN_CONTEXT
from tfrec_div.rerank.pins import Pins
from tfrec_div.rerank.pool import Pool

State = tuple[tf.Tensor, ...]


class Page(NamedTuple):
    """The page to be made, as a constraint sees it before the first pick.

    Attributes:
        pool: the candidates.
        available: the candidates that may come on the page, bool `[batch, columns]`; not those pinned behind it.
        length: how many places will be filled, int32 `[batch, 1]`.
        pins: the pinned items; None: no pins were given.
        constraints: all constraints of the page.
    """

    pool: Pool
    available: tf.Tensor
    length: tf.Tensor
    pins: Pins | None
    constraints: tuple[Constraint, ...]

    def counted(self, context: bool) -> tf.Tensor | None:
        """The columns that count before the first pick, bool: pins, and items of the context if these count.

        None: there are none of either.
        """
        context = context and not (isinstance(self.pool.context, int) and self.pool.context == 0)
        if not context:
            return None if self.pins is None else self.pins.on_page
        columns = context_columns(self.pool)
        return columns if self.pins is None else columns | self.pins.on_page


def context_columns(pool: Pool) -> tf.Tensor:
    """The columns of a pool that are items of the context, bool `[batch, columns]`."""
    return (pool.index >= tf.shape(pool.scores)[1] - pool.context) & tf.ones_like(pool.valid)


class Rule:
    """A constraint at work on one page.

    Attributes:
        state: tensors that it carries along, of shapes that do not change.
    """

    state: State = ()

    def allowed(self, state: State, open_: tf.Tensor, place: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """The columns that the constraint allows next, bool `[batch, columns]`.

        Args:
            state: what it carries along.
            open_: the columns it may choose from, bool `[batch, columns]`.
            place: number of the place, from 0.
            left: how many places, this one included, are not pinned, int32 `[batch, 1]`.
        """
        raise NotImplementedError

    def prudent(self, state: State, place: tf.Tensor) -> tf.Tensor | None:
        """The columns after which it can still hold, bool `[batch, columns]`; None: `allowed` sees to that."""
        return None

    def eager(self, state: State) -> tf.Tensor | None:
        """The columns that fulfil a need, whether or not it could wait, bool `[batch, columns]`; None: no needs."""
        return None

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """The state with a pick.

        Args:
            state: what it carries along.
            pick: int32 `[batch]`.
            place: number of the place, from 0.
            new: 1 for a pick, 0 for a pinned item (it counts from the start), float32 `[batch, 1]`.
        """
        raise NotImplementedError


class Constraint:
    """A condition on the items of a page; see `AtMost`, `AtLeast` and `MinGap`.

    Args:
        by: key of the re-ranker's inputs: codes `[batch, candidates]` (negative: no value) or rows `[batch,
            candidates, values]` (above 0: has the value).

    Raises:
        ValueError: `by` is no feature of the candidates.
    """

    def __init__(self, by: str) -> None:
        if not isinstance(by, str) or not by or by in NOT_IN_CONTEXT or by.startswith(CONTEXT):
            raise ValueError(
                f"{type(self).__name__}: by must be the name of a feature of the candidates; received {by!r}"
            )
        self.by = by

    def start(self, page: Page) -> Rule:
        """The constraint at work on a page."""
        raise NotImplementedError

    def holds(self, pool: Pool, positions: tf.Tensor) -> tf.Tensor:
        """Whether a page meets it, bool `[batch]`.

        Args:
            pool: the candidates.
            positions: the page, int32 `[batch, places]`, −1 where it is empty.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"by": self.by}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """The inverse of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        first, *others = self.get_config().items()
        named = "".join(
            f", {key}={value!r}" for key, value in others if value is not None and value is not True
        )
        return f"{type(self).__name__}({first[1]!r}{named})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(repr(self))

    def _whole(self, argument: str, value: Any, least: int) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float, np.integer))
            or not float(value).is_integer()
            or value < least
        ):
            raise ValueError(
                f"{type(self).__name__}: {argument} must be a whole number of at least {least}; received {value!r}"
            )
        return int(value)
