"""Re-ranking against `pyversity`: the same picks, from the same scores and vectors, in one process.

Both sides take turns of the same length, as often as there are rounds; a ratio is that of the medians. A turn is
filled with as many calls as fit, since one batch of ours may be done while the caches are still full of the other's
data and the second core wakes up; what that first call of a turn takes is printed beside. `pyversity` takes one list
after the other, from NumPy arrays; of COVER, which takes seconds a batch, only some lists are timed and counted for
all. Ours takes the batch, as tensors (`layer`), as NumPy arrays (`diversify`) or in a graph without XLA (`plain
graph`), and must give the same picks up to near ties. The whole is run again with one BLAS thread, which `pyversity`
may gain or lose by. One list is re-ranked by one thread on either side, in the graphs that a server runs: compiled
for the shape, and plain.

    python benchmarks/rerank.py [--rounds 7] [--methods mmr,msd,dpp,ssd,cover] [--level 0.5] [--part "default threads"]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyversity
from interleaved import Seconds, in_turns

from tfrec_div._keras import tf
from tfrec_div.rerank import METHODS, diversify

BATCHES = [(256, 100, 64, 10), (256, 200, 128, 20), (64, 1000, 128, 50)]
ONE = (1, 1000, 128, 20)
LEAST = {
    "mmr": (13.0, 6.4, 4.0),
    "msd": (7.5, 6.8, 4.2),
    "dpp": (7.0, 5.0, 3.5),
    "ssd": (9.5, 7.0, 3.9),
    "cover": (70.0, 19.0, 7.8),
}
LEAST_COMPILED = {"mmr": 1.0, "msd": 1.0, "dpp": 0.9, "ssd": 1.0, "cover": 1.0}
LEAST_PLAIN = {"mmr": 0.8}
# Each in a process of its own, since threads are settled when libraries are loaded.
PARTS: dict[str, dict[str, str]] = {
    "default threads": {},
    "one BLAS thread": {"OPENBLAS_NUM_THREADS": "1"},
    "one list, one thread": {
        "OPENBLAS_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    },
}
# Seconds of a turn at least: what pyversity takes for the smallest batch.
TURN = 0.03
# COVER of pyversity takes seconds for a batch: these many lists stand for all.
COVER_LISTS = (32, 16, 2)


def make_lists(shape: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    lists, candidates, dim, _ = shape
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(lists, candidates)).astype(np.float32)
    return scores, rng.normal(size=(lists, candidates, dim)).astype(np.float32)


def theirs(method: str, scores: np.ndarray, vectors: np.ndarray, k: int, level: float) -> np.ndarray:
    pick = getattr(pyversity, method)
    return np.stack([pick(v, s, k, diversity=level).indices for s, v in zip(scores, vectors, strict=True)])


def same_picks(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of lists with the same picks; near ties round differently."""
    return float((ours[: len(theirs)] == theirs).all(axis=1).mean())


def ratios_of(seconds: dict[str, Seconds], peer: float) -> tuple[dict[str, float], dict[str, float]]:
    """How many times as fast as the peer ours are: over a turn, and in the first call of a turn."""
    ours = {name: value for name, value in seconds.items() if name != "pyversity"}
    return (
        {name: peer / value.mean for name, value in ours.items()},
        {name: peer / value.first for name, value in ours.items()},
    )


def batch(method: str, number: int, level: float, rounds: int) -> bool:
    shape = BATCHES[number]
    scores, vectors = make_lists(shape)
    k = shape[3]
    sample = COVER_LISTS[number] if method == "cover" else shape[0]
    layer = METHODS[method](k=k, diversity=level, score_normalization="none")
    tensors = {"scores": tf.constant(scores), "vectors": tf.constant(vectors)}
    jobs: dict[str, Callable[[], np.ndarray]] = {
        "pyversity": lambda: theirs(method, scores[:sample], vectors[:sample], k, level),
        "layer": lambda: layer(tensors).numpy(),
        "diversify": lambda: diversify(scores, vectors, k, level, method, "none"),
        "plain graph": lambda: layer.traced(tensors).numpy(),
    }
    same = same_picks(jobs["layer"](), jobs["pyversity"]())
    seconds = in_turns(jobs, rounds, TURN)
    # As if all lists had been timed.
    peer = seconds["pyversity"].mean * shape[0] / sample
    ratios, first = ratios_of(seconds, peer)
    least = LEAST[method][number]
    print(
        f"{method:6}{shape!s:20} pyversity {shape[0] / peer:7.0f} lists/s   "
        + "   ".join(f"{name} {ratio:5.1f}" for name, ratio in ratios.items())
        + f"   (at least {least:g}; first call {first['layer']:.1f})   same lists {same:.3f}",
        flush=True,
    )
    return ratios["layer"] >= least and same > 0.98


def one_query(method: str, level: float, rounds: int) -> bool:
    scores, vectors = make_lists(ONE)
    k = ONE[3]
    layer = METHODS[method](k=k, diversity=level, score_normalization="none")
    tensors = {"scores": tf.constant(scores), "vectors": tf.constant(vectors)}
    # The graphs alone, as a server runs them: with any shape, and compiled for one.
    specs = {name: tf.TensorSpec([None] * len(value.shape)) for name, value in tensors.items()}
    plain = tf.function(layer.in_graph, input_signature=[specs], autograph=False).get_concrete_function()
    compiled = tf.function(layer, jit_compile=True).get_concrete_function(tensors)
    jobs: dict[str, Callable[[], np.ndarray]] = {
        "pyversity": lambda: theirs(method, scores, vectors, k, level),
        "XLA": lambda: compiled(tensors).numpy(),
        "plain graph": lambda: plain(tensors).numpy(),
    }
    same = same_picks(jobs["plain graph"](), jobs["pyversity"]())
    seconds = in_turns(jobs, rounds, TURN)
    peer = seconds["pyversity"].mean
    ratios, first = ratios_of(seconds, peer)
    least = LEAST_COMPILED[method], LEAST_PLAIN.get(method, 0.0)
    print(
        f"{method:6}{ONE!s:20} pyversity {1 / peer:7.0f} lists/s   XLA {ratios['XLA']:5.2f} "
        f"(at least {least[0]:g}; first call {first['XLA']:.2f})   plain graph {ratios['plain graph']:5.2f} "
        f"(at least {least[1]:g}; first call {first['plain graph']:.2f})   "
        f"same lists {same:.0f}",
        flush=True,
    )
    return ratios["XLA"] >= least[0] and ratios["plain graph"] >= least[1] and same == 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--methods", default="mmr,msd,dpp,ssd,cover")
    parser.add_argument("--level", type=float, default=0.5)
    parser.add_argument("--part", choices=PARTS, help="only this part, in this process; default: all")
    arguments = parser.parse_args()
    if arguments.part is None:
        command = [sys.executable, *sys.argv, "--part"]
        return max(
            subprocess.call([*command, part], env={**os.environ, **settings})
            for part, settings in PARTS.items()
        )
    methods = arguments.methods.split(",")
    print(
        f"{arguments.part}, level {arguments.level:g}: times as fast as pyversity {pyversity.__version__}",
        flush=True,
    )
    if arguments.part == "one list, one thread":
        good = [one_query(method, arguments.level, arguments.rounds) for method in methods]
    else:
        sizes = range(len(BATCHES))
        good = [batch(method, n, arguments.level, arguments.rounds) for method in methods for n in sizes]
    # What a single BLAS thread makes of the batches is for comparison only.
    return 0 if all(good) or arguments.part == "one BLAS thread" else 1


if __name__ == "__main__":
    sys.exit(main())
