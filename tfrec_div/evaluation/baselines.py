"""What nobody should have to ask for: popular items and random items, without what the user has seen."""

from __future__ import annotations

import numpy as np

# Cells of one block of users: bounds the memory.
_BLOCK = 2**23


class Popularity:
    """Recommends the items with the most interactions, of equally popular ones the lower row.

    Args:
        item_counts: `[items]` number of interactions in training.

    Example:
        >>> seen = np.array([1]), np.array([0, 1])
        >>> Popularity(np.array([5, 9, 7])).recommend_rows(np.array([0]), 2, seen)
        array([[2, 0]], dtype=int32)
    """

    def __init__(self, item_counts: np.ndarray) -> None:
        self.order = np.argsort(-np.asarray(item_counts), kind="stable").astype(np.int32)

    def recommend_rows(
        self, user_rows: np.ndarray, k: int, seen: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """The k most popular unseen items of each user.

        Args:
            user_rows: `[users]` rows of users; −1 is an unknown user, who has seen nothing.
            k: length of the lists.
            seen: item rows by user, `(values, row_splits [all users + 1])`.

        Returns:
            int32 `[users, k]`, padded with −1.
        """
        place = np.empty_like(self.order)
        place[self.order] = np.arange(len(self.order))
        rows = np.full((len(user_rows), k), -1, np.int32)
        owner, item, count = _seen_of(np.asarray(user_rows), seen)
        # The best k unseen are among the best k + (number seen).
        width = min(len(self.order), k + int(count.max(initial=0)))
        for block, owners, items in _blocks(len(rows), width, owner, item):
            open_ = np.ones((block.stop - block.start, width), bool)
            taken = place[items] < width
            open_[owners[taken], place[items[taken]]] = False
            slot = np.cumsum(open_, axis=1, dtype=np.int32) - 1
            user, position = np.nonzero(open_ & (slot < k))
            rows[block.start + user, slot[user, position]] = self.order[position]
        return rows


class Random:
    """Recommends random unseen items; a user's list depends on the seed and the user only.

    Args:
        num_items: size of the catalogue.
        seed: another seed, other lists.

    Example:
        >>> seen = np.array([1, 2]), np.array([0, 2])
        >>> Random(3).recommend_rows(np.array([0]), 2, seen)
        array([[ 0, -1]], dtype=int32)
    """

    def __init__(self, num_items: int, seed: int = 0) -> None:
        self.num_items = num_items
        self.seed = seed

    def recommend_rows(
        self, user_rows: np.ndarray, k: int, seen: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """k random unseen items of each user; arguments and result as of `Popularity.recommend_rows`."""
        user_rows = np.asarray(user_rows)
        rows = np.full((len(user_rows), k), -1, np.int32)
        owner, item, _ = _seen_of(user_rows, seen)
        kept = min(k, self.num_items)
        for block, owners, items in _blocks(len(rows), self.num_items, owner, item):
            keys = _hash(user_rows[block].astype(np.uint64)[:, np.newaxis], self.num_items, self.seed)
            keys[owners, items] = np.iinfo(np.uint64).max
            best = np.argpartition(keys, kept - 1, axis=1)[:, :kept]
            found = np.take_along_axis(keys, best, axis=1)
            order = np.argsort(found, axis=1, kind="stable")
            best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
            rows[block, :kept] = np.where(found < np.iinfo(np.uint64).max, best, -1)
        return rows


def _seen_of(
    user_rows: np.ndarray, seen: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position in `user_rows` and item of all that was seen, and how much each user saw."""
    if seen is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(len(user_rows), np.int64)
    values, splits = np.asarray(seen[0]), np.asarray(seen[1], np.int64)
    known = np.maximum(user_rows, 0)
    count = np.where(user_rows >= 0, splits[known + 1] - splits[known], 0)
    owner = np.repeat(np.arange(len(user_rows)), count)
    first = np.cumsum(count) - count
    return owner, values[splits[known][owner] + np.arange(len(owner)) - first[owner]], count


def _blocks(users: int, width: int, owner: np.ndarray, item: np.ndarray):
    """Slices of users with what they have seen, the owners counted from the start of the slice."""
    size = max(1, _BLOCK // max(width, 1))
    for start in range(0, users, size):
        stop = min(start + size, users)
        low, high = np.searchsorted(owner, [start, stop])
        yield slice(start, stop), owner[low:high] - start, item[low:high]


def _hash(users: np.ndarray, num_items: int, seed: int) -> np.ndarray:
    """A random number for every user and item (splitmix64): `[users, 1]` gives `[users, items]`."""
    with np.errstate(over="ignore"):
        state: np.ndarray = users * np.uint64(num_items) + np.arange(num_items, dtype=np.uint64)
        state = state + np.uint64(seed % 2**32) * np.uint64(0xD1342543DE82EF95)
        state = state * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (state ^ (state >> np.uint64(31))) >> np.uint64(1)
