"""A level of diversity for each user, by how varied the user's own history is."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse, special, stats

from tfrec_div._keras import keras

# Which feature of the items each kind of spread is over.
SPREADS = {"entropy": "aspects", "dispersion": "vectors"}
# Cells of one block of users: bounds the memory.
_BLOCK = 2**24


@keras.utils.register_keras_serializable(package="tfrec_div")
class Adaptive:
    """Levels from `low`, for who likes one kind of thing, to `high`, for who likes many.

    Users are ranked by the spread of their histories, and the rank is the level: the user with the least spread has
    `low`, the median user the middle, the one with the most spread `high`. Users with equal spreads have equal levels.

    - `"entropy"`: Shannon entropy of the categories of the history, divided by its largest value; an item with
      several categories counts for each with an equal share.
    - `"dispersion"`: 1 − ‖mean of the unit vectors‖².

    Args:
        low: Lowest level, in [0, 1].
        high: Highest level, in [low, 1].
        by: `"entropy"` or `"dispersion"`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> items, row_splits = np.array([0, 0, 0, 1]), np.array([0, 2, 4, 4])
        >>> Adaptive(0.2, 0.6).levels(items, row_splits, np.eye(2))
        array([0.2, 0.6, nan], dtype=float32)
    """

    def __init__(self, low: float = 0.0, high: float = 0.6, by: str = "entropy") -> None:
        if by not in SPREADS:
            raise ValueError(f"Adaptive: by must be one of {', '.join(SPREADS)}; received {by!r}")
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"Adaptive: expected 0 <= low <= high <= 1; received {low!r} and {high!r}")
        self.low, self.high, self.by = float(low), float(high), by

    @property
    def feature(self) -> str:
        """The feature of the items that the spread is over: `"aspects"` or `"vectors"`."""
        return SPREADS[self.by]

    def levels(self, items: np.ndarray, row_splits: np.ndarray, table: np.ndarray) -> np.ndarray:
        """The level of each user, float32 `[users]`; NaN where the spread is.

        Args:
            items: Item rows of all histories end to end.
            row_splits: Where each user's begins, `[users + 1]`.
            table: The feature of the items, `[items, dim]`.
        """
        # Equal spreads must have equal ranks, whatever the order of their sums.
        spread = self.spread(items, row_splits, table).round(6)
        known = ~np.isnan(spread)
        rank = stats.rankdata(spread[known], method="average") - 1.0
        share = rank / (len(rank) - 1) if len(rank) > 1 else np.full(len(rank), 0.5)
        levels = np.full(len(spread), np.nan, np.float32)
        levels[known] = self.low + (self.high - self.low) * share
        return levels

    def spread(self, items: np.ndarray, row_splits: np.ndarray, table: np.ndarray) -> np.ndarray:
        """How varied each history is, float64 `[users]` in [0, 1]; NaN without any item that has the feature.

        Args:
            items: Item rows of all histories end to end.
            row_splits: Where each user's begins, `[users + 1]`.
            table: The feature of the items, `[items, dim]`.
        """
        table = np.asarray(table, np.float64)
        length = table.sum(1) if self.by == "entropy" else np.sqrt(np.square(table).sum(1))
        known = length > 0
        table = table / np.where(known, length, 1.0)[:, np.newaxis]
        users = len(row_splits) - 1
        counts = sparse.csr_matrix((np.ones(len(items)), items, row_splits), shape=(users, len(table)))
        number = counts @ known.astype(np.float64)
        spread = np.full(users, np.nan)
        size = max(1, _BLOCK // max(table.shape[1], 1))
        for start in range(0, users, size):
            block = slice(start, start + size)
            mean = (counts[block] @ table) / np.maximum(number[block], 1.0)[:, np.newaxis]
            spread[block] = self._of_mean(mean)
        return np.where(number > 0, spread, np.nan)

    def _of_mean(self, mean: np.ndarray) -> np.ndarray:
        if self.by == "dispersion":
            return 1.0 - np.square(mean).sum(axis=1)
        return special.entr(mean).sum(axis=1) / np.log(max(mean.shape[1], 2))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"low": self.low, "high": self.high, "by": self.by}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Adaptive:
        """The inverse of `get_config`."""
        return cls(**config)
