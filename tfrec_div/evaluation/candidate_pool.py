"""What each stage of a recommender says of the candidates of its users, and how right it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div import metrics
from tfrec_div._keras import tf
from tfrec_div.models.ensemble import as_read_by

if TYPE_CHECKING:
    from tfrec_div.recommender import Recommender

BATCH = 256


@dataclass(frozen=True, eq=False)
class CandidatePool:
    """The candidates of users and what is foreseen of them.

    Attributes:
        rows: Item rows int32 [users, n] in the order of the retriever, padded with -1 at the end.
        scores: By stage, "retrieval" and "ranking", what the stage orders by, float32 [users, n].
        predictions: By task, what the ranker foresees, float32 [users, n]: "relevance", a probability, and "rating" of
            one that predicts ratings. Empty without a ranker.
    """

    rows: np.ndarray
    scores: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]

    @classmethod
    def of(cls, recommender: Recommender, users: np.ndarray, k: int = 10) -> CandidatePool:
        """Asks a recommender; what users have seen is no candidate.

        Args:
            recommender: With a ranker or without.
            users: Int32 [users], rows.
            k: Length of the page: there are at least so many candidates.

        Raises:
            ValueError: If there are no users.
        """
        if not len(users):
            raise ValueError("users: expected at least one, got none")
        wanted = min(max(k, recommender.num_candidates), len(recommender.catalog))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
        def ask(users):
            query, seen = recommender.known_query(users)
            rows, scores, _ = recommender.retrieve(query, wanted, exclude=seen)
            return rows, *_said(recommender, query, rows, scores)

        parts = [ask(tf.constant(users[n : n + BATCH], tf.int32)) for n in range(0, len(users), BATCH)]
        rows, scores, predictions = (
            tf.nest.map_structure(lambda *blocks: np.concatenate(blocks), *(part[n] for part in parts))
            for n in range(3)
        )
        return cls(rows, scores, predictions)

    def lists(self, stage: str, k: int) -> np.ndarray:
        """Returns the best k of a stage, item rows int32 [users, k] padded with -1.

        Args:
            stage: "retrieval" or "ranking".
            k: Length of the lists.
        """
        scores = np.where(self.rows >= 0, self.scores[stage], -np.inf)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.rows, order, axis=1)

    def measures(
        self, relevant: tuple[np.ndarray, np.ndarray], ratings: np.ndarray | None = None
    ) -> dict[str, dict[str, float]]:
        """Returns how right each stage is, by stage and metric.

        "auc", "gauc" and "pool_ndcg" of the order of the candidates (the mean over users of the last one), "log_loss"
        and "ece" of probabilities, "rmse" of ratings, and for the first stage "pool_recall": the share of the relevant
        items that are among the candidates, which bounds what comes after. NaN where nothing is to be told apart.

        Args:
            relevant: Relevant item rows of each user, `(values, row_splits [users + 1])`.
            ratings: Held-out ratings of the candidates, float [users, n]; NaN: unknown.
        """
        there = self.rows >= 0
        labels = metrics.hits(self.rows, *relevant) & there
        found: dict[str, dict[str, float]] = {}
        for stage, scores in self.scores.items():
            found[stage] = {
                "auc": metrics.auc(scores[there], labels[there]),
                "gauc": metrics.grouped_auc(scores, labels, there),
                "pool_ndcg": _mean(metrics.pool_ndcg(scores, labels, there)),
            }
        recall = labels.sum(axis=1) / np.diff(relevant[1])
        found["retrieval"] = {"pool_recall": _mean(recall), **found["retrieval"]}
        if "relevance" in self.predictions:
            probability = self.predictions["relevance"][there]
            found["ranking"]["log_loss"] = metrics.log_loss(probability, labels[there])
            found["ranking"]["ece"] = metrics.expected_calibration_error(probability, labels[there])
        if "rating" in self.predictions and ratings is not None:
            known = np.where(there, ratings, np.nan)
            found["ranking"]["rmse"] = metrics.rmse(self.predictions["rating"], known)
        return found

    def reliability(self, relevant: tuple[np.ndarray, np.ndarray]) -> metrics.ReliabilityCurve | None:
        """Returns what the ranker foresaw and what came, in bins of about as many candidates each; None without one.

        Args:
            relevant: As for `measures`.
        """
        if "relevance" not in self.predictions:
            return None
        there = self.rows >= 0
        labels = metrics.hits(self.rows, *relevant)[there]
        return metrics.reliability_curve(self.predictions["relevance"][there], labels, strategy="quantile")


def _said(recommender: Recommender, query: dict, rows: tf.Tensor, scores: tf.Tensor) -> tuple[dict, dict]:
    """Returns the scores of each stage, and what the ranker foresees."""
    stages, predictions = {"retrieval": scores}, {}
    # In the graph, and AutoGraph knows no assignment in a condition.
    ranker = recommender.ranker
    if ranker is not None:
        stages["ranking"] = recommender.candidate_scores(query, rows, scores)
        signals = recommender.signals(query, rows)
        predictions = ranker.predictions(as_read_by(ranker, query), rows, signals)
    finite = {name: tf.where(rows >= 0, values, 0.0) for name, values in stages.items()}
    return finite, {name: predictions[name] for name in ("relevance", "rating") if name in predictions}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
