"""The rows and columns of the matrix of interactions, as arrays."""

from __future__ import annotations

import numpy as np

from tfrec_div.data.interactions import Interactions


def item_columns(log: Interactions, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns who interacted with each item, and how strongly.

    Args:
        log: The interactions.
        most: Entries of a column that are kept; of longer ones some at random, the same in every process.

    Returns:
        Rows of users int32 [items, most], padded with -1, and strengths float32 alike, 0 where padded.

    Example:
        >>> log = Interactions.from_rows([0, 1, 1], [1, 1, 0], list("ab"), list("xyz"))
        >>> item_columns(log, 2)[0].tolist()
        [[1, -1], [0, 1], [-1, -1]]
    """
    order = np.lexsort((log.tie, log.item))
    item = log.item[order]
    place = np.arange(len(item)) - np.searchsorted(item, item)
    kept = place < most
    # In the order of the users, which does not matter but is easier to read.
    order, item, place = order[kept], item[kept], place[kept]
    users = np.full((log.num_items, most), np.iinfo(np.int32).max, np.int32)
    strength = np.zeros((log.num_items, most), np.float32)
    users[item, place], strength[item, place] = log.user[order], log.strength()[order]
    by_user = np.argsort(users, axis=1, kind="stable")
    sorted_users = np.take_along_axis(users, by_user, axis=1)
    padded = np.where(sorted_users == np.iinfo(np.int32).max, -1, sorted_users)
    return padded, np.take_along_axis(strength, by_user, axis=1)


def user_rows(log: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the matrix by rows: its pairs, their entries, and where each user's begin.

    Args:
        log: The interactions.

    Returns:
        user x items + item int64 [pairs], rising; the greatest strength of each pair over that of all, float32
        [pairs]; and the first place of each user int64 [users + 1].

    Example:
        >>> log = Interactions.from_rows([0, 1, 1], [1, 1, 0], list("ab"), list("xyz"))
        >>> [part.tolist() for part in user_rows(log)]
        [[1, 3, 4], [1.0, 1.0, 1.0], [0, 1, 3]]
    """
    code = log.user.astype(np.int64) * log.num_items + log.item
    pairs, place = np.unique(code, return_inverse=True)
    strength = np.zeros(len(pairs), np.float32)
    np.maximum.at(strength, place, log.strength())
    starts = np.searchsorted(pairs, np.arange(log.num_users + 1, dtype=np.int64) * log.num_items)
    return pairs, strength / max(float(strength.max(initial=0.0)), 1e-9), starts.astype(np.int64)
