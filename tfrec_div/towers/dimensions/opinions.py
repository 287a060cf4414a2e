"""What users think of items: what they write of them, and how they rate them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.interactions import Interactions
from tfrec_div.towers.reviews import encode_reviews

# Ratings at the user's own mean that are added to those of an item.
PRIOR_RATINGS = 5.0


def reviews_of_items(
    data: Dataset, encoder, cache_dir: str | Path | None = None, progress: bool = True
) -> np.ndarray:
    """Returns what is said of each item, float32 [items, dim]; zero where nothing is.

    It is the mean over an item's reviews of the review's vector less the mean of all that its writer wrote: what is
    said of this item that the writer does not say of every other. That takes the writer's own manner out, by which
    a user's interest would otherwise find the very items that the user has reviewed.

    Args:
        data: Whose interactions; the first review that a user wrote of an item counts.
        encoder: A frozen text encoder.
        cache_dir: Where its vectors are kept.
        progress: Whether to show a progress bar.
    """
    users, items, vectors = encode_reviews(data, encoder, cache_dir, progress)
    said = np.zeros((len(data.catalog), encoder.dim), np.float32)
    if not len(users):
        return said
    own = vectors - _mean_by(users, vectors, len(data.users))[users]
    return _mean_by(items, own, len(data.catalog)).astype(np.float32)


def ratings_of_items(events: Interactions) -> np.ndarray:
    """Returns how much better than the rest users rate each item, and whether it is rated, float32 [items, 2].

    It is the mean of the ratings less their user's mean, as if five more at that mean were there, standardised over
    the items.

    Example:
        >>> log = Interactions.from_rows([0, 0, 1, 1], [0, 1, 0, 1], list("uv"), list("abc"), rating=[5, 1, 4, 2])
        >>> ratings_of_items(log).tolist()
        [[1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]]
    """
    found = np.zeros((events.num_items, 2), np.float32)
    if events.rating is None:
        return found
    rated = np.flatnonzero(~np.isnan(events.rating))
    users, items, ratings = events.user[rated], events.item[rated], events.rating[rated, np.newaxis]
    better = (ratings - _mean_by(users, ratings, events.num_users)[users])[:, 0]
    counts = np.bincount(items, minlength=events.num_items)
    known = counts > 0
    mean = np.bincount(items, weights=better, minlength=events.num_items)[known]
    mean = mean / (counts[known] + PRIOR_RATINGS)
    if known.any():
        found[known, 0] = (mean - mean.mean()) / (mean.std() or 1.0)
    found[known, 1] = 1.0
    return found


def _mean_by(rows: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Returns the mean of the values [n, dim] of each row, [size, dim]; zeros where there are none."""
    total = np.zeros((size, values.shape[1]))
    np.add.at(total, rows, values)
    return total / np.maximum(np.bincount(rows, minlength=size), 1)[:, np.newaxis]
