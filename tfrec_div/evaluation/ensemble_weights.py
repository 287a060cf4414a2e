"""Learns on held-out interactions what each member of an ensemble should count for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.comparable import comparable
from tfrec_div.models.ensemble import GROUPS, Ensemble, as_read_by

BATCH = 256
# Best items of each user that are ranked again with other weights.
CANDIDATES = 300
# Points of the grid of weights, and what must be there to learn anything from.
MOST_POINTS = 400
FEWEST_USERS = 30
# The held-out items that count, and how a message names one.
_ITEM = {"relevant": "a relevant item", "all": "an item"}

# What makes of a user's query that of another one, with less of a history.
Change = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class GroupWeights:
    """The weights for one group of users.

    Attributes:
        weights: By member, 1 in sum.
        users: Users they were learned from; 0: they are those of the nearest group that has enough.
        ndcg: NDCG on the held-out items with these weights, and
        alone: with each member alone, by name; the users are those that the weights were learned from, so that it is a
            little too good.
    """

    weights: dict[str, float]
    users: int
    ndcg: float
    alone: dict[str, float]


def tune_ensemble(
    ensemble: Ensemble,
    train: Dataset,
    validation: Dataset,
    k: int = 10,
    max_users: int = 2000,
    seed: int = 0,
    progress: bool = True,
    targets: str = "relevant",
) -> dict[str, GroupWeights]:
    """Finds the weights with the best NDCG@k on held-out interactions, for each group of users, and sets them.

    The members must have been trained on `train` alone. All weights of a grid are tried, and the mean is taken of those
    that are not worse than the best by more than a standard error of the users' paired differences: a
    few users cannot pull it to a corner. Users with long histories stand in for the others too, as unknown users who
    have done nothing yet, or only the first few of what they did.

    Args:
        ensemble: Whose weights are set.
        train: What the members were trained on, and the users' histories.
        validation: Interactions held out from it.
        k: Length of the lists.
        max_users: Users of a group that are measured, drawn by `seed`.
        seed: See `max_users`.
        progress: Whether to show a progress bar.
        targets: Which held-out interactions count: "relevant" (see `Interactions.relevant`), or "all": what a user does
            next, liked or not, as leave-one-out evaluation has it.

    Returns:
        What was found, by group.

    Raises:
        ValueError: If there are fewer than 30 users with a held-out item that counts and is new to them, a schema is
            not the ensemble's, or another argument does not fit.
    """
    for name, data in (("train", train), ("validation", validation)):
        if data.schema != ensemble.schema:
            raise ValueError(f"{name}: expected the schema of the ensemble, got another")
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    wanted = wanted_pairs(train, validation, targets)
    users = np.unique(wanted[0])
    if len(users) < FEWEST_USERS:
        raise ValueError(
            f"validation: expected at least {FEWEST_USERS} users with {_ITEM[targets]} that is new to them, got "
            f"{len(users)}"
        )
    lengths = np.diff(train.interactions.histories()[1])
    rng = np.random.default_rng(seed)
    short = (lengths[users] > 0) & (lengths[users] <= ensemble.short_history)
    long = users[lengths[users] > ensemble.short_history]
    some = partial(_some, rng=rng, most=max_users)
    groups: dict[str, list[tuple[np.ndarray, Change]]] = {
        "none": [(some(users), _nothing)],
        "short": [
            (some(users[short]), _as_it_is),
            (some(long), partial(_first, steps=max(1, ensemble.short_history // 2))),
        ],
        "long": [(some(long), _as_it_is)],
    }
    points = weight_grid(len(ensemble.members))
    measured: dict[str, GroupWeights] = {}
    for group in tqdm(GROUPS, desc="weigh models", unit="group", disable=not progress):
        parts = [part for part in groups[group] if len(part[0])]
        if sum(len(rows) for rows, _ in parts) >= FEWEST_USERS:
            values = np.concatenate(
                [_values(ensemble, train, wanted, rows, change, points, k) for rows, change in parts], axis=1
            )
            measured[group] = _best(tuple(ensemble.members), points, values)
    # There are users enough in all, and all of them are in the group without a history.
    found = {group: measured.get(group) or _borrowed(group, measured) for group in GROUPS}
    ensemble.set_group_weights([list(found[group].weights.values()) for group in GROUPS])
    return found


def _borrowed(group: str, measured: dict[str, GroupWeights]) -> GroupWeights:
    """Returns the weights of the nearest group that was measured, of two the one with more history."""
    place = GROUPS.index(group)
    nearest = min(measured, key=lambda other: (abs(GROUPS.index(other) - place), -GROUPS.index(other)))
    return GroupWeights(measured[nearest].weights, 0, np.nan, {})


def weight_grid(members: int) -> np.ndarray:
    """Returns weights in equal steps that are 1 in sum, float [points, members]; some hundreds at most.

    Example:
        >>> weight_grid(2)[:3].tolist()
        [[0.0, 1.0], [0.05, 0.95], [0.1, 0.9]]
    """
    steps = next(
        (n for n in range(20, 1, -1) if _count(n, members) <= MOST_POINTS),
        1,
    )
    # Bars between the steps: as many as divide them among the members.
    bars = itertools.combinations(range(steps + members - 1), members - 1)
    cuts = np.array([(-1, *bar, steps + members - 1) for bar in bars])
    return (np.diff(cuts, axis=1) - 1) / steps


def _count(steps: int, members: int) -> int:
    count = 1
    for n in range(1, members):
        count = count * (steps + n) // n
    return count


def wanted_pairs(
    train: Dataset, validation: Dataset, targets: str = "relevant"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns users and items of the held-out interactions that count and are new to their user.

    Args:
        train: What is known.
        validation: What is held out.
        targets: See `tune_ensemble`.

    Raises:
        ValueError: If there are no such targets.
    """
    if targets not in _ITEM:
        raise ValueError(f"targets: expected one of {', '.join(_ITEM)}, got {targets!r}")
    held, known = validation.interactions, train.interactions
    keep = held.relevant() if targets == "relevant" else np.ones(len(held), bool)
    pair = held.user[keep].astype(np.int64) * held.num_items + held.item[keep]
    pair = np.setdiff1d(pair, known.user.astype(np.int64) * known.num_items + known.item)
    return pair // held.num_items, pair % held.num_items


