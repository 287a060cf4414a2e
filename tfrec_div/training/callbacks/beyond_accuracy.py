"""Relevance and diversity of what the model would recommend, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.measures import ListMeasures, unseen_relevant
from tfrec_div.evaluation.system import SYSTEM_METRICS
from tfrec_div.metrics import RELEVANCE, SystemCounts
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.base import Reranker

LIST_METRICS = (
    *(*RELEVANCE, "ild_vectors", "ild_categories", "category_entropy"),
    *("novelty", "popularity", "aplt", "calibration_kl", "unexpectedness", "serendipity"),
    *("vendi", "alpha_ndcg", "subtopic_recall"),
)
LOGGED = ("ndcg", "recall", "ild_vectors", "ild_categories", "novelty", "coverage")


class BeyondAccuracy(keras.callbacks.Callback):
    """Measures the pages of the model as it is after an epoch: relevant, and diverse, novel and fair to the catalogue.

    Each value is one that `evaluate` gives, as a mean over users, under a name such as `val_ndcg@10`. It goes into the
    logs of the epoch, so the history, TensorBoard and callbacks that stand after this one see it: `EarlyStopping`
    may watch `val_ild_vectors@10`. One pass: a page for each user is made once, and all is measured on it.

    Mind the sign: `val_ndcg@10` is of pages, a mean over users, while the model's own `val_ndcg_at_10`, of
    `validation_data`, is of single targets, a mean over those.

    Args:
        train: What the model is trained on: what users have seen, and how often items occur.
        validation: Held-out interactions, of the same schema.
        k: Length of the pages.
        reranker: Re-ranking layer to measure the pages of; None is the order of the scores.
        every: Epochs from one measurement to the next; the last epoch is measured in any case.
        metrics: What is logged, out of the metrics of `evaluate`; those on categories are passed over where items
            have none.
        num_candidates: Items that the re-ranker chooses from.
        max_users: At most so many users are measured, the same ones each time, drawn by a fixed seed.

    Raises:
        ValueError: If an argument does not fit, or no user has a relevant held-out item.

    Example:
        >>> from tfrec_div import TwoTower, make_synthetic
        >>> train, test = make_synthetic(num_users=40, num_items=30, images=False).split("temporal")
        >>> model = TwoTower(train.schema, embedding_dim=8)
        >>> model.compile()
        >>> history = model.fit(train.batches(64), verbose=0, callbacks=[BeyondAccuracy(train, test, k=5)])
        >>> sorted(name for name in history.history if name.startswith("val_"))[:3]
        ['val_coverage@5', 'val_ild_categories@5', 'val_ild_vectors@5']
    """

    def __init__(
        self,
        train: Dataset,
        validation: Dataset,
        k: int = 10,
        reranker: Reranker | None = None,
        every: int = 1,
        metrics: Sequence[str] = LOGGED,
        num_candidates: int = 100,
        max_users: int = 10_000,
    ):
        super().__init__()
        for name, value in (("k", k), ("every", every), ("max_users", max_users)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        known = (*LIST_METRICS, *SYSTEM_METRICS)
        if unknown := [name for name in metrics if name not in known]:
            raise ValueError(f"metrics: expected some of {', '.join(known)}, got {unknown[0]!r}")
        if train.schema != validation.schema:
            raise ValueError("validation: its schema is not that of train")
        self.k, self.every, self.metrics = k, every, tuple(metrics)
        self._train, self._reranker, self._num_candidates = train, reranker, num_candidates
        self._users, self._relevant = _sample(
            *unseen_relevant(validation, train.interactions.histories()), max_users
        )
        self._recommender: Recommender | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Takes the model that is trained; what its pages are measured on does not change from then on."""
        self._recommender = Recommender(
            self.model,
            self._train,
            reranker=self._reranker,
            k=self.k,
            num_candidates=self._num_candidates,
        )
        self._measures = ListMeasures(self._recommender, self._relevant, self.k, self._users)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Adds the measurements to the logs of the epoch."""
        last = epoch + 1 == (self.params or {}).get("epochs")
        if logs is not None and (last or (epoch + 1) % self.every == 0):
            self.model.refresh_index()
            logs.update({f"val_{name}": value for name, value in self.measure().items()})

    def measure(self) -> dict[str, float]:
        """Returns the means for the vectors that are in the model's index, by name (`"ndcg@10"`)."""
        assert self._recommender is not None
        rows = self._recommender.recommend_rows(self._users, k=self.k)[0]
        lists = self._measures(rows)
        together = SystemCounts(len(self._train.catalog)).update(rows)
        values = {}
        for name in (f"{metric}@{self.k}" for metric in self.metrics):
            metric = name.partition("@")[0]
            if metric in SYSTEM_METRICS:
                values[name] = SYSTEM_METRICS[metric](together)
            elif name in lists:
                values[name] = float(np.nanmean(lists[name]))
        return values


def _sample(
    users: np.ndarray, relevant: tuple[np.ndarray, np.ndarray], most: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns at most so many of the users, and the relevant items of those."""
    if len(users) <= most:
        return users, relevant
    kept = np.sort(np.random.default_rng(0).choice(len(users), most, replace=False))
    values, splits = relevant
    lengths = np.diff(splits)
    chosen = np.isin(np.repeat(np.arange(len(users)), lengths), kept)
    return users[kept], (values[chosen], np.concatenate([[0], np.cumsum(lengths[kept])]))
