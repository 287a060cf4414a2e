"""Evaluate a recommender: relevance, diversity and novelty per user, beside baselines, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrec_div import metrics
from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.baselines import Popularity, Random
from tfrec_div.evaluation.evaluation import Evaluation

BASELINES = ("popularity", "random")


def evaluate(
    rec: Any,
    test: Dataset,
    k: int = 10,
    baselines: Sequence[str] = BASELINES,
    diversity: float | None = None,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a recommender on held-out interactions.

    Users with at least one relevant held-out item (`Interactions.relevant`) are evaluated. All items that a
    user has not seen in training are ranked, and hits are counted by id; a held-out item that was already
    seen in training cannot be recommended and does not count. The recommender is measured at its own level
    of diversity and, when that is above 0, without diversification too.

    Args:
        rec: a `Recommender`.
        test: a Dataset whose interactions are the held-out ones.
        k: length of the lists.
        baselines: any of `"popularity"` and `"random"`.
        diversity: level in [0, 1] to evaluate; None for the recommender's own.
        seed: of the random baseline and the bootstrap.

    Returns:
        An `Evaluation`: print it, or look at `summary`, `frame()`, `compare(...)`.

    Raises:
        ValueError: an unknown baseline, a catalogue of another size, or nobody with a relevant held-out item.

    Example:
        >>> from tfrec_div import TwoTower, make_synthetic, rerank
        >>> train, test = make_synthetic(num_users=40, num_items=30, images=False).split("temporal")
        >>> model = TwoTower(train.schema, embedding_dim=8)
        >>> model.compile()
        >>> _ = model.fit(train.batches(64), verbose=0)
        >>> result = evaluate(model.recommender(train, reranker=rerank.MMR(k=5)), test, k=5)
        >>> list(result.systems)
        ['recommender', 'recommender, diversity 0', 'popularity', 'random']
        >>> sorted(result.summary["recommender"]["ndcg@5"])
        ['high', 'low', 'mean']
    """
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown:
        raise ValueError(f"baselines must be out of {', '.join(BASELINES)}; received {unknown[0]!r}")
    if len(test.catalog) != len(rec.item_counts):
        raise ValueError(
            f"test has {len(test.catalog)} items, the recommender {len(rec.item_counts)}: "
            "not the same catalogue"
        )
    users, relevant = _relevant(test, rec.seen)
    level = float(getattr(rec, "diversity", 0.0) if diversity is None else diversity)
    lists = {"recommender": rec.recommend_rows(users, k=k, diversity=level)[0]}
    if level > 0.0:
        lists["recommender, diversity 0"] = rec.recommend_rows(users, k=k, diversity=0.0)[0]
    makers: dict[str, Any] = {
        "popularity": Popularity(rec.item_counts),
        "random": Random(len(test.catalog), seed),
    }
    for name in baselines:
        lists[name] = makers[name].recommend_rows(users, k, rec.seen)
    lists = {name: np.asarray(rows)[:, :k] for name, rows in lists.items()}
    measure = _Measures(rec, relevant, k)
    evaluation = Evaluation(
        k=k,
        users=users,
        lists=lists,
        systems={name: measure(rows) for name, rows in lists.items()},
        num_items=len(test.catalog),
        settings={"level": level, "seed": seed},
        seed=seed,
    )
    for message in evaluation.warnings:
        warnings.warn(message, stacklevel=2)
    return evaluation


class _Measures:
    """All list metrics of one system: a value per user and metric."""

    def __init__(self, rec: Any, relevant: tuple[np.ndarray, np.ndarray], k: int) -> None:
        self.relevant, self.k = relevant, k
        self.num_relevant = metrics.num_relevant(*relevant)
        self.counts, self.num_users = rec.item_counts, len(rec.seen[1]) - 1
        self.vectors, self.categories = rec.diversity_vectors, rec.catalog.category_matrix()

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        found = metrics.hits(rows, *self.relevant)
        if rows.shape[1] < self.k:  # a catalogue smaller than k: the places that are missing are misses
            found = np.pad(found, [(0, 0), (0, self.k - rows.shape[1])])
        values = {name: metric(found, self.num_relevant) for name, metric in metrics.RELEVANCE.items()}
        values["ild_vectors"] = metrics.intra_list_distance(rows, self.vectors)
        if self.categories.shape[1]:
            values["ild_categories"] = metrics.intra_list_distance(rows, self.categories)
            values["category_entropy"] = metrics.category_entropy(rows, self.categories)
        values["novelty"] = metrics.novelty(rows, self.counts, self.num_users)
        return {f"{name}@{self.k}": value for name, value in values.items()}


def _relevant(
    test: Dataset, seen: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Users with relevant held-out items that they have not seen, and those items (values, row_splits)."""
    log = test.interactions
    mask = log.relevant()
    width = np.int64(log.num_items)
    held_out = np.unique(log.user[mask] * width + log.item[mask])
    values, splits = np.asarray(seen[0], np.int64), np.asarray(seen[1], np.int64)
    known = np.repeat(np.arange(len(splits) - 1), np.diff(splits)) * width + values
    owner, item = np.divmod(np.setdiff1d(held_out, known), width)
    users, counts = np.unique(owner, return_counts=True)
    if not len(users):
        raise ValueError("test: no user has a relevant interaction with an item not seen in training")
    return users.astype(np.int32), (item, np.concatenate([[0], np.cumsum(counts)]))
