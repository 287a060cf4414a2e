"""The level of diversity that gives the most within a budget."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.budget import Budget
from tfrec_div.evaluation.jackknife import jackknife_counts, jackknife_units, unit_means
from tfrec_div.evaluation.measures import ListMeasures, unseen_relevant
from tfrec_div.evaluation.stats import bootstrap_interval
from tfrec_div.evaluation.system import SYSTEM_METRICS, possible

LEVELS = tuple(np.linspace(0.0, 1.0, 21).round(2).tolist())
# With fewer users a confidence bound says little.
_FEW_USERS = 30


@dataclass(frozen=True, eq=False)
class Tuning:
    """What `tune` found. Printing it gives the curve.

    Attributes:
        recommender: A new `Recommender` of the same weights, which has the level stored.
        level: The level.
        within: Whether it is within the budget; when no level is, the level is 0.
        curve: A row per level: `level`, both metrics with bootstrap intervals (`ndcg@10`, `ndcg@10 low`, `ndcg@10
            high`, …), `loss` of the budget's metric, `bound` (upper end of the loss) and `within`: whether
            the bounds of this level and of all lower ones are within the budget, as the choice asks. One that
            held-out users did not confirm is given up all the same.
        chosen: The level that the other folds chose, for each fold.
        held_out_loss: Loss of users at the level that the folds without them chose.
        held_out_bound: Upper end of that loss.
        budget: As asked for.
        gain: As asked for.
        confidence: Of both bounds.
        users: How many users it is measured on.
    """

    recommender: Any
    level: float
    within: bool
    curve: pd.DataFrame
    chosen: tuple[float, ...]
    held_out_loss: float
    held_out_bound: float
    budget: str
    gain: str
    confidence: float
    users: int

    def __str__(self) -> str:
        if self.within:
            row = self.curve[self.curve["level"] == self.level].iloc[0]
            metric = self.gain.removeprefix("-")
            said = (
                f"level {self.level:g}: {metric} {row[metric]:.4f}, {self.curve[metric].iloc[0]:.4f} at level 0; "
                f"loss {row['loss']:.4f}, at most {row['bound']:.4f} ({self.confidence:.0%}, one-sided); "
                f"on held-out users {self.held_out_loss:.4f}, at most {self.held_out_bound:.4f}"
            )
        else:
            said = f"no level is within the budget {self.budget!r}: level 0"
        return (
            f"{self.curve.to_string(index=False, float_format='{:.4f}'.format)}\n{said} ({self.users} users)"
        )


def tune(
    recommender: Any,
    validation: Dataset,
    budget: str = "ndcg@10 -1%",
    gain: str = "ild_vectors@10",
    levels: Sequence[float] = LEVELS,
    folds: int = 5,
    confidence: float = 0.95,
    reranker: Any = None,
    seed: int = 0,
    progress: bool = True,
) -> Tuning:
    """Finds the level of diversity with the most gain whose loss is within a budget.

    Retrieval is done once; each level is only re-ranked. From level 0 upwards, a level is within the budget as long as
    the upper confidence bound of its loss, and of all lower levels, is: testing in a fixed sequence, so that the chance
    of a level beyond the budget is at most 1 − `confidence`, however many levels are tried (Angelopoulos et al., 2021,
    Learn then Test). Of these levels the one with the most gain is chosen. The bound is Student's, so this holds as far
    as the mean of the users' losses is normal: with some dozens of users whose value a level changes. Where hardly
    anybody's changes, as with few users and a metric that is mostly 0, a bound is too low.

    Then the choice is confirmed on users that had no part in it: each fold's users are measured at the level that the
    other folds choose, and if the bound of their loss is beyond the budget, the highest of the levels chosen is given
    up and all is done again without it.

    Both metrics may be any that `evaluate` reports on lists: the list metrics, of which each user has a value, and
    those of all lists together (`SYSTEM_METRICS`: coverage, gini, exposure_gini, entropy, personalization). The latter
    get a value per user by the jackknife (Tukey, 1958; see `jackknife_counts`): their mean is the metric, and the error
    that the bound is made of is on average not too small (Efron and Stein, 1981). It is rather too large for coverage,
    so its budget is kept with some room. Each value depends on the other users' pages, and so does a little of the
    confirmation. Above 2,000 users, random groups of users take their place, and of a list metric
    the means of these groups. What all lists together give depends on how many there are: a coverage is that of as many
    users as were measured.

    Args:
        recommender: A `Recommender` with a re-ranker. It stays as it is.
        validation: Held-out interactions that the final evaluation does not use.
        budget: What may be lost: see `Budget.parse`.
        gain: The metric to raise; with a minus before it, such as `"-calibration_kl@10"` or `"-gini@10"`, to lower.
        levels: Levels to try, in [0, 1]; 0 is always among them.
        folds: Parts of the users for the confirmation, at least 2.
        confidence: Of the one-sided bounds, in (0, 1).
        reranker: Tune this one instead of the recommender's.
        seed: Of folds and bootstrap.
        progress: Whether to show a progress bar.

    Returns:
        A `Tuning`, with the new recommender and the whole curve.

    Raises:
        ValueError: An argument does not fit, there is no such metric, or nobody has a relevant held-out item.

    Example:
        >>> from tfrec_div import TwoTower, make_synthetic, rerank
        >>> train, held_out = make_synthetic(num_users=60, num_items=30, images=False).split("temporal")
        >>> model = TwoTower(train.schema, embedding_dim=8)
        >>> model.compile()
        >>> _ = model.fit(train.batches(64), verbose=0)
        >>> rec = model.recommender(train, reranker=rerank.MMR(k=5))
        >>> found = tune(rec, held_out, "ndcg@5 -50%", "ild_vectors@5", levels=[0, 0.3, 0.6], progress=False)
        >>> found.recommender.diversity == found.level, list(found.curve["level"])
        (True, [0.0, 0.3, 0.6])
        >>> found = tune(rec, held_out, "ndcg@5 -50%", "coverage@5", levels=[0, 0.3, 0.6], progress=False)
        >>> pages, _ = rec.recommend_rows(unseen_relevant(held_out, rec.seen)[0], k=5, diversity=0.3)
        >>> bool(np.isclose(found.curve["coverage@5"][1], len(np.unique(pages)) / 30))
        True
    """
    allowed, grid = Budget.parse(budget), _grid(levels)
    metric = gain.removeprefix("-")
    layer = recommender.reranker if reranker is None else reranker
    if layer is None:
        raise ValueError("reranker: the recommender has none, so there is no level to tune; give one")
    if allowed.metric == metric:
        raise ValueError(f"gain must be another metric than that of the budget; received {gain!r} for both")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1); received {confidence!r}")
    users, relevant = unseen_relevant(validation, recommender.seen)
    if not 2 <= folds <= len(users):
        raise ValueError(f"folds must be from 2 to the number of users, {len(users)}; received {folds!r}")
    if len(users) < _FEW_USERS:
        warnings.warn(f"only {len(users)} users to tune on: the bounds are rough", stacklevel=2)
    tried = recommender.with_reranker(layer)
    names = (allowed.metric, metric)
    # Groups of users only where somebody is to be left out one after the other.
    together = any(_name(name) in SYSTEM_METRICS for name in names)
    units = jackknife_units(len(users), seed) if together else np.arange(len(users))
    values = _measure(tried, users, relevant, names, units, grid, progress)
    kept, gained = values[allowed.metric], values[metric]
    fold = np.random.default_rng(seed).permutation(kept.shape[1]) % folds
    signed = -gained if gain.startswith("-") else gained
    losses = [allowed.loss(kept[0], row, confidence) for row in kept]
    place, chosen, held_out = _search(kept, signed, allowed, fold, confidence)
    curve = pd.DataFrame({"level": grid})
    for name, rows in values.items():
        intervals = np.array([bootstrap_interval(row, seed=seed) for row in rows])
        if _name(name) in SYSTEM_METRICS:
            intervals = possible(_name(name), intervals)
        for n, column in enumerate((name, f"{name} low", f"{name} high")):
            curve[column] = intervals[:, n]
    curve["loss"], curve["bound"] = zip(*losses, strict=True)
    # A fixed sequence: behind a level beyond the budget, none is eligible.
    curve["within"] = np.logical_and.accumulate(curve["bound"] <= allowed.allowed)
    level = float(grid[place])
    return Tuning(
        recommender=recommender.with_reranker(layer, tuned=level),
        level=level,
        within=bool(curve["within"].iloc[place]),
        curve=curve,
        chosen=tuple(float(grid[n]) for n in chosen),
        held_out_loss=held_out[0],
        held_out_bound=held_out[1],
        budget=budget,
        gain=gain,
        confidence=confidence,
        users=len(users),
    )


def _grid(levels: Sequence[float]) -> np.ndarray:
    grid = np.unique([0.0, *np.asarray(levels, np.float64).ravel()])
    if not ((grid >= 0.0) & (grid <= 1.0)).all():  # refuses NaN too
        raise ValueError(f"levels must lie in [0, 1]; received {list(levels)}")
    return grid


def _measure(
    recommender: Any,
    users: np.ndarray,
    relevant: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    units: np.ndarray,
    grid: np.ndarray,
    progress: bool,
) -> dict[str, np.ndarray]:
    """Returns values `[levels, units]` by metric."""
    values: dict[str, np.ndarray] = {}
    for k in sorted({_length(name) for name in names}):
        wanted = [name for name in names if _length(name) == k]
        together = {name: SYSTEM_METRICS[_name(name)] for name in wanted if _name(name) in SYSTEM_METRICS}
        candidates = recommender.candidates(users, k=k, progress=progress)
        measure = ListMeasures(recommender, relevant, k, users)
        found = []
        for level in tqdm(grid, desc="tune", unit="level", disable=not progress):
            rows = recommender.rerank_candidates(candidates, k=k, diversity=level)
            one = jackknife_counts(together, rows, len(recommender.item_counts), units) if together else {}
            if len(together) < len(wanted):
                pages = measure(rows)
                for name in wanted:
                    if name in pages:
                        one[name] = unit_means(pages[name], units)
                    elif name not in together:
                        systems = (f"{system}@{k}" for system in SYSTEM_METRICS)
                        raise ValueError(f"no metric {name!r}; there are {', '.join([*pages, *systems])}")
            found.append(one)
        values.update({name: np.stack([one[name] for one in found]) for name in wanted})
    return {name: values[name] for name in names}


def _name(metric: str) -> str:
    return metric.partition("@")[0]


def _length(name: str) -> int:
    _, at, length = name.partition("@")
    if not at or not length.isdecimal() or int(length) < 1:
        raise ValueError(f"a metric is written with its length, such as 'ndcg@10'; received {name!r}")
    return int(length)


def _search(
    kept: np.ndarray, gained: np.ndarray, budget: Budget, fold: np.ndarray, confidence: float
) -> tuple[int, list[int], tuple[float, float]]:
    """Returns the place of the level, those that the folds chose, and the held-out loss with its bound.

    Args:
        kept: `[levels, units]` of the budget's metric; a unit is a user, or a group of users.
        gained: `[levels, units]` of the metric to raise.
        budget: The budget.
        fold: Fold of each unit, `[units]`.
        confidence: Of the bounds.
    """
    highest = len(kept) - 1
    everybody = np.ones(len(fold), bool)
    number = int(fold.max()) + 1
    while True:
        place = _choose(kept, gained, budget, everybody, confidence, highest)
        chosen = [_choose(kept, gained, budget, fold != n, confidence, highest) for n in range(number)]
        held_out = budget.loss(kept[0], kept[np.asarray(chosen)[fold], np.arange(len(fold))], confidence)
        if place == 0 or held_out[1] <= budget.allowed:
            return place, chosen, held_out
        highest = max(place, *chosen) - 1


def _choose(
    kept: np.ndarray, gained: np.ndarray, budget: Budget, users: np.ndarray, confidence: float, highest: int
) -> int:
    """Returns the place of the level with the most gain among the first ones within the budget; 0 without any."""
    if budget.kind == "relative" and not np.nansum(kept[0, users]):
        return 0  # of these users nobody has any of it, so they tell no share of it
    within = 0
    for row in kept[: highest + 1]:
        if not budget.loss(kept[0, users], row[users], confidence)[1] <= budget.allowed:
            break
        within += 1
    gains = [np.nanmean(row[users]) for row in gained[: max(within, 1)]]
    return int(np.nanargmax(gains)) if np.isfinite(gains).any() else 0
