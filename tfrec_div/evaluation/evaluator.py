"""Evaluate a recommender: relevance, diversity and novelty per user, beside baselines, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.baselines import Popularity, Random
from tfrec_div.evaluation.evaluation import Evaluation
from tfrec_div.evaluation.measures import ListMeasures, unseen_relevant

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

    A recommender with a ranker is measured stage by stage: beside `"recommender"` there are `"ranking"`, the order of
    the ranker (when the level is above 0; else it is the recommender's), and `"retrieval"`, what the retriever alone
    would recommend; and `Evaluation.stages` tells how right each of the two is about its candidates.

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
    users, relevant = unseen_relevant(test, rec.seen)
    level = float(getattr(rec, "diversity", 0.0) if diversity is None else diversity)
    # Adaptive levels are not one for all.
    asked = None if diversity is None and getattr(rec, "adaptive", None) is not None else level
    lists = {"recommender": rec.recommend_rows(users, k=k, diversity=asked)[0]}
    stages: dict[str, dict[str, float]] = {}
    reliability = None
    if getattr(rec, "ranker", None) is not None:
        # With TensorFlow, so imported when it is used.
        from tfrec_div.evaluation.candidate_pool import CandidatePool
        from tfrec_div.models.ranking_lists import ratings_of

        pool = CandidatePool.of(rec, users, k)
        rated = test.interactions.rating is not None
        stages = pool.measures(relevant, ratings_of(test.interactions, users, pool.rows) if rated else None)
        reliability = pool.reliability(relevant)
        if level > 0.0:
            lists["ranking"] = pool.lists("ranking", k)
        lists["retrieval"] = pool.lists("retrieval", k)
    elif level > 0.0:
        lists["recommender, diversity 0"] = rec.recommend_rows(users, k=k, diversity=0.0)[0]
    makers: dict[str, Any] = {
        "popularity": Popularity(rec.item_counts),
        "random": Random(len(test.catalog), seed),
    }
    for name in baselines:
        lists[name] = makers[name].recommend_rows(users, k, rec.seen)
    lists = {name: np.asarray(rows)[:, :k] for name, rows in lists.items()}
    measure = ListMeasures(rec, relevant, k, users)
    evaluation = Evaluation(
        k=k,
        users=users,
        lists=lists,
        systems={name: measure(rows) for name, rows in lists.items()},
        num_items=len(test.catalog),
        settings={"level": level, "seed": seed},
        seed=seed,
        stages=stages,
        reliability=reliability,
    )
    for message in evaluation.warnings:
        warnings.warn(message, stacklevel=2)
    return evaluation
