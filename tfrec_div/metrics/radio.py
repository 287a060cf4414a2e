"""RADio: how far lists are from what a norm of diversity compares them with (Vrijenhoek et al., 2022).

Five rank-aware divergences for news, after DART (Vrijenhoek et al., 2021). Each compares the distribution of a
feature in the list, places weighted by 1/place, with that of a context: the history, other people's lists, or the
pool of items that could have been recommended. Which value is good depends on the norm: 0 is 'like the context'.

`divergence="js"` is the square root of the Jensen–Shannon divergence in bits, in [0, 1], as the paper's tables;
`"kl"` is the Kullback–Leibler divergence of the context from the list, in bits. Both sides are first smoothed by
`alpha` = 0.001 of the other, as in the authors' code. Values differ from that code's in the third decimal: it
divides the weights of places by an approximation of their sum and rounds. Informfully's classes of the same names
have the same distributions, and `rank_aware=False` by default.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.distributions import (
    category_shares,
    history_distribution,
    list_distribution,
    row_divergences,
)
from tfrec_div.metrics.lists import Matrix, check_ragged, check_rows

Pool = np.ndarray | tuple[np.ndarray, np.ndarray]


def radio_calibration(
    rows: np.ndarray,
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    category_matrix: Matrix,
    divergence: str = "js",
    rank_aware: bool = True,
    alpha: float = 0.001,
) -> np.ndarray:
    """Divergence of a list's topics from those of the history; a list that follows the person has 0.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        history_values: item rows of all histories, in the order of time, one user after the other.
        history_row_splits: `[users + 1]`.
        category_matrix: `[items, categories]`, not 0 where an item has a category; an item's weight is shared in
            proportion. NumPy or scipy.sparse.
        divergence: `"js"` or `"kl"`.
        rank_aware: weight places by 1/place; in the history the latest interaction has the place 1.
        alpha: smoothing of both sides.

    Returns:
        float64 `[users]`; NaN where history or list have no category.

    Example:
        >>> topics = np.array([[1, 0], [0, 1]])
        >>> radio_calibration(np.array([[0, 1], [0, -1]]), [1, 0, 0, 1], [0, 2, 4], topics).round(4)
        array([0.    , 0.6744])
    """
    rows = check_rows(rows)
    _, splits = check_ragged("history", history_values, history_row_splits, len(rows))
    lengths = np.diff(splits)
    ages = np.repeat(splits[1:], lengths) - np.arange(splits[-1])
    weights = 1.0 / ages if rank_aware else None
    shares = category_shares(category_matrix)
    context = history_distribution(history_values, splits, shares, weights)
    return _divergence(context, _listed(rows, shares, rank_aware), divergence, alpha)


def radio_fragmentation(
    rows: np.ndarray,
    stories: np.ndarray,
    others: int | np.ndarray = 10,
    divergence: str = "js",
    rank_aware: bool = True,
    alpha: float = 0.001,
    seed: int = 0,
) -> np.ndarray:
    """Mean divergence of a list's news stories from those of other people's lists; 1 (js): nothing is shared.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        stories: `[items]` whole numbers: the story (event) an item is about, −1 unknown. `np.arange(items)` when
            every item is its own.
        others: number of other users to compare each user with, drawn by the seed without any being compared
            with themselves; or `[users, n]` the rows of these users.
        divergence: `"js"` or `"kl"`: of the own list from the other.
        rank_aware: weight places by 1/place.
        alpha: smoothing of both sides.
        seed: of the draw.

    Returns:
        float64 `[users]`; NaN for a list without stories; other lists without are left out of the mean.

    Raises:
        ValueError: shapes that do not fit, or nobody to compare with.

    Example:
        >>> rows = np.array([[0, 1], [0, 1], [2, 3]])
        >>> radio_fragmentation(rows, np.arange(4), others=np.array([[1], [2], [0]])).round(4)
        array([0.    , 0.9943, 0.9943])
    """
    stories = np.asarray(stories)
    rows = check_rows(rows, len(stories))
    known = np.flatnonzero(stories >= 0)
    shape = (len(stories), int(stories.max(initial=-1)) + 1)
    shares = sparse.csr_array((np.ones(len(known)), (known, stories[known])), shape=shape)
    lists = _listed(rows, shares, rank_aware)
    users = len(rows)
    if isinstance(others, (int, np.integer)):
        if others < 1 or users < 2:
            raise ValueError(
                f"others must be at least 1, of at least 2 users; received {others} of {users} users"
            )
        steps = np.random.default_rng(seed).integers(1, users, size=(users, others))
        others = (np.arange(users)[:, np.newaxis] + steps) % users
    others = check_rows(others, users)
    if len(others) != users or (others < 0).any():
        raise ValueError(
            f"others must be [{users}, n] users; received {list(others.shape)}, {others.min()} the least"
        )
    columns = [_divergence(lists, lists[column], divergence, alpha) for column in others.T]
    values = np.stack(columns, axis=1) if columns else np.zeros((users, 0))
    there = ~np.isnan(values)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.nan)


def radio_activation(
    rows: np.ndarray,
    affect: np.ndarray,
    pool: Pool | None = None,
    divergence: str = "js",
    rank_aware: bool = True,
    alpha: float = 0.001,
    bins: int = 5,
) -> np.ndarray:
    """Divergence of a list's emotional charge from that of the pool; 0: as activating as what was there.

    The charge is the absolute value of the sentiment, in bins of equal width between the least and the greatest
    charge of the pool. With reading complexity for `affect` and the histories for the pool this is RADio's
    calibration of complexity (without ranks in the history).

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        affect: `[items]` sentiment, −1 to 1 for instance; NaN unknown: passed over.
        pool: what could have been recommended: None: all items; item rows `[n]` for all users; or `(values,
            row_splits)` of each user's pool.
        divergence: `"js"` or `"kl"`.
        rank_aware: weight the places of the list by 1/place.
        alpha: smoothing of both sides.
        bins: number of bins.

    Returns:
        float64 `[users]`; NaN where list or pool have no known affect.

    Raises:
        ValueError: fewer than 2 bins, or shapes that do not fit.

    Example:
        >>> radio_activation(np.array([[0, 1], [2, 3]]), np.array([0.9, -0.9, 0.1, 0.1])).round(4)
        array([0.5551, 0.5551])
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2; received {bins}")
    charge = np.abs(np.asarray(affect, np.float64))
    rows = check_rows(rows, len(charge))
    values, splits = _pools(pool, len(rows), len(charge))
    values, splits = _known(values, splits, ~np.isnan(charge))
    owners = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
    lowest, highest = np.full(len(splits) - 1, np.inf), np.full(len(splits) - 1, -np.inf)
    np.minimum.at(lowest, owners, charge[values])
    np.maximum.at(highest, owners, charge[values])
    filled = np.diff(splits) > 0
    step = np.where(filled, highest - lowest, 0.0) / bins
    lowest = np.where(filled, lowest, 0.0)
    edges = lowest[:, np.newaxis] + np.arange(1, bins) * step[:, np.newaxis]

    def binned(charges: np.ndarray, edges: np.ndarray) -> np.ndarray:
        return (charges[..., np.newaxis] >= edges).sum(axis=-1)

    there = (rows >= 0) & ~np.isnan(charge[rows])
    codes = np.where(there, binned(charge[rows], edges[:, np.newaxis, :]), -1)
    shares = sparse.eye_array(bins, format="csr")
    context = history_distribution(binned(charge[values], edges[owners]), splits, shares, name="pool")
    return _divergence(context, _listed(codes, shares, rank_aware), divergence, alpha)


