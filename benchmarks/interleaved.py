"""Times several things in turn, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Seconds(NamedTuple):
    """How long a call takes.

    Attributes:
        mean: over a turn.
        first: the first call of a turn, with caches full of the others' data and cores asleep.
    """

    mean: float
    first: float


def medians(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Runs each job once a round and returns the median seconds of each; a first run of each is not counted."""
    return {name: seconds.mean for name, seconds in in_turns(jobs, rounds, 0.0).items()}


def in_turns(jobs: Mapping[str, Callable[[], object]], rounds: int, turn: float) -> dict[str, Seconds]:
    """Runs each job for a turn a round and returns the medians of each; a first round is not counted.

    Args:
        jobs: by their names.
        rounds: how many turns each job has.
        turn: seconds of a turn at least, the same for all; a job that takes longer runs once.
    """
    found: dict[str, list[Seconds]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            ends = [time.perf_counter()]
            while len(ends) == 1 or ends[-1] - ends[0] < turn:
                job()
                ends.append(time.perf_counter())
            if number:
                found[name].append(Seconds((ends[-1] - ends[0]) / (len(ends) - 1), ends[1] - ends[0]))
    return {
        name: Seconds(*(statistics.median(part) for part in zip(*seconds, strict=True)))
        for name, seconds in found.items()
    }
