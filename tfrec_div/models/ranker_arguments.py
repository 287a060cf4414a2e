"""Reads and refuses arguments of a ranker."""

from __future__ import annotations

import numpy as np

from tfrec_div.models.ranker_features import FEATURES, HISTORIES
from tfrec_div.models.rating_model import RatingModel
from tfrec_div.models.retriever import Retriever

TOWERS = ("text", "image")


def content_vectors_of(retriever: Retriever) -> dict[str, np.ndarray]:
    """Returns the vectors of the towers that have encoded the items' content, float [items, length], by name."""
    if (model := retriever.content_model) is None:
        raise ValueError(
            f"content: {type(retriever).__name__} has no model that has encoded texts or pictures"
        )
    there = {name.partition("/")[0] for name in model.item_table.values}
    return {tower: model.content(tower) for tower in TOWERS if tower in there}


def copy_rater(rater: RatingModel) -> RatingModel:
    """Returns a model of the same weights, in variables of its own."""
    copy = RatingModel.from_config(rater.get_config())
    copy.set_weights(rater.get_weights())
    return copy


def check_ranker(features, history, tasks, signal_names) -> None:
    """Refuses arguments of a ranker that do not fit."""
    unknown = sorted(set(features) - set(FEATURES))
    if isinstance(features, str) or unknown:
        raise ValueError(f"features: expected some of {list(FEATURES)}, got {unknown or features!r}")
    if history not in (None, *HISTORIES):
        raise ValueError(f"history: expected None or one of {list(HISTORIES)}, got {history!r}")
    if isinstance(tasks, str) or "relevance" not in tasks:
        raise ValueError(f"tasks: expected a list with 'relevance', got {tasks!r}")
    if isinstance(signal_names, str) or not signal_names:
        raise ValueError(f"signal_names: expected at least one name, got {signal_names!r}")
