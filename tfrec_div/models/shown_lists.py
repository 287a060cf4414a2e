"""Lists of what users were shown, and what of it they clicked."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.models.ranking_lists import USERS, RankingLists
from tfrec_div.models.retriever import Retriever
from tfrec_div.tasks.ranking.propensity import PositionPropensities, propensities_of


def shown_lists(
    data: Dataset,
    retriever: Retriever | None = None,
    propensities: PositionPropensities | None = None,
    unbiased: bool = True,
    batch_size: int = 64,
    seed: int = 0,
    max_history: int = 100,
) -> RankingLists:
    """Makes a list of each page that a user was shown: what was on it is the candidates, what was clicked is relevant.

    People look at the first places more than at the others, so that clicks say more of places than of wishes. A
    ranker's loss counts each click by the inverse of the probability that its place was looked at.

    Args:
        data: With impressions. What one user was shown at one time is a page; its history is what the user did before
            that time. How a user answered the pages counts for no popularity: it would tell the clicks. Interactions
            without times are history as far as they are of other items than a user's pages.
        retriever: For the signals, trained on what came before the pages; None: they are 0.
        propensities: Of the positions, for impressions without a `propensity` of their own; by default
            `estimate_propensities` of the log.
        unbiased: Whether lists hold propensities; without them clicks count alike, wherever they were.
        batch_size: Lists a batch.
        seed: Seed of the order.
        max_history: Latest items of a history that a list holds.

    Raises:
        ValueError: If there are no impressions, or the retriever's schema is another.

    Example:
        >>> from tfrec_div import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=30, images=False)
        >>> lists = shown_lists(data)
        >>> shown = data.impressions
        >>> lists.candidates.shape[0] == len(set(zip(shown.user, shown.timestamp)))
        True
        >>> sorted(lists.more)
        ['position', 'propensity']

    Joachims, Swaminathan and Schnabel (2017), Unbiased learning-to-rank with biased feedback.
    """
    shown = data.impressions
    if shown is None or not len(shown):
        raise ValueError("data: expected impressions, got none")
    if retriever is not None and retriever.schema != data.schema:
        raise ValueError("retriever: expected one of the data's schema, got another")
    # Impressions are sorted by user, time and position.
    begins = np.append(True, (np.diff(shown.user) != 0) | (np.diff(shown.timestamp) != 0))
    row, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    column = np.arange(len(shown)) - first[row]
    shape = (len(first), int(column.max()) + 1)

    def table(values: np.ndarray, padding: float, dtype: type) -> np.ndarray:
        cells: np.ndarray = np.full(shape, padding, dtype)
        cells[row, column] = values
        return cells

    users, candidates = shown.user[first], table(shown.item, -1, np.int32)
    log = data.interactions
    rest = log.take(~_answers(log, shown))
    steps = max(max_history, 0 if retriever is None else retriever.max_history)
    before = _before(rest if log.timestamp is None else log, users, shown.timestamp[first], steps)
    signals = _signals(retriever, users, before, candidates)
    more = {"position": table(shown.position, 0, np.int32)}
    if unbiased:
        more["propensity"] = table(propensities_of(shown, propensities), 1.0, np.float32)
    return RankingLists(
        data.subset(rest),
        users,
        (before[0][:, :max_history], before[1][:, :max_history]),
        candidates,
        signals,
        table(shown.clicked, 0.0, np.float32),
        np.full(shape, np.nan, np.float32),
        ("score",) if retriever is None else retriever.signal_names,
        more,
        batch_size=batch_size,
        seed=seed,
        shown=True,
    )


def _answers(log: Interactions, shown: Impressions) -> np.ndarray:
    """Tells which interactions are of an item that the user was shown, not before the first time, bool [n]."""
    pairs, first = np.unique(shown.user.astype(np.int64) * log.num_items + shown.item, return_index=True)
    mine = log.user.astype(np.int64) * log.num_items + log.item
    place = np.minimum(np.searchsorted(pairs, mine), len(pairs) - 1)
    # Impressions are sorted by user and time: the first of a pair is the earliest.
    after = True if log.timestamp is None else log.timestamp >= shown.timestamp[first[place]]
    return (pairs[place] == mine) & after


def _before(
    log: Interactions, users: np.ndarray, times: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the latest items int32 [n, steps] that each user had before a time, and their strengths float32 alike."""
    events = np.zeros(len(log), np.int64) if log.timestamp is None else log.timestamp
    moments = np.unique(np.concatenate([events, times]))

    def key(user: np.ndarray, time: np.ndarray) -> np.ndarray:
        return user.astype(np.int64) * len(moments) + np.searchsorted(moments, time)

    # Interactions are sorted by user and time.
    end = np.searchsorted(key(log.user, events), key(users, times))
    start = log.histories()[1][users]
    place = end[:, None] - 1 - np.arange(steps)
    inside = place >= start[:, None]
    place = np.where(inside, place, 0)
    if not len(log):
        return np.full(place.shape, -1, np.int32), np.zeros(place.shape, np.float32)
    items = np.where(inside, log.item[place], -1).astype(np.int32)
    return items, np.where(inside, log.strength()[place], 0).astype(np.float32)


def _signals(
    retriever: Retriever | None,
    users: np.ndarray,
    before: tuple[np.ndarray, np.ndarray],
    candidates: np.ndarray,
) -> np.ndarray:
    if retriever is None:
        return np.zeros((*candidates.shape, 1), np.float32)
    signals_of = tf.function(retriever.signals, reduce_retracing=True)
    parts = []
    for start in range(0, len(users), USERS):
        part = slice(start, start + USERS)
        history, weight = (tf.constant(values[part, : retriever.max_history]) for values in before)
        query = {"user_id": tf.constant(users[part]), "history": history, "history_weight": weight}
        parts.append(signals_of(query, tf.constant(candidates[part])).numpy())
    return np.concatenate(parts).astype(np.float32)
