"""Users with two disjoint interests, and the same with shuffled labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec_div.data.frames import from_frames

GROUPS, SIZE, USERS, LIKED = 8, 10, 240, 6


def two_interests(shuffled: bool = False, seed: int = 0):
    """Each user likes two of eight groups of ten items and met six items of each, in any order.

    Args:
        shuffled: Whether the items are permuted among all interactions, so that nothing is left to learn.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        groups = random.choice(GROUPS, 2, replace=False)
        liked = np.concatenate([group * SIZE + random.permutation(SIZE)[:LIKED] for group in groups])
        rows += [(f"u{user}", f"i{item:02d}", time) for time, item in enumerate(random.permutation(liked))]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    if shuffled:
        log["item_id"] = random.permutation(log["item_id"].to_numpy())
    items = pd.DataFrame({"item_id": [f"i{item:02d}" for item in range(GROUPS * SIZE)]})
    return from_frames(log, items=items)


def group_of(rows: np.ndarray) -> np.ndarray:
    """Returns the group of each item; items are in the order of their numbers."""
    return rows // SIZE
