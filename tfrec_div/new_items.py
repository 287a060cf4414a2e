"""New items for a recommender that is trained already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec_div.data.interactions import Interactions
from tfrec_div.data.new_items import add_items
from tfrec_div.histories import Histories
from tfrec_div.item_features import content_of
from tfrec_div.recommender import Recommender
from tfrec_div.storage import data_of


def recommender_with_items(
    recommender: Recommender,
    items: pd.DataFrame,
    image_root: str | Path | None = None,
    diversity_vectors: np.ndarray | None = None,
    features: Mapping[str, Any] | None = None,
) -> Recommender:
    """Returns a recommender that has new items, too; see `Recommender.with_items`."""
    schema, none = recommender.schema, np.zeros(0, np.int32)
    nothing = Interactions.from_rows(none, none, schema.user_ids, schema.item_ids)
    data = add_items(data_of(recommender, nothing), items, image_root)
    given = dict(features or {})
    if diversity_vectors is not None:
        given["vectors"] = diversity_vectors
    own = _own_features(recommender, given, len(data.catalog) - schema.num_items)
    retriever, centred_on = recommender.retriever.with_items(data), recommender.features.centred_on
    if not recommender.vectors_are_own:
        # The old items stay where they are, or their pages and a tuned level would change with those that come.
        new = content_of(retriever, data, centred_on)[schema.num_items :]
        own["vectors"] = np.concatenate([recommender.diversity_vectors, new])
    larger = Recommender(
        retriever,
        data,
        k=recommender.k,
        num_candidates=recommender.num_candidates,
        diversity_vectors=own.pop("vectors"),
        features=own,
        profile_half_life=recommender.profile_half_life,
        ranker=recommender.ranker and recommender.ranker.with_items(data),
        ranker_weight=recommender.ranker_weight,
    )
    larger.vectors_are_own = recommender.vectors_are_own
    # Before the re-ranker, which has further features made.
    larger.features.centred_on = centred_on
    larger.reranker, larger.adaptive = recommender.reranker, recommender.adaptive
    larger.k_is_own = recommender.k_is_own
    state = {name: value.numpy() for name, value in larger.state.items()}
    seen = {name: recommender.state[name].numpy() for name in Histories().state}
    larger.restore({**state, **seen}, recommender.tuned)
    larger.features.refresh(larger.item_counts)
    return larger


def _own_features(recommender: Recommender, given: Mapping[str, Any], new: int) -> dict[str, np.ndarray]:
    """Returns the features that the recommender was given, with the rows of the new items."""
    names = sorted(recommender.features.own | ({"vectors"} if recommender.vectors_are_own else set()))
    others = sorted(set(given) - set(names))
    if others:
        raise ValueError(
            f"{_argument(others[0])}: expected rows of what this recommender was given "
            f"({', '.join(names) or 'nothing'}), whose own features follow the items by themselves"
        )
    own = {}
    for name in names:
        table = recommender.features[name].numpy()
        shape = (new, *table.shape[1:])
        if name not in given:
            raise ValueError(
                f"{_argument(name)}: this recommender was given this feature, so it must be given for the new "
                f"items, too: {table.dtype} {list(shape)}"
            )
        rows = np.asarray(given[name])
        if rows.shape != shape or rows.dtype.kind not in ("iuf" if table.dtype.kind == "f" else "iu"):
            raise ValueError(
                f"{_argument(name)}: expected {table.dtype} {list(shape)} for the new items, as it stands in "
                f"recommender.features; got {rows.dtype} {list(rows.shape)}"
            )
        own[name] = np.concatenate([table, rows.astype(table.dtype)])
    return own


def _argument(name: str) -> str:
    return "diversity_vectors" if name == "vectors" else f"features[{name!r}]"
