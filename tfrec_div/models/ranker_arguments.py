"""Reads and refuses arguments of a ranker."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec_div.data.schema import Schema
from tfrec_div.models.ranker_features import FEATURES, HISTORIES
from tfrec_div.models.ranking_lists import RankingLists
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


def check_ranker(
    schema: Schema, features, history, tasks, signal_names, max_history: int, rater: RatingModel | None
) -> None:
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
    if max_history < 0:
        raise ValueError(f"max_history: expected at least 0, got {max_history}")
    if rater is not None and rater.schema != schema:
        raise ValueError("rater: expected one of the ranker's schema, got another")


def check_content(vectors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, int]]) -> None:
    """Refuses vectors of other names or shapes than are expected."""
    found = {name: np.shape(part) for name, part in vectors.items()}
    if found != dict(expected):
        wanted, given = ({name: list(shape) for name, shape in part.items()} for part in (expected, found))
        raise ValueError(f"vectors: expected the shapes {wanted}, got {given}")


def check_lists(
    lists: RankingLists, schema: Schema, signal_names: tuple[str, ...], knows_users: bool
) -> None:
    """Refuses lists that are not such as a ranker was made for.

    Args:
        lists: The lists.
        schema: The ranker's.
        signal_names: Alike.
        knows_users: Whether the ranker is to learn from them and reads user ids.
    """
    if not len(lists.user):
        raise ValueError("lists: expected at least one, got none")
    if lists.history.schema != schema:
        raise ValueError("lists: their schema is not the one that the ranker was made with")
    if tuple(lists.signal_names) != signal_names:
        raise ValueError(f"lists: expected the signals {list(signal_names)}, got {list(lists.signal_names)}")
    if knows_users and _told_by_themselves(lists):
        raise ValueError(
            "features: expected none of 'user_id' with lists whose candidates are in their own history: the sum "
            "of a user's ratings, which an id learns, less those of the others is the one that is asked for"
        )


def _told_by_themselves(lists: RankingLists) -> bool:
    """Tells whether a candidate is in the history that comes with it."""
    known = lists.history.interactions
    pairs = known.user.astype(np.int64) * known.num_items + known.item
    asked = lists.user.astype(np.int64)[:, None] * known.num_items + lists.candidates
    return bool(np.isin(asked[np.isfinite(lists.rating)], pairs).any())