def radio_representation(
    rows: np.ndarray,
    mentions: Matrix,
    pool: Pool | None = None,
    divergence: str = "js",
    rank_aware: bool = True,
    alpha: float = 0.001,
) -> np.ndarray:
    """Divergence of who or what a list mentions (parties, opinions) from the pool; 0: voices as in what was there.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        mentions: `[items, voices]` how often an item mentions a voice; each item has the same weight, shared in
            proportion to its mentions; items without mentions are passed over. NumPy or scipy.sparse.
        pool: None: all items; item rows `[n]` for all users; or `(values, row_splits)` of each user's pool.
        divergence: `"js"` or `"kl"`.
        rank_aware: weight the places of the list by 1/place.
        alpha: smoothing of both sides.

    Returns:
        float64 `[users]`; NaN where list or pool mention nobody.

    Example:
        >>> mentions = np.array([[4, 0], [0, 1]])
        >>> radio_representation(np.array([[0, 1], [0, -1]]), mentions, rank_aware=False).round(4)
        array([0.    , 0.5551])
    """
    shares = category_shares(mentions)
    rows = check_rows(rows, shares.shape[0])
    values, splits = _pools(pool, len(rows), shares.shape[0])
    context = history_distribution(values, splits, shares, name="pool")
    return _divergence(context, _listed(rows, shares, rank_aware), divergence, alpha)


