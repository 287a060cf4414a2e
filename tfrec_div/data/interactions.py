"""Who did what with which item, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

COLUMNS = ("rating", "timestamp", "event", "dwell", "weight", "review")
"""Optional columns, in the order in which they are written."""
STRENGTHS = {"view": 0.2, "save": 0.6, "cart": 0.6, "purchase": 1.0}
OTHER_STRENGTH = 0.5
WANTED = ("save", "cart", "purchase")

_DTYPES = {"rating": np.float32, "timestamp": np.int64, "dwell": np.float32, "weight": np.float32}


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions in columns, always sorted by user, then time, then a hash of the ids.

    Many logs have users with several interactions in one second. The order within such a tie must not follow
    the rows of the items, which often rise with rarity or age: a split would then test on rare items. So ties
    are ordered by a hash of the user and item id, the same in every process. Without timestamps the hash
    alone is the order.

    Use `from_rows` to make one from rows in any order.

    Args:
        user: Rows of users, int32 `[n]`.
        item: Rows of items, int32 `[n]`.
        num_users: The number of users there are.
        num_items: The number of items there are.
        tie: The hash that orders ties, uint64 `[n]`.
        rating: Float32 `[n]`, NaN where missing.
        timestamp: Seconds since 1970, int64 `[n]`.
        event: Object array `[n]` of `str`.
        dwell: Seconds, float32 `[n]`, NaN where missing.
        weight: Float32 `[n]`, 0 or more.
        review: Object array `[n]` of `str`.
        rating_scale: Lowest and highest rating of the whole dataset, so that subsets agree on what is
            relevant.
        event_names: Events that occur in the whole dataset, for the same reason.
    """

    user: np.ndarray
    item: np.ndarray
    num_users: int
    num_items: int
    tie: np.ndarray
    rating: np.ndarray | None = None
    timestamp: np.ndarray | None = None
    event: np.ndarray | None = None
    dwell: np.ndarray | None = None
    weight: np.ndarray | None = None
    review: np.ndarray | None = None
    rating_scale: tuple[float, float] | None = None
    event_names: tuple[str, ...] = ()

    def __post_init__(self):
        for name, column in self._arrays().items():
            if column.shape != self.user.shape:
                raise ValueError(f"expected {len(self.user)} values of {name}, got the shape {column.shape}")
        time = self.tie if self.timestamp is None else self.timestamp
        same_user = self.user[1:] == self.user[:-1]
        if np.any(self.user[1:] < self.user[:-1]) or np.any(same_user & (time[1:] < time[:-1])):
            raise ValueError(
                "expected rows sorted by user and time, got another order: use Interactions.from_rows"
            )

    @classmethod
    def from_rows(
        cls,
        user: np.ndarray,
        item: np.ndarray,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        *,
        rating_scale: tuple[float, float] | None = None,
        event_names: Sequence[str] | None = None,
        **columns: np.ndarray | None,
    ) -> Interactions:
        """Sorts rows that are in any order.

        Args:
            user: Rows of users, `[n]`.
            item: Rows of items, `[n]`.
            user_ids: Ids of all users by row.
            item_ids: Ids of all items by row.
            rating_scale: Lowest and highest rating possible; taken from the ratings when not given.
            event_names: Events that can occur; taken from the events when not given.
            **columns: Any of rating, timestamp, event, dwell, weight and review, each `[n]`.

        Returns:
            The sorted interactions.

        Example:
            >>> time = [5, 9, 3]
            >>> log = Interactions.from_rows([1, 0, 0], [0, 1, 0], list("ab"), list("xy"), timestamp=time)
            >>> log.user.tolist(), log.item.tolist()
            ([0, 0, 1], [0, 1, 0])
        """
        unknown = set(columns) - set(COLUMNS)
        if unknown:
            raise TypeError(f"expected columns out of {', '.join(COLUMNS)}, got {', '.join(sorted(unknown))}")
        user, item = np.asarray(user, np.int32), np.asarray(item, np.int32)
        given = {
            name: np.asarray(column, _DTYPES.get(name, object))
            for name, column in columns.items()
            if column is not None
        }
        tie = _tie_hash(user_ids, item_ids, user, item)
        order = _order(user, tie, given.get("timestamp"))
        given = {name: column[order] for name, column in given.items()}
        if "rating" in given and rating_scale is None:
            known = given["rating"][np.isfinite(given["rating"])]
            rating_scale = (float(known.min()), float(known.max())) if len(known) else None
        if "event" in given and event_names is None:
            event_names = sorted(name for name in pd.unique(given["event"]) if name)
        return cls(
            user[order],
            item[order],
            len(user_ids),
            len(item_ids),
            tie[order],
            rating_scale=rating_scale,
            event_names=tuple(event_names or ()),
            **given,
        )

    def __len__(self) -> int:
        return len(self.user)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the optional columns that are there."""
        return tuple(name for name in COLUMNS if getattr(self, name) is not None)

    def take(self, rows: np.ndarray) -> Interactions:
        """Returns some of the interactions, in the order they have here.

        Args:
            rows: Boolean mask `[n]`, or indices in any order.

        Returns:
            Interactions of the same users and items.
        """
        rows = np.asarray(rows)
        if rows.dtype != bool:
            rows = np.sort(rows.astype(np.int64))
        elif rows.shape != self.user.shape:
            raise ValueError(f"expected a mask of {len(self)} interactions, got the shape {rows.shape}")
        return replace(self, **{name: column[rows] for name, column in self._arrays().items()})

    def user_counts(self) -> np.ndarray:
        """Returns the number of interactions of each user, int64 `[num_users]`."""
        return np.bincount(self.user, minlength=self.num_users).astype(np.int64)

    def item_counts(self) -> np.ndarray:
        """Returns the number of interactions of each item, int64 `[num_items]`."""
        return np.bincount(self.item, minlength=self.num_items).astype(np.int64)

    def histories(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items of each user in the order of time.

        Returns:
            The item rows of all users one after the other, int32 `[n]`, and where each user's begin, int64
            `[num_users + 1]`: those of user u are `values[row_splits[u]:row_splits[u + 1]]`.
        """
        return self.item, np.concatenate([[0], np.cumsum(self.user_counts())]).astype(np.int64)

    def latest(self, users: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the last items of some users, the latest first.

        Args:
            users: Rows of users `[n]`; -1 is an unknown user, who has none.
            steps: Items of each at most.

        Returns:
            Item rows int32 `[n, steps]`, padded with -1, and their strength float32 `[n, steps]`, padded with 0.

        Example:
            >>> log = Interactions.from_rows([0, 0, 0], [2, 0, 1], ["a"], ["x", "y", "z"], timestamp=[1, 2, 3])
            >>> log.latest(np.array([0, -1]), 2)[0].tolist()
            [[1, 0], [-1, -1]]
        """
        items, starts = self.histories()
        position = starts[users + 1][:, None] - 1 - np.arange(steps)[None, :]
        inside = (position >= starts[users][:, None]) & (users >= 0)[:, None]
        position = np.where(inside, position, len(items))
        return np.append(items, -1)[position].astype(np.int32), np.append(self.strength(), 0)[
            position
        ].astype(np.float32)

    def relevant(self) -> np.ndarray:
        """Tells which interactions speak for the item.

        With ratings: those at three quarters of the scale or above (4 on 1 to 5). Else, when views occur
        along with saves, carts or purchases, the latter three. Else all. An interaction that lacks a rating
        goes by its event, and is not relevant without one.

        Returns:
            Boolean `[n]`.
        """
        if self.rating is None or self.rating_scale is None:
            by_event = self._wanted()
            return np.ones(len(self), bool) if by_event is None else by_event
        low, high = self.rating_scale
        # Float32 ratings may lie a rounding error below a threshold such as 0.7.
        relevant = self.rating >= low + 0.75 * (high - low) - 1e-6 * (high - low)
        unrated = np.isnan(self.rating)
        by_event = self._wanted() if unrated.any() else None
        return relevant if by_event is None else relevant | (unrated & by_event)

    def strength(self) -> np.ndarray:
        """Returns how much an interaction counts in training.

        Ratings: 1 where relevant, else 0.1 to 0.5 by the place on the scale (0.3 where the rating is
            missing). Events:
        view 0.2, save and cart 0.6, purchase 1, any other 0.5. Else 1. All multiplied by the weight when
        there is one.

        Returns:
            Float32 `[n]`, above 0 and at most 1 before weights.
        """
        strength = np.ones(len(self))
        if self.rating is not None and self.rating_scale is not None:
            low, high = self.rating_scale
            place = (np.nan_to_num(self.rating, nan=(low + high) / 2) - low) / ((high - low) or 1.0)
            strength = np.where(self.relevant(), 1.0, 0.1 + 0.4 * place)
        elif self.event is not None:
            codes, names = pd.factorize(self.event)
            by_name = np.array([STRENGTHS.get(name, OTHER_STRENGTH) for name in names])
            strength = by_name[codes] if len(names) else strength
        if self.weight is not None:
            strength = strength * self.weight
        return strength.astype(np.float32)

    def equals(self, other: Interactions) -> bool:
        """Tells whether all columns hold the same values.

        Args:
            other: Other interactions.
        """
        mine, theirs = self._arrays(), other._arrays()
        settings = ("num_users", "num_items", "rating_scale", "event_names")
        return (
            mine.keys() == theirs.keys()
            and all(getattr(self, name) == getattr(other, name) for name in settings)
            and all(
                np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f")
                for name in mine
            )
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def _wanted(self) -> np.ndarray | None:
        if self.event is None or "view" not in self.event_names or not set(WANTED) & set(self.event_names):
            return None
        return pd.Series(self.event, dtype=object).isin(WANTED).to_numpy()


def _order(user: np.ndarray, tie: np.ndarray, timestamp: np.ndarray | None) -> np.ndarray:
    """Returns the order by user, time and tie: that of `np.lexsort`, in a fraction of its time."""
    keys = (tie, user) if timestamp is None else (tie, timestamp, user)
    if not len(user) or timestamp is None:
        return np.lexsort(keys)
    first, last = int(timestamp.min()), int(timestamp.max())
    span = last - first + 1
    if (int(user.max()) + 1) * span >= 2**63:
        return np.lexsort(keys)
    # User and time make one number, which is fast to sort by; what is equal in both is put in order afterwards.
    both = user.astype(np.int64) * span + (timestamp - first)
    order = np.argsort(both)
    equal = both[order[1:]] == both[order[:-1]]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, tie[rows], both[rows]))]
    return order


def _tie_hash(
    user_ids: Sequence[str], item_ids: Sequence[str], user: np.ndarray, item: np.ndarray
) -> np.ndarray:
    """Mixes the hashes of both ids (splitmix64), so that each user has an order of items of their own."""
    mixed = _hash(user_ids)[user] * np.uint64(0x9E3779B97F4A7C15) + _hash(item_ids)[item]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hash(ids: Sequence[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(ids, dtype=object), categorize=False)
