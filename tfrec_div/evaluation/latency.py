"""How long each stage of a recommender takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrec_div._keras import tf

if TYPE_CHECKING:
    from tfrec_div.recommender import Recommender

BATCH = 256


def stage_latency(
    recommender: Recommender, users: np.ndarray, repeats: int = 20, k: int | None = None
) -> dict[str, float]:
    """Measures the stages one by one, each as a graph of its own; what compiles a graph is not counted.

    Args:
        recommender: To measure.
        users: Integer [users], rows of the one batch that is asked for each time.
        repeats: Times that each stage is measured, at least 1.
        k: Length of the page; None: the recommender's.

    Returns:
        Median milliseconds of the batch by stage: "retrieval" (histories, candidates and the signals for a ranker),
        "ranking" where a ranker counts, "re-ranking" where there is a re-ranker.

    Raises:
        ValueError: If there are no users, or repeats is below 1.

    Example:
        >>> from tfrec_div import MostPopular, make_synthetic, rerank
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = MostPopular(data.schema)
        >>> _ = model.fit(data.batches(64))
        >>> sorted(stage_latency(model.recommender(data, reranker=rerank.MMR(k=3)), [0, 1], repeats=3))
        ['re-ranking', 'retrieval']
    """
    if not len(users):
        raise ValueError("users: expected at least one, got none")
    if repeats < 1:
        raise ValueError(f"repeats: expected at least 1, got {repeats}")
    batch = tf.constant(np.asarray(users, np.int32))
    length = min(recommender.k if k is None else k, len(recommender.catalog))

    @tf.function
    def retrieve(users):
        query, seen = recommender.known_query(users)
        return query, *recommender.retrieve(query, length, exclude=seen)

    @tf.function
    def rank(query, rows, scores, signals):
        return recommender.rank_candidates(query, rows, scores, signals)

    @tf.function
    def rerank(query, rows, scores):
        return recommender.rerank(rows, scores, length, None, query)

    query, rows, scores, signals = retrieve(batch)
    found = {"retrieval": _median(retrieve, (batch,), repeats)}
    if recommender.ranker is not None and recommender.ranker_weight > 0:
        found["ranking"] = _median(rank, (query, rows, scores, signals), repeats)
        rows, scores = rank(query, rows, scores, signals)
    if recommender.reranker is not None:
        found["re-ranking"] = _median(rerank, (query, rows, scores), repeats)
    return found


def latency_line(latency: Mapping[str, float], users: int) -> str:
    """Returns what `stage_latency` found as a line to read.

    Args:
        latency: Median milliseconds by stage.
        users: Number of users of the batch.

    Example:
        >>> latency_line({"retrieval": 3.14159, "re-ranking": 12.5}, 256)
        'time of a batch of 256 users: retrieval 3.1 ms, re-ranking 12.5 ms (medians)'
    """
    times = ", ".join(f"{stage} {time:.1f} ms" for stage, time in latency.items())
    return f"time of a batch of {users} users: {times} (medians)"


def _median(stage: Callable[..., Any], inputs: tuple, repeats: int) -> float:
    times = []
    # The first call makes the graph, and the second one finds everything in place.
    for _ in range(repeats + 2):
        start = time.perf_counter()
        for output in tf.nest.flatten(stage(*inputs)):
            # Signals are None where nobody asks for them.
            if output is not None:
                output.numpy()
        times.append(time.perf_counter() - start)
    return 1000.0 * float(np.median(times[2:]))
