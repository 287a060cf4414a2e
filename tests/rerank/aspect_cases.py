"""Random lists with aspects, for the transcriptions of the papers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.rerank import Reranker

LEVELS = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


def random_case(seed: int, context: bool = False) -> dict[str, np.ndarray]:
    """A list of up to 25 candidates; half of the cases have aspects of 0 and 1, where many gains are equal."""
    rng = np.random.default_rng(seed)
    candidates, aspects = int(rng.integers(1, 26)), int(rng.integers(1, 7))
    has = rng.random((candidates, aspects)) < 0.5
    case = {
        "scores": rng.random(candidates),
        "aspects": has * (1.0 if seed % 2 else rng.random(has.shape)),
        "user_profile": rng.random(aspects) * (rng.random(aspects) < 0.8),
        "diversity": np.float64(LEVELS[int(rng.integers(len(LEVELS)))]),
    }
    if context:
        case["context_aspects"] = (rng.random((3, aspects)) < 0.5).astype(float)
    # What both sides see is float32.
    return {key: np.float32(value).astype(np.float64) for key, value in case.items()}


class Page:
    """The page that a layer makes of one list, by one graph for all sizes."""

    def __init__(self, layer: Reranker) -> None:
        self._graphs: dict[tuple[str, ...], tf.types.experimental.PolymorphicFunction] = {}
        self._layer = layer

    def __call__(self, lists: dict[str, np.ndarray]) -> list[int]:
        """The picks without the padding; inputs without the axis of the lists."""
        tensors = {
            key: tf.constant(value[np.newaxis], tf.int32 if value.dtype.kind == "i" else tf.float32)
            for key, value in lists.items()
        }
        keys = tuple(sorted(tensors))
        if keys not in self._graphs:
            specs = {
                key: tf.TensorSpec([None] * len(value.shape), value.dtype) for key, value in tensors.items()
            }
            self._graphs[keys] = tf.function(self._layer, input_signature=[specs])
        picks = self._graphs[keys](tensors).numpy()[0]
        valid = int((picks >= 0).sum())
        assert valid == min(len(picks), len(lists["scores"]))
        assert (picks[valid:] == -1).all()
        return picks[:valid].tolist()


def is_greedy(picks: list[int], gains: Iterator, tolerance: float = 2e-6) -> bool:
    """Whether every pick has the largest gain, or one that float32 cannot tell from it.

    Args:
        picks: positions.
        gains: a generator that yields the gains of all candidates in float64, −inf for those picked, and is
            sent each pick.
        tolerance: a difference between gains that counts as none.
    """
    now = next(gains)
    for pick in picks:
        if not now[pick] >= now.max() - tolerance:
            return False
        now = gains.send(pick)
    return True
