"""Top-k accuracy over a whole catalogue: exact ranks by counting against TFRS `FactorizedTopK`.

Both sides get the same query vectors, targets and item tower (an embedding and a dense layer), and both
encode the catalogue themselves: ours once per evaluation, `FactorizedTopK(candidates=<dataset>)` once per
batch of queries. Rounds are interleaved; the ratio is that of the medians. The accuracies must agree up to
ties.

    python benchmarks/evaluation.py [--queries 2048] [--items 20000] [--rounds 5] [--least 12]
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.evaluation import target_ranks

TOPS = (1, 5, 10, 50, 100)
CANDIDATE_BATCH = 128


def make_tower(items: int, dim: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    tower = keras.Sequential([keras.layers.Embedding(items, 64), keras.layers.Dense(dim)])
    tower(tf.constant([0]))
    return tower


def ours(encode: Callable, queries: np.ndarray, targets: np.ndarray, items: int) -> list[float]:
    starts = range(0, items, 4096)
    vectors = np.concatenate([encode(tf.range(start, min(start + 4096, items))).numpy() for start in starts])
    ranks = target_ranks(queries, vectors, targets)
    return [float((ranks <= top).mean()) for top in TOPS]


def theirs(tower: keras.Model, items: int, batch: int) -> Callable[[np.ndarray, np.ndarray], list[float]]:
    """Hits by id, in a graph: what `model.evaluate` of a TFRS model runs. Traced once, outside the timing."""
    candidates = tf.data.Dataset.range(items).batch(CANDIDATE_BATCH).map(lambda rows: (rows, tower(rows)))
    metric = tfrs.metrics.FactorizedTopK(candidates=candidates, ks=TOPS)

    @tf.function(reduce_retracing=True)
    def update(queries: tf.Tensor, targets: tf.Tensor) -> None:
        metric.update_state(queries, tower(targets), true_candidate_ids=targets[:, tf.newaxis])

    def evaluate(queries: np.ndarray, targets: np.ndarray) -> list[float]:
        metric.reset_states()
        for start in range(0, len(queries), batch):
            part = slice(start, start + batch)
            update(tf.constant(queries[part]), tf.constant(targets[part]))
        return [float(value) for value in metric.result()]

    return evaluate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=2048)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--query-batch", type=int, default=512, help="of FactorizedTopK")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=12.0, help="exit with 1 below this ratio")
    arguments = parser.parse_args()

    tower = make_tower(arguments.items, arguments.dim)
    rng = np.random.default_rng(0)
    targets = rng.integers(0, arguments.items, arguments.queries)
    vectors = tower(tf.constant(targets)).numpy()
    # Queries near their targets, so that the accuracies lie between 0 and 1.
    noise = rng.normal(size=vectors.shape) * 2.0 * vectors.std()
    queries = (vectors + noise).astype(np.float32)

    encode = tf.function(tower, reduce_retracing=True)
    sides = {
        "exact ranks by counting": lambda: ours(encode, queries, targets, arguments.items),
        "tfrs FactorizedTopK": functools.partial(
            theirs(tower, arguments.items, arguments.query_batch), queries, targets
        ),
    }
    accuracies = {name: side() for name, side in sides.items()}  # warms both up
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)

    size = f"{arguments.queries} queries x {arguments.items} items x {arguments.dim} dimensions"
    print(f"{size}, median of {arguments.rounds} rounds")
    for name in sides:
        tops = "  ".join(f"top-{k} {value:.4f}" for k, value in zip(TOPS, accuracies[name], strict=True))
        print(f"{name:24} {statistics.median(seconds[name]):7.3f} s   {tops}")
    mine, other = accuracies.values()
    # Products in another order round differently: a target may change places with a near tie.
    apart = max(abs(a - b) for a, b in zip(mine, other, strict=True))
    if apart > 2 / arguments.queries:
        print(f"the accuracies differ by {apart:.4f}", file=sys.stderr)
        return 1
    first, second = (statistics.median(times) for times in seconds.values())
    ratio = second / first
    print(f"ratio: {ratio:.1f} (at least {arguments.least:g})")
    return 0 if ratio >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
