"""Serendipity: relevant items that were not to be expected."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.lists import check_places, check_rows
from tfrec_div.metrics.relevance import hits as found_in

DEFINITIONS = ("rectools", "ge", "unexpectedness")


def serendipity(
    rows: np.ndarray,
    hits: np.ndarray,
    item_counts: np.ndarray | None = None,
    definition: str = "rectools",
    expected: np.ndarray | None = None,
    unexpectedness: np.ndarray | None = None,
) -> np.ndarray:
    """Mean over a list of relevance × unexpectedness.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        hits: `[users, k]` relevance, from `hits` or between 0 and 1.
        item_counts: `[items]` number of interactions in training; for `"rectools"`.
        definition: how unexpected an item is.
            `"rectools"`: max(0, P_user − P_all) with P = (items + 1 − rank) / items: the rank is the item's place
            in the list, and among all items its dense popularity rank (equal counts share a rank, the next one is
            one below); P_all is 0 for items that nobody used (rectools' `Serendipity`, after Murakami et al.,
            2008). `"ge"`: 1 for items that are not in `expected` (Ge, Delgado-Battenfeld and Jannach, 2010;
            Kotkov, Veijalainen and Wang, 2016, with popular and similar items for the expected).
            `"unexpectedness"`: what `unexpectedness` says; with `item_unexpectedness` this is recommenders'
            `user_serendipity` (Zhang et al., 2012).
        expected: `[users, n]` or `[n]` item rows that a primitive recommender gives, the most popular ones for
            instance, padded with −1; for `"ge"`.
        unexpectedness: `[users, k]`, from `item_unexpectedness` for instance; for `"unexpectedness"`.

    Returns:
        float64 `[users]`; 0 for an empty list.

    Raises:
        ValueError: an unknown definition, what it needs is not given, or shapes that do not fit.

    Example:
        >>> rows, relevant = np.array([[0, 2]]), np.array([[True, True]])
        >>> serendipity(rows, relevant, item_counts=np.array([9, 5, 1, 0]))
        array([0.125])
        >>> serendipity(rows, relevant, definition="ge", expected=np.array([0, 1]))
        array([0.5])
    """
    if definition not in DEFINITIONS:
        raise ValueError(f"definition must be one of {', '.join(DEFINITIONS)}; received {definition!r}")
    needs = {"rectools": item_counts, "ge": expected, "unexpectedness": unexpectedness}
    names = {"rectools": "item_counts", "ge": "expected", "unexpectedness": "unexpectedness"}
    if needs[definition] is None:
        raise ValueError(f"{names[definition]} must be given for the definition {definition}; received None")
    rows = check_rows(rows, None if item_counts is None else len(item_counts))
    relevance = check_places("hits", hits, rows)
    if definition == "rectools":
        surprise = _above_popularity(rows, np.asarray(item_counts))
    elif definition == "ge":
        surprise = ~_among(rows, np.asarray(expected))
    else:
        given = np.asarray(unexpectedness, np.float64)
        if given.shape != rows.shape:
            raise ValueError(
                f"unexpectedness must have the shape {list(rows.shape)}; received {list(given.shape)}"
            )
        surprise = np.where(rows >= 0, given, 0.0)
    return (surprise * relevance).sum(axis=1) / np.maximum((rows >= 0).sum(axis=1), 1)


def _above_popularity(rows: np.ndarray, item_counts: np.ndarray) -> np.ndarray:
    items = len(item_counts)
    distinct, code = np.unique(item_counts, return_inverse=True)
    popular = np.where(item_counts > 0, (items + 1 - (len(distinct) - code)) / items, 0.0)
    own = (items - np.arange(rows.shape[1])) / items
    return np.maximum(own - popular[rows], 0.0)


def _among(rows: np.ndarray, expected: np.ndarray) -> np.ndarray:
    if expected.ndim == 1:
        return np.isin(rows, expected)
    expected = check_rows(expected)
    there = expected >= 0
    return found_in(rows, expected[there], np.concatenate([[0], np.cumsum(there.sum(axis=1))]))
