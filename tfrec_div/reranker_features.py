"""What a re-ranker reads of the items."""

from __future__ import annotations

import numpy as np

from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.fair import FAIR
from tfrec_div.rerank.long_tail_xquad import LongTailXQuAD

# Re-rankers that know two groups of items: more would be taken for one of them, or for none.
TWO_GROUPS = (FAIR, LongTailXQuAD)


def features_needed(reranker: Reranker) -> tuple[str, ...]:
    """Returns the item features that a recommender must have for a re-ranker.

    Args:
        reranker: A re-ranking layer.
    """
    profile = (profile_over(reranker),) if "user_profile" in reranker.profiles else ()
    return tuple(dict.fromkeys((*reranker.required, *profile)))


def profile_over(reranker: Reranker) -> str:
    """Returns the feature whose shares in a history are the user's profile.

    Args:
        reranker: A re-ranking layer that reads such a profile.
    """
    return getattr(reranker, "profile_over", "aspects" if "aspects" in reranker.features else "groups")


def check_groups(groups: np.ndarray, reranker: Reranker) -> None:
    """Refuses groups of items that a re-ranker would mistake.

    Args:
        groups: The feature `groups` of the items.
        reranker: A re-ranking layer.

    Raises:
        ValueError: If it knows two groups, and these are others.
    """
    if not isinstance(reranker, TWO_GROUPS):
        return
    wrong = groups[~np.isin(groups, (-1, 0, 1))] if groups.ndim == 1 else groups
    if groups.ndim != 1 or wrong.size:
        found = f"the code {wrong[0]}" if groups.ndim == 1 else f"numbers {list(groups.shape)}"
        by = type(reranker).__name__
        raise ValueError(
            f"features['groups']: {by} expects codes [items] of 1, 0, or -1 for none; got {found}"
        )
