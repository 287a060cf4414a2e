"""What `tradeoff.py` tries: methods, arguments and levels of both sides, and the pages they make."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyversity

from tfrec_div.rerank import METHODS

K = 10


# Each method's dial, from where to where it does something, in the logarithm of diversity to relevance, and how
# many levels. A scale of 8 takes the DPP from the order of the scores to none; COVER sums over the candidates.
DIALS = {
    "mmr": (-5.0, 3.5, 18),
    "msd": (-5.0, 3.5, 18),
    "dpp": (-3.5, 3.5, 14),
    "ssd": (-4.0, 4.0, 16),
    "cover": (-8.0, 0.0, 6),
}
OTHER_DIAL = (-4.0, 4.0, 8)
# These add the scores to similarities. pyversity takes the scores as they are, ours lie in [0, 1].
ON_THE_SCALE_OF_SCORES = ("mmr", "msd", "cover")


def levels(method: str, spread: float = 1.0) -> list[float]:
    """Levels to try for scores whose lists span this much."""
    first, last, count = DIALS.get(method, OTHER_DIAL)
    shift = float(np.log(spread)) if method in ON_THE_SCALE_OF_SCORES else 0.0
    return [
        round(float(level), 6) for level in 1.0 / (1.0 + np.exp(-np.linspace(first, last, count) - shift))
    ]


# Arguments to try. The gamma of SSD only shifts its dial.
THEIRS: dict[str, list[dict[str, list]]] = {
    "mmr": [{}],
    "msd": [{}],
    "dpp": [{"scale": [8.0]}],
    "ssd": [{"append_bias": [True, False]}],
    "cover": [{}],
}
BOTH = {"order": ["picks", "score"]}
SHOWN_BY_SCORE = {"order": ["score"]}
ZSCORE = {"score_normalization": ["zscore"], **SHOWN_BY_SCORE}
OURS: dict[str, list[dict[str, list]]] = {
    "mmr": [BOTH, ZSCORE],
    "msd": [BOTH, ZSCORE, {"exchanges": [K], **SHOWN_BY_SCORE}, {"exchanges": [K], **ZSCORE}],
    "dpp": [{"scale": [8.0], **BOTH}],
    "ssd": [BOTH],
    "cover": [BOTH],
}
OURS = {method: OURS.get(method, [SHOWN_BY_SCORE]) for method in METHODS}


class Setting(NamedTuple):
    """A method, its arguments and a level."""

    method: str
    options: tuple[tuple[str, Any], ...]
    level: float

    def __str__(self) -> str:
        return " ".join(
            [self.method, f"{self.level:.3f}", *(f"{key}={value}" for key, value in self.options)]
        )


class Lists(NamedTuple):
    """What is to be re-ranked for the users of a split, and what they liked.

    Attributes:
        rows: catalogue rows of the candidates `[users, candidates]`, best score first.
        scores: float32 `[users, candidates]`.
        features: of the candidates: `aspects`, `groups`.
        profiles: of the users, `[users, values]`: their shares of the `aspects`, and of the `groups`.
        liked: bool `[users, candidates]`.
        ideal: the DCG of a perfect page `[users]`.
    """

    rows: np.ndarray
    scores: np.ndarray
    features: dict[str, np.ndarray]
    profiles: dict[str, np.ndarray]
    liked: np.ndarray
    ideal: np.ndarray


def combinations(options: dict[str, list]) -> Iterator[tuple[tuple[str, Any], ...]]:
    for values in itertools.product(*options.values()):
        yield tuple(zip(options, values, strict=True))


def all_settings(methods: dict[str, list[dict[str, list]]], spread: float = 1.0) -> list[Setting]:
    """All levels of all arguments, for scores whose lists span this much, and the order of the scores."""
    return [
        Setting("mmr", (), 0.0),
        *(
            Setting(method, options, level)
            for method, grids in methods.items()
            for grid in grids
            for options in combinations(grid)
            for level in levels(method, spread)
        ),
    ]


@functools.cache  # one compilation a space
def layer_of(method: str, options: tuple[tuple[str, Any], ...]) -> Any:
    return METHODS[method](k=K, **dict(options))


def our_pages(lists: Lists, vectors: np.ndarray, setting: Setting) -> np.ndarray:
    layer = layer_of(setting.method, setting.options)
    known = {"vectors": vectors, **lists.features}
    inputs = {name: known[name] for name in layer.features}
    inputs |= dict.fromkeys(layer.profiles, lists.profiles.get(layer.features[0]))
    return layer({"scores": lists.scores, "diversity": np.float32(setting.level), **inputs}).numpy()


def their_pages(lists: Lists, vectors: np.ndarray, setting: Setting) -> np.ndarray:
    pick = getattr(pyversity, setting.method)
    options = dict(setting.options)
    return np.stack(
        [
            pick(embeddings, scores, K, setting.level, **options).indices
            for embeddings, scores in zip(vectors, lists.scores, strict=True)
        ]
    )
