"""What the synthetic shop knows and a recommender has to find out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DIMENSIONS = ("theme", "look", "price", "brand", "recency")
NOVELTY_DAYS = 90.0  # an item's newness falls to 1/e in this time
DAY = 86_400


@dataclass(frozen=True, eq=False)
class Truth:
    """The planted interests, items and biases behind a synthetic dataset, by row of users and items.

    How much user u wants item i at time t is `affinity`, in [0, 1]: the mean over the dimensions, weighted by
    `interests[u]`, of how well the item's factors match the user's taste. A taste moves in a straight line
    from `taste_start` when the user joins to `taste_end` when the log ends.

    Args:
        dimensions: `("theme", "look", "price", "brand", "recency")`.
        interests: What each dimension counts for a user, float32 `[U, 5]`; 1 to 4 are not 0, rows sum to 1.
        factors: Item factors by dimension, float32 `[I, d]`, but for recency, which depends on the time.
        factor_names: What the columns of the factors and tastes mean, by dimension.
        taste_start: Tastes by dimension when the user joins, float32 `[U, d]`.
        taste_end: Tastes by dimension when the log ends, float32 `[U, d]`.
        joined: When each user joined, in seconds since 1970, int64 `[U]`.
        released: When each item came out, in seconds since 1970, int64 `[I]`.
        end: When the log ends, in seconds since 1970.
        category: The main category of each item, an index into `factor_names["theme"]`, `[I]`.
        colour: Index of the colour, `[I]`, into the first part of `factor_names["look"]`.
        pattern: Index of the pattern among the patterns, `[I]`.
        quality: How good an item is for everyone, float32 `[I]`, about standard normal.
        popularity: Share of the attention that an item gets from a user without tastes, float32 `[I]`.
        examination: Probability that a position of a list is looked at, from the top, float32 `[positions]`.
    """

    dimensions: tuple[str, ...]
    interests: np.ndarray
    factors: Mapping[str, np.ndarray]
    factor_names: Mapping[str, tuple[str, ...]]
    taste_start: Mapping[str, np.ndarray]
    taste_end: Mapping[str, np.ndarray]
    joined: np.ndarray
    released: np.ndarray
    end: int
    category: np.ndarray
    colour: np.ndarray
    pattern: np.ndarray
    quality: np.ndarray
    popularity: np.ndarray
    examination: np.ndarray

    @property
    def text_factors(self) -> np.ndarray:
        """What title and description tell: category, style and use, float32 `[I, d]`."""
        return self.factors["theme"]

    @property
    def look_factors(self) -> np.ndarray:
        """What the picture shows: colour and pattern, float32 `[I, d]`."""
        return self.factors["look"]

    def progress(self, users: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
        """Returns how far each user's taste has moved: 0 when joining, 1 when the log ends.

        Args:
            users: Rows of users `[n]`.
            timestamps: Seconds since 1970 `[n]`.
        """
        joined = self.joined[users]
        return np.clip((timestamps - joined) / np.maximum(self.end - joined, 1), 0.0, 1.0).astype(np.float32)

    def taste(self, dimension: str, users: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
        """Returns tastes at a time, float32 `[n, d]`.

        Args:
            dimension: One of `dimensions`.
            users: Rows of users `[n]`.
            timestamps: Seconds since 1970 `[n]`.
        """
        moved = self.progress(users, timestamps)[:, None]
        return (1 - moved) * self.taste_start[dimension][users] + moved * self.taste_end[dimension][users]

    def novelty(self, items: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
        """Returns how new and how established items are at a time, float32 `[n, 2]`, rows summing to 1.

        Args:
            items: Rows of items `[n]`.
            timestamps: Seconds since 1970 `[n]`.
        """
        age = np.maximum(timestamps - self.released[items], 0) / DAY
        new = np.exp(-age / NOVELTY_DAYS).astype(np.float32)
        return np.stack([new, 1 - new], axis=-1)

    def match(
        self, dimension: str, users: np.ndarray, items: np.ndarray, timestamps: np.ndarray
    ) -> np.ndarray:
        """Returns how well items fit the taste in one dimension, float32 `[n]` in [0, 1].

        Args:
            dimension: One of `dimensions`.
            users: Rows of users `[n]`.
            items: Rows of items `[n]`.
            timestamps: Seconds since 1970 `[n]`.
        """
        factors = (
            self.novelty(items, timestamps) if dimension == "recency" else self.factors[dimension][items]
        )
        return np.einsum("nd,nd->n", self.taste(dimension, users, timestamps), factors)

    def affinity(self, users: np.ndarray, items: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
        """Returns how much users want items at a time, float32 `[n]` in [0, 1].

        Args:
            users: Rows of users `[n]`.
            items: Rows of items `[n]`.
            timestamps: Seconds since 1970 `[n]`.
        """
        matches = [self.match(dimension, users, items, timestamps) for dimension in self.dimensions]
        return np.einsum("nd,dn->n", self.interests[users], np.stack(matches))
