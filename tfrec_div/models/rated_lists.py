"""Lists of what users have rated."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.ranking_lists import USERS, RankingLists, events_of
from tfrec_div.models.rating_model import has_ratings, rated
from tfrec_div.models.retriever import Retriever


def rated_lists(
    history: Dataset,
    targets: Dataset | None = None,
    retriever: Retriever | None = None,
    num_candidates: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    max_history: int = 100,
) -> RankingLists:
    """Makes lists of the items that each user has rated, to learn ratings from.

    Args:
        history: What was known before, with the users' histories.
        targets: Interactions with ratings, none of them in `history`; or None for those of the history itself: a
            candidate is then told by the rest of its history. A ranker of such lists must not know user ids: what a
            user's ratings are in sum, and what those of the others are, tell together the one that is asked for.
        retriever: Trained on `history`, for the signals; None: they are 0. It goes with targets only, since of an item
            that it has been told of it speaks otherwise.
        num_candidates: Most candidates of a list; who has rated more has several lists, of items at random.
        batch_size: Lists a batch.
        seed: Seed of the order and of what comes into which list.
        max_history: Latest items of a history that a list holds.

    Raises:
        ValueError: If there is no rating to learn from, or an argument does not fit.

    Example:
        >>> from tfrec_div import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=30, images=False, ratings=True)
        >>> before, after = data.split("temporal")
        >>> lists = rated_lists(before, after)
        >>> lists.candidates[0][lists.candidates[0] >= 0].tolist() == after.interactions.item[:2].tolist()
        True
    """
    if num_candidates < 1:
        raise ValueError(f"num_candidates: expected at least 1, got {num_candidates}")
    if retriever is not None and targets is None:
        raise ValueError(
            "retriever: expected None without targets, since it was trained on what is asked for"
        )
    source = (targets or history).interactions
    if not has_ratings(source):
        raise ValueError("targets: expected ratings that differ, got none")
    if targets is not None and targets.schema != history.schema:
        raise ValueError("targets: expected the schema of the history, got another")
    log = rated(source)
    starts = np.cumsum(log.user_counts()) - log.user_counts()
    order = np.arange(len(log))
    if log.user_counts().max() > num_candidates:
        order = np.lexsort((np.random.default_rng(seed).random(len(log)), log.user))
    place = np.arange(len(log)) - starts[log.user]
    width = min(num_candidates, int(log.user_counts().max()))
    key = log.user.astype(np.int64) * len(log) + place // width
    distinct, row = np.unique(key, return_inverse=True)
    users = (distinct // len(log)).astype(np.int32)
    candidates = np.full((len(users), width), -1, np.int32)
    ratings = np.full((len(users), width), np.nan, np.float32)
    labels = np.zeros((len(users), width), np.float32)
    column = place % width
    candidates[row, column] = log.item[order]
    ratings[row, column] = np.asarray(log.rating)[order]
    labels[row, column] = log.relevant()[order]
    names = ("score",) if retriever is None else retriever.signal_names
    signals = np.zeros((*candidates.shape, len(names)), np.float32)
    if retriever is not None:
        signals_of = tf.function(retriever.signals, reduce_retracing=True)
        for start in range(0, len(users), USERS):
            part = slice(start, start + USERS)
            query = retriever.query_of(history, users[part])
            signals[part] = signals_of(query, tf.constant(candidates[part]))
    return RankingLists(
        history,
        users,
        history.interactions.latest(users, max_history),
        candidates,
        signals,
        labels,
        ratings,
        names,
        events_of(log, users, candidates),
        batch_size=batch_size,
        seed=seed,
    )
