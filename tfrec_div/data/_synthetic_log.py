"""Simulates what the users of the synthetic shop do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec_div.data._synthetic_text import write_reviews
from tfrec_div.data.truth import DAY, NOVELTY_DAYS, Truth

EVENTS = np.array(["view", "save", "cart", "purchase"], dtype=object)

_EAGERNESS = 9.0  # an item that fits fully is e^9 times as likely as one that does not fit at all
_STAGES = 4  # tastes and novelty are held fixed within a quarter of a user's time
_FROM_LISTS = 0.1  # share of the interactions that come from lists shown to the user
_CELLS = 2_000_000  # users x items held at once


def draw_activity(num_users: int, num_items: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Draws how many interactions each user has: long-tailed, at least 2, with the mean asked for.

    Args:
        num_users: Users.
        num_items: Items, of which a user takes up to a third.
        mean: Interactions of a user in the mean.
        rng: Source of chance.

    Returns:
        Int64 `[U]`.
    """
    most = max(num_items // 3, 2)
    activity = rng.lognormal(0.0, 0.8, num_users)
    for _ in range(8):  # cutting the ends moves the mean, so it is set again
        activity = np.clip(activity * (mean / activity.mean()), 2, most)
    return np.round(activity).astype(np.int64)


def draw_choices(
    truth: Truth, activity: np.ndarray, known: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draws which items users find by themselves, without repetition, by attention and taste.

    Args:
        truth: Tastes and items.
        activity: How many items each user takes, `[U]`.
        known: Rows `user`, `item` of what users have already and do not take again.
        rng: Source of chance.

    Returns:
        Rows `user`, `item`, `timestamp`.
    """
    num_users, num_items = len(activity), len(truth.released)
    wanted = rng.multinomial(activity, np.full(_STAGES, 1.0 / _STAGES))
    step = max(_CELLS // num_items, 1)
    parts = []
    for low in range(0, num_users, step):
        users = np.arange(low, min(low + step, num_users))
        taken = np.zeros((len(users), num_items), bool)
        mine = known[(known["user"] >= low) & (known["user"] < low + step)]
        taken[mine["user"] - low, mine["item"]] = True
        for stage in range(_STAGES):
            # An exponential race: the first k of Exp(1) / odds are k draws without replacement.
            odds = _odds(truth, users, stage)
            race = rng.standard_exponential(odds.shape, np.float32)
            with np.errstate(divide="ignore", invalid="ignore"):
                race /= odds
            race[taken | (odds == 0)] = np.inf
            most = min(max(wanted[users, stage].max(), 1), num_items)
            first = np.argpartition(race, most - 1, axis=1)[:, :most]
            times = np.take_along_axis(race, first, axis=1)
            place = np.argsort(np.argsort(times, axis=1), axis=1)
            row, column = np.nonzero((place < wanted[users, stage, None]) & np.isfinite(times))
            item = first[row, column]
            taken[row, item] = True
            parts.append(np.stack([users[row], item, np.full(len(row), stage)]))
    user, item, stage = np.concatenate(parts, axis=1)
    span = (truth.end - truth.joined[user]) / _STAGES
    timestamp = truth.joined[user] + ((stage + rng.random(len(user))) * span).astype(np.int64)
    return pd.DataFrame({"user": user, "item": item, "timestamp": timestamp})


def _odds(truth: Truth, users: np.ndarray, stage: int) -> np.ndarray:
    """How likely each user takes each item in one quarter of the user's time, float32 `[users, I]`."""
    moved = np.float32((stage + 0.5) / _STAGES)
    tastes = {
        dimension: weight[:, None]
        * ((1 - moved) * truth.taste_start[dimension][users] + moved * truth.taste_end[dimension][users])
        for dimension, weight in zip(truth.dimensions, truth.interests[users].T, strict=True)
    }
    recency = tastes.pop("recency")
    wish = np.hstack(list(tastes.values())) @ np.hstack([truth.factors[name] for name in tastes]).T
    begin = truth.joined[users] + (truth.end - truth.joined[users]) * stage // _STAGES
    days = ((begin[:, None] - truth.released) / DAY).astype(np.float32)
    new = np.exp(-np.maximum(days, 0) / np.float32(NOVELTY_DAYS))
    wish += recency[:, 1:] + (recency[:, :1] - recency[:, 1:]) * new
    return np.exp(_EAGERNESS * wish) * truth.popularity * (days >= 0)


def draw_impressions(truth: Truth, activity: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Shows lists to users: popular items first, and a click needs a look at the position and a wish.

    Args:
        truth: Tastes, items and how often a position is looked at.
        activity: Interactions of each user, `[U]`; busy users see more lists.
        rng: Source of chance.

    Returns:
        Rows `user`, `item`, `timestamp`, `position` (1 is the top), `clicked` (0 or 1), `propensity`
        (probability of a look at the position).
    """
    length, num_items = len(truth.examination), len(truth.released)
    lists = rng.poisson(activity * _FROM_LISTS)
    user = np.repeat(np.arange(len(activity)), lists)
    time = truth.joined[user] + (rng.random(len(user)) * (truth.end - truth.joined[user])).astype(np.int64)
    candidates = rng.choice(num_items, (len(user), 3 * length), p=_shares(truth.popularity))
    wish = truth.affinity(np.repeat(user, 3 * length), candidates.ravel(), np.repeat(time, 3 * length))
    wish = wish.reshape(candidates.shape)
    # The shop ranks by popularity with a rough idea of the user, so position and taste are confounded.
    score = 0.3 * np.log(truth.popularity[candidates]) + 2.0 * wish + rng.gumbel(size=wish.shape)
    ordered = np.sort(candidates, axis=1)
    again = np.zeros(candidates.shape, bool)
    by_item = np.argsort(candidates, axis=1, kind="stable")
    np.put_along_axis(again, by_item[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    hidden = again | (truth.released[candidates] > time[:, None])
    score = np.where(hidden, -np.inf, score)
    top = np.argsort(-score, axis=1, kind="stable")[:, :length]
    shown = np.isfinite(np.take_along_axis(score, top, axis=1))
    wish = np.take_along_axis(wish, top, axis=1)
    looked = rng.random(top.shape) < truth.examination
    wanted = rng.random(top.shape) < 1.0 / (1.0 + np.exp(-8.0 * (wish - 0.45)))
    frame = pd.DataFrame(
        {
            "user": np.repeat(user, length),
            "item": np.take_along_axis(candidates, top, axis=1).ravel(),
            "timestamp": np.repeat(time, length),
            "position": np.tile(np.arange(1, length + 1), len(user)),
            "clicked": (looked & wanted).ravel().astype(np.int64),
            "propensity": np.tile(truth.examination.astype(np.float64).round(6), len(user)),
        }
    )
    return frame[shown.ravel()].reset_index(drop=True)


def add_outcomes(rows: pd.DataFrame, truth: Truth, rng: np.random.Generator, ratings: bool) -> pd.DataFrame:
    """Adds what came of each interaction: event, dwell time, review and, if wanted, a rating.

    Args:
        rows: `user`, `item`, `timestamp`.
        truth: Tastes and items.
        rng: Source of chance.
        ratings: Whether every interaction gets a rating from 1 to 5.

    Returns:
        The rows with the columns `event`, `dwell` (seconds), `review` and perhaps `rating`.
    """
    user, item = rows["user"].to_numpy(), rows["item"].to_numpy()
    n = len(rows)
    affinity = truth.affinity(user, item, rows["timestamp"].to_numpy())
    liking = 4.0 * (affinity - 0.5) + 0.4 * truth.quality[item]
    depth = np.searchsorted([0.2, 0.9, 1.5], liking + rng.logistic(0.0, 0.7, n))
    dwell = np.round(np.exp(3.0 + 0.35 * liking + rng.normal(0, 0.5, n)), 1)
    felt = liking + rng.normal(0, 0.4, n)
    sentiment = np.where(felt > 0.5, 1, np.where(felt < -0.3, -1, 0))
    main = truth.interests.argmax(axis=1)[user]
    review = np.full(n, "", dtype=object)
    # Most reviews follow a purchase; some who only looked explain why.
    writes = rng.random(n) < np.where(depth == 3, 0.6, np.where(sentiment < 0, 0.1, 0.02))
    review[writes] = write_reviews(sentiment[writes], main[writes], rng)
    rows = rows.assign(event=EVENTS[depth], dwell=dwell, review=review)
    if ratings:
        rows["rating"] = np.clip(np.round(3.2 + 0.9 * felt), 1, 5)
    return rows


def _shares(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return values / values.sum()
