"""Ways to hold out interactions for testing. Each returns a mask of the train and a mask of the test rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions

Masks = tuple[np.ndarray, np.ndarray]
MIN_COLD_COUNT = 5
"""Interactions an item needs to be picked as a cold item: fewer would test next to nothing."""
SPARSE_HISTORY = 5
"""Interactions that a sparse user keeps for training."""

_NEVER = np.iinfo(np.int64).max


def temporal(interactions: Interactions, test: float = 0.2, seed: int = 0) -> Masks:
    """Holds out the last interactions of each user.

    Args:
        interactions: All interactions.
        test: The share of a user's interactions to hold out, between 0 and 1; rounded down, but at least one
            of a user who has two or more.
        seed: Not used.

    Returns:
        Boolean masks `[n]` of train and test.
    """
    _check_share(test)
    counts = interactions.user_counts()
    # The small addend keeps 0.29 · 100 from being rounded down to 28.
    held = np.maximum(np.floor(test * counts + 1e-9).astype(np.int64), 1)
    held = np.where(counts >= 2, np.minimum(held, counts - 1), 0)
    return _last(interactions, held)


def global_time(interactions: Interactions, test: float = 0.2, seed: int = 0) -> Masks:
    """Holds out the last interactions of all users together: train is before test for everybody.

    Args:
        interactions: All interactions; they need timestamps.
        test: The share of interactions to hold out, between 0 and 1.
        seed: Not used.

    Returns:
        Boolean masks `[n]` of train and test. Ties of time at the cut are ordered by the hash of the ids.
    """
    _check_share(test)
    if interactions.timestamp is None:
        raise ValueError(
            'expected interactions with a timestamp for the split "global_time", got none; try "temporal"'
        )
    n = len(interactions)
    held = min(max(int(np.floor(test * n + 1e-9)), 1), n - 1) if n >= 2 else 0
    order = np.lexsort((interactions.tie, interactions.timestamp))
    is_test = np.zeros(n, bool)
    is_test[order[n - held :]] = True
    return ~is_test, is_test


def leave_one_out(interactions: Interactions, test: float = 0.2, seed: int = 0) -> Masks:
    """Holds out the last interaction of each user who has two or more.

    Args:
        interactions: All interactions.
        test: Not used.
        seed: Not used.

    Returns:
        Boolean masks `[n]` of train and test.
    """
    return _last(interactions, (interactions.user_counts() >= 2).astype(np.int64))


def cold_items(interactions: Interactions, test: float = 0.2, seed: int = 0) -> Masks:
    """Holds out all interactions of some items, which training then never sees.

    Args:
        interactions: All interactions.
        test: The share to hold out, between 0 and 1, of the items that have five interactions or more; at
            least one.
        seed: Decides which items.

    Returns:
        Boolean masks `[n]` of train and test.
    """
    _check_share(test)
    eligible = np.flatnonzero(interactions.item_counts() >= MIN_COLD_COUNT)
    held = max(round(test * len(eligible)), 1) if len(eligible) else 0
    cold = np.zeros(interactions.num_items, bool)
    cold[np.random.default_rng(seed).permutation(eligible)[:held]] = True
    is_test = cold[interactions.item]
    return ~is_test, is_test


def sparse_users(interactions: Interactions, test: float = 0.2, seed: int = 0) -> Masks:
    """Makes half of the users sparse: they keep their first five interactions for training.

    The test is the temporal test of that half. What a sparse user did after the first five and before the
    test is in neither part, and so is the temporal test of the other half.

    Args:
        interactions: All interactions.
        test: The share of a user's interactions to hold out, between 0 and 1, as in `temporal`.
        seed: Decides which half.

    Returns:
        Boolean masks `[n]` of train and test.
    """
    train, held = temporal(interactions, test)
    active = np.flatnonzero(interactions.user_counts())
    sparse = np.zeros(interactions.num_users, bool)
    sparse[np.random.default_rng(seed).permutation(active)[: len(active) // 2]] = True
    is_sparse = sparse[interactions.user]
    starts = np.cumsum(interactions.user_counts()) - interactions.user_counts()
    place = np.arange(len(interactions)) - starts[interactions.user]
    return train & ~(is_sparse & (place >= SPARSE_HISTORY)), held & is_sparse


SPLITS: dict[str, Callable[[Interactions, float, int], Masks]] = {
    split.__name__: split for split in (temporal, global_time, leave_one_out, cold_items, sparse_users)
}


def split_impressions(
    strategy: str, impressions: Impressions, interactions: Interactions, train: np.ndarray, test: np.ndarray
) -> Masks:
    """Splits impressions along with the interactions, so that none of them tells training about the test.

    An impression goes to the test when its item is cold, or when it is not before what is held out; it goes
    to neither part when it falls among interactions that are in neither.

    Args:
        strategy: Name of the split.
        impressions: All impressions.
        interactions: All interactions.
        train: Mask of the train interactions.
        test: Mask of the test interactions.

    Returns:
        Boolean masks over the impressions, of train and test.
    """
    if strategy == cold_items.__name__:
        cold = np.zeros(interactions.num_items, bool)
        cold[interactions.item[test]] = True
        is_test = cold[impressions.item]
        return ~is_test, is_test
    time = interactions.timestamp
    if time is None:
        held_pairs = _pairs(interactions.take(~train), interactions.num_items)
        held = np.isin(_pairs(impressions, interactions.num_items), held_pairs)
        return ~held, held
    if strategy == global_time.__name__:
        cut = time[test].min(initial=_NEVER)
        return impressions.timestamp < cut, impressions.timestamp >= cut
    first_out, first_test = (_first_times(interactions, time, rows) for rows in (~train, test))
    user = impressions.user
    return impressions.timestamp < first_out[user], impressions.timestamp >= first_test[user]


def _last(interactions: Interactions, held: np.ndarray) -> Masks:
    ends = np.cumsum(interactions.user_counts())
    is_test = np.arange(len(interactions)) >= (ends - held)[interactions.user]
    return ~is_test, is_test


def _first_times(interactions: Interactions, time: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns when the first of some interactions of each user was."""
    first = np.full(interactions.num_users, _NEVER)
    np.minimum.at(first, interactions.user[rows], time[rows])
    return first


def _pairs(rows: Interactions | Impressions, num_items: int) -> np.ndarray:
    return rows.user.astype(np.int64) * num_items + rows.item


def _check_share(test: float) -> None:
    if not 0 < test < 1:
        raise ValueError(f"expected test to be a share between 0 and 1, got {test}")
