"""Metrics of diversity, novelty and reach against rectools' data frames and RecBole's definitions.

Both sides get the same lists, drawn at random with Zipf popularity, in the form that they take: a matrix of item rows
here and for RecBole, a data frame with a row per recommendation for rectools. What a side makes of the training
interactions (counts of items and users, hits) is timed; the making of the lists is not. All values are compared.

- RecBole is not needed: its `GiniIndex`, `ShannonEntropy` and `AveragePopularity` are written out below as its
  documentation and source define them, `Counter` and loops included.
- rectools is measured where it is installed.

Times are medians of rounds that take turns, so that what else the machine does falls on all alike. What takes less than
20 ms is run as often a turn as fills them, so that a turn is not the time of waking up. Item rows are int32 here, as
`Recommender.recommend_rows` gives them, and int64 for RecBole, as its collector does; ours at int64 is printed beside.
Below the ratios that are wanted the exit code is 1; those are for 10,000 users, and a second size is printed without
being judged.

    python benchmarks/metrics.py [--users 10000] [--items 10000] [--k 20] [--rounds 3] [--more-users 100000]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from interleaved import in_turns

from tfrec_div import metrics

WHY_NOT = ""
try:
    import rectools.metrics as rectools
    from rectools.metrics.distances import PairwiseHammingDistanceCalculator
except ImportError as error:
    rectools, WHY_NOT = None, str(error)

# Interactions of a user in training, and attributes of an item.
HISTORY, ATTRIBUTES = 20, 18
LEAST = {"ILD": 300.0, "Gini": 100.0, "entropy": 100.0, "serendipity": 6.0, "MIUF": 10.0}

# Seconds of a turn at least.
TURN = 0.02

Job = Callable[[], np.ndarray | float]


class Lists:
    """Recommended lists and interactions, as matrices and as data frames."""

    def __init__(self, users: int, items: int, k: int) -> None:
        rng = np.random.default_rng(0)
        self.k, self.users, self.items = k, users, items
        self.wide = distinct(rng, users, items, k)
        self.rows = self.wide.astype(np.int32)
        self.attributes = (rng.random((items, ATTRIBUTES)) < 0.15).astype(np.float64)
        self.before = distinct(rng, users, items, HISTORY)
        # Half of what is held out was recommended, so that there are hits.
        half = min(HISTORY // 2, k)
        self.held_out = distinct(rng, users, items, HISTORY)
        self.held_out[:, :half] = self.rows[:, :half]
        self.reco = frame(self.rows).assign(rank=np.tile(np.arange(1, k + 1), users))
        self.previous, self.interactions = frame(self.before), frame(self.held_out).drop_duplicates()
        self.calculator = None
        if rectools is not None:
            features = pd.DataFrame(self.attributes, index=pd.RangeIndex(items, name="item_id"))
            self.calculator = PairwiseHammingDistanceCalculator(features)

    def counts(self) -> np.ndarray:
        return np.bincount(self.before.ravel(), minlength=self.items)

    def hits(self) -> np.ndarray:
        return metrics.hits(self.rows, self.held_out.ravel(), np.arange(self.users + 1) * HISTORY)


def distinct(rng: np.random.Generator, users: int, items: int, k: int) -> np.ndarray:
    """Lists of distinct items, a few of them often and most of them seldom, int64 `[users, k]`."""
    # A place draws from every k-th item, so no item comes twice; log-uniform is Zipf's law.
    drawn = np.exp(rng.random((users, k)) * np.log(items // k)).astype(np.int64) - 1
    return rng.permuted(drawn * k + np.arange(k), axis=1)


def frame(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"user_id": np.repeat(np.arange(len(rows)), rows.shape[1]), "item_id": rows.ravel()})


def recbole_gini(rows: np.ndarray, num_items: int) -> float:
    """GiniIndex: the items that were recommended at all are counted in a dictionary, sorted, and weighed by place."""
    counts = np.array(sorted(dict(Counter(rows.flatten())).values()))
    places = np.arange(num_items - len(counts) + 1, num_items + 1)
    return float(((2 * places - num_items - 1) * counts).sum() / rows.size / num_items)


def recbole_entropy(rows: np.ndarray) -> float:
    """ShannonEntropy: a sum over the dictionary of counts, item by item."""
    counts, total = dict(Counter(rows.flatten())), 0.0
    places = rows.size
    for count in counts.values():
        share = count / places
        total += -share * np.log(share)
    return float(total / len(counts))


def recbole_popularity(rows: np.ndarray, counts: dict[int, int]) -> np.ndarray:
    """AveragePopularity: the count of each recommendation is looked up, place by place."""
    values = np.zeros_like(rows)
    for user, row in enumerate(rows):
        for place, item in enumerate(row):
            values[user, place] = counts.get(item, 0)
    return (values.cumsum(axis=1) / np.arange(1, rows.shape[1] + 1))[:, -1]


def jobs_of(lists: Lists, with_pairs: bool) -> dict[str, dict[str, Job]]:
    """Ours and the peer of each metric."""
    rows, wide, items, k = lists.rows, lists.wide, lists.items, lists.k
    item_counts = lists.counts()
    by_item = dict(enumerate(item_counts.tolist()))
    jobs: dict[str, dict[str, Job]] = {
        "Gini": {
            "ours": lambda: metrics.gini(rows, items),
            "ours, int64": lambda: metrics.gini(wide, items),
            "RecBole's definition": lambda: recbole_gini(wide, items),
        },
        "entropy": {
            "ours": lambda: metrics.shannon_entropy(rows, items),
            "ours, int64": lambda: metrics.shannon_entropy(wide, items),
            "RecBole's definition": lambda: recbole_entropy(wide),
        },
        "popularity": {
            "ours": lambda: metrics.popularity(rows, item_counts),
            "RecBole's definition": lambda: recbole_popularity(wide, by_item),
        },
    }
    if rectools is None:
        return jobs
    jobs["MIUF"] = {
        "ours": lambda: metrics.novelty(rows, lists.counts(), lists.users, "rectools"),
        "rectools": lambda: rectools.MeanInvUserFreq(k=k).calc_per_user(lists.reco, lists.previous),
    }
    if hasattr(metrics, "serendipity"):
        jobs["serendipity"] = {
            "ours": lambda: metrics.serendipity(rows, lists.hits(), lists.counts()),
            "rectools": lambda: rectools.Serendipity(k=k).calc_per_user(
                lists.reco, lists.interactions, lists.previous, np.arange(items)
            ),
        }
    if with_pairs:
        distance = rectools.IntraListDiversity(k=k, distance_calculator=lists.calculator)
        jobs["ILD"] = {
            "ours": lambda: metrics.intra_list_distance(rows, lists.attributes, "hamming"),
            "rectools": lambda: distance.calc_per_user(lists.reco),
        }
    return jobs


def measure(lists: Lists, rounds: int, with_pairs: bool) -> dict[str, float]:
    """Prints the times; returns the ratio of each metric."""
    print(f"{lists.users:,} users x {lists.k} of {lists.items:,} items, median of {rounds} rounds")
    ratios = {}
    for name, sides in jobs_of(lists, with_pairs).items():
        first, *others = (np.asarray(job(), np.float64) for job in sides.values())
        for other in others:
            np.testing.assert_allclose(first, other, rtol=1e-9, atol=1e-12, err_msg=name)
        seconds = {side: found.mean for side, found in in_turns(sides, rounds, TURN).items()}
        peer = list(sides)[-1]
        for side in list(sides)[:-1]:
            print(f"  {name:12} {side:12} {1e3 * seconds[side]:9.3f} ms   ", end="")
            print(f"{peer:20} {1e3 * seconds[peer]:10.1f} ms   {seconds[peer] / seconds[side]:8.1f} x")
        ratios[name] = seconds[peer] / seconds["ours"]
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--more-users", type=int, default=100_000, help="0 for none")
    arguments = parser.parse_args()

    if rectools is None:
        print(f"rectools is not installed ({WHY_NOT}): ILD, MIUF and serendipity are not measured")
    lists = Lists(arguments.users, arguments.items, arguments.k)
    ratios = measure(lists, arguments.rounds, with_pairs=True)
    if arguments.more_users:
        # All pairs of a list in a data frame: minutes, so not for these.
        measure(Lists(arguments.more_users, arguments.items, arguments.k), arguments.rounds, with_pairs=False)
    failed = {name: ratio for name, ratio in ratios.items() if ratio < LEAST.get(name, 0.0)}
    for name, ratio in failed.items():
        print(f"{name}: {ratio:.1f} x, at least {LEAST[name]:g} x wanted", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