def radio_alternative_voices(
    rows: np.ndarray,
    minority: np.ndarray,
    majority: np.ndarray,
    pool: Pool | None = None,
    divergence: str = "js",
    rank_aware: bool = True,
    alpha: float = 0.001,
    definition: str = "informfully",
) -> np.ndarray:
    """Divergence of the share of minority voices in a list from that in the pool; 0: as present as in what was there.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1.
        minority: `[items]` how often an item mentions people of a minority.
        majority: `[items]` how often it mentions others.
        pool: None: all items; item rows `[n]` for all users; or `(values, row_splits)` of each user's pool.
        divergence: `"js"` or `"kl"`.
        rank_aware: weight the places of the list by 1/place.
        alpha: smoothing of both sides.
        definition: `"informfully"`: items that mention either count. `"radio"`: only items that mention both
            count, as in the code of RADio's authors.

    Returns:
        float64 `[users]`; NaN where list or pool have no item that counts.

    Raises:
        ValueError: an unknown definition, or shapes that do not fit.
    """
    if definition not in ("informfully", "radio"):
        raise ValueError(f"definition must be informfully or radio; received {definition!r}")
    mentions = np.stack([np.asarray(minority, np.float64), np.asarray(majority, np.float64)], axis=1)
    if definition == "radio":
        mentions = mentions * (mentions > 0.0).all(axis=1, keepdims=True)
    return radio_representation(rows, mentions, pool, divergence, rank_aware, alpha)


def _listed(rows: np.ndarray, shares: sparse.csr_array, rank_aware: bool) -> sparse.csr_array:
    return list_distribution(
        rows, shares, rank_discount(rows.shape[1], "reciprocal" if rank_aware else "none")
    )


def _divergence(context: sparse.csr_array, listed: sparse.csr_array, kind: str, alpha: float) -> np.ndarray:
    if context.shape[0] == 1 != listed.shape[0]:
        context = context[np.zeros(listed.shape[0], np.int64)]
    values = row_divergences(context, listed, kind, (alpha, alpha), 2.0)
    return np.sqrt(values) if kind == "js" else values


def _pools(pool: Pool | None, users: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Pools as values and row splits; a pool for all users is a single row."""
    if isinstance(pool, tuple):
        return check_ragged("pool", *pool, users, items)
    values = np.arange(items) if pool is None else check_rows(np.atleast_2d(pool), items)[0]
    return check_ragged("pool", values, np.array([0, len(values)]), 1)


def _known(values: np.ndarray, splits: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = known[values]
    return values[kept], np.concatenate([[0], np.cumsum(kept)])[splits]