def _some(users: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    return users if len(users) <= most else np.sort(rng.choice(users, most, replace=False))


def _as_it_is(query: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return query


def _nothing(query: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return _first(query, 0)


def _first(query: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """Returns the query of an unknown user who has done the first `steps` things of the history only."""
    # One place of padding more, for members that read no history at all.
    history = np.pad(query["history"], [(0, 0), (0, 1)], constant_values=-1)
    weight = np.pad(query["history_weight"], [(0, 0), (0, 1)])
    length = (history >= 0).sum(axis=1, keepdims=True)
    place = np.arange(max(steps, 1)) + np.maximum(length - steps, 0)
    inside = (place < length) & (np.arange(max(steps, 1)) < steps)
    place = np.minimum(place, history.shape[1] - 1)
    return {
        "user_id": np.full(len(history), -1, np.int32),
        "history": np.where(inside, np.take_along_axis(history, place, axis=1), -1).astype(np.int32),
        "history_weight": np.where(inside, np.take_along_axis(weight, place, axis=1), 0).astype(np.float32),
    }


def _values(
    ensemble: Ensemble, train: Dataset, wanted, users: np.ndarray, change: Change, points: np.ndarray, k: int
) -> np.ndarray:
    """Returns the NDCG of every user with each of the weights, float [points, users]."""
    seen, starts = train.interactions.histories()
    parts = []
    for begin in range(0, len(users), BATCH):
        rows = users[begin : begin + BATCH]
        query = {name: value.numpy() for name, value in ensemble.query_of(train, rows).items()}
        query = {name: tf.constant(value) for name, value in change(query).items()}
        scores = np.stack(
            [comparable(m.scores(as_read_by(m, query))).numpy() for m in ensemble.members.values()], axis=2
        )
        known = np.zeros(scores.shape[:2], bool)
        target = np.zeros(scores.shape[:2], bool)
        for place, user in enumerate(rows):
            known[place, seen[starts[user] : starts[user + 1]]] = True
        mine = np.isin(wanted[0], rows)
        target[np.searchsorted(rows, wanted[0][mine]), wanted[1][mine]] = True
        scores[known] = -np.inf
        parts.append(_ndcg(scores, target, points, k))
    return np.concatenate(parts, axis=1)


def _ndcg(scores: np.ndarray, target: np.ndarray, points: np.ndarray, k: int) -> np.ndarray:
    """Returns the NDCG@k of weighted sums of `scores` [users, items, members], float [points, users]."""
    most = scores.max(axis=2)
    kept = min(CANDIDATES, scores.shape[1])
    best = np.argpartition(-most, kept - 1, axis=1)[:, :kept]
    few = np.take_along_axis(scores, best[:, :, np.newaxis], axis=1)
    open_ = np.isfinite(few).all(axis=2)
    few = np.where(open_[:, :, np.newaxis], few, 0.0)
    hit = np.take_along_axis(target, best, axis=1)
    length = min(k, kept)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(target.sum(axis=1), k) - 1]
    values = np.empty((len(points), len(scores)))
    for place, weights in enumerate(points):
        total = np.where(open_, few @ weights.astype(np.float32), -np.inf)
        top = np.argpartition(-total, length - 1, axis=1)[:, :length]
        order = np.argsort(-np.take_along_axis(total, top, axis=1), axis=1, kind="stable")
        gained = np.take_along_axis(hit & open_, np.take_along_axis(top, order, axis=1), axis=1)
        values[place] = gained @ discount[:length] / ideal
    return values


def _best(names: tuple[str, ...], points: np.ndarray, values: np.ndarray) -> GroupWeights:
    means = values.mean(axis=1)
    behind = values[means.argmax()] - values
    error = behind.std(axis=1) / np.sqrt(values.shape[1])
    good = behind.mean(axis=1) <= error
    weights = points[good].mean(axis=0)
    nearest = np.square(points - weights).sum(axis=1).argmin()
    alone = {name: float(means[np.flatnonzero(points[:, place] == 1)[0]]) for place, name in enumerate(names)}
    return GroupWeights(
        dict(zip(names, weights.tolist(), strict=True)), values.shape[1], float(means[nearest]), alone
    )
