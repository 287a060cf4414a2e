"""What was shown to whom, at which position, and whether it was clicked."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Impressions:
    """Impressions in columns, sorted by user, time and position.

    Args:
        user: Rows of users, int32 `[n]`.
        item: Rows of items, int32 `[n]`.
        timestamp: Seconds since 1970, int64 `[n]`.
        position: Place in the list that was shown, int32 `[n]`, as the log counts.
        clicked: Boolean `[n]`.
        propensity: Probability of having been shown there, float32 `[n]`, above 0 and at most 1, NaN where
            missing.
    """

    user: np.ndarray
    item: np.ndarray
    timestamp: np.ndarray
    position: np.ndarray
    clicked: np.ndarray
    propensity: np.ndarray | None = None

    @classmethod
    def from_rows(cls, **columns: np.ndarray | None) -> Impressions:
        """Sorts rows that are in any order.

        Args:
            **columns: The columns of the class, each `[n]`.

        Returns:
            The sorted impressions.
        """
        dtypes = {
            "user": np.int32,
            "item": np.int32,
            "timestamp": np.int64,
            "position": np.int32,
            "clicked": bool,
            "propensity": np.float32,
        }
        given = {
            name: np.asarray(column, dtypes[name]) for name, column in columns.items() if column is not None
        }
        order = np.lexsort((given["position"], given["timestamp"], given["user"]))
        return cls(**{name: column[order] for name, column in given.items()})

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray) -> Impressions:
        """Returns some of the impressions, in the order they have here.

        Args:
            rows: Boolean mask `[n]`.
        """
        return replace(self, **{name: column[rows] for name, column in self._arrays().items()})

    def equals(self, other: Impressions) -> bool:
        """Tells whether all columns hold the same values.

        Args:
            other: Other impressions.
        """
        mine, theirs = self._arrays(), other._arrays()
        return mine.keys() == theirs.keys() and all(
            np.array_equal(mine[name], theirs[name], equal_nan=name == "propensity") for name in mine
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
