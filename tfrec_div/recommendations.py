"""What a recommender answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Pages for several users.

    Attributes:
        user_ids: The users, as asked for.
        item_ids: Strings [users, k]; "" where no item was left.
        scores: Float [users, k], the retriever's score; 0 where no item was left.
        rows: Integer [users, k], catalogue rows; -1 where no item was left.
        unknown_users: How many of the users were unknown and got the page for new users.
        relaxed: For which users a constraint of the re-ranker could not be kept, boolean [users] by constraint.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray
    rows: np.ndarray
    unknown_users: int
    relaxed: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Returns columns `user_id`, `item_id`, `rank` (from 1) and `score`."""
        user, place = np.nonzero(self.rows >= 0)
        return pd.DataFrame(
            {
                "user_id": self.user_ids[user],
                "item_id": self.item_ids[user, place],
                "rank": place + 1,
                "score": self.scores[user, place],
            }
        )
