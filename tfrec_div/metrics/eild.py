"""Expected intra-list diversity: distances of pairs, weighted by rank and relevance."""

from __future__ import annotations

import numpy as np

from tfrec_div.metrics.discounts import rank_discount
from tfrec_div.metrics.lists import check_places, check_rows
from tfrec_div.metrics.pairs import list_similarities

DEFINITIONS = ("vargas", "informfully", "product")


def expected_intra_list_distance(
    rows: np.ndarray,
    vectors: np.ndarray,
    relevance: np.ndarray | None = None,
    distance: str = "cosine",
    discount: str | np.ndarray = "log2",
    definition: str = "vargas",
    base: float = 0.85,
) -> np.ndarray:
    """Distance that a person meets who reads from the top and takes relevant items (Vargas and Castells, 2011).

    With no discount and no relevance all definitions are the intra-list distance.

    Args:
        rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
        vectors: `[items, dim]`. A row of zeros is a missing vector, at distance 1 to everything (cosine,
            Jaccard).
        relevance: `[users, k]` probability that the item is relevant, `hits` for instance; None: all are.
        distance: 1 − `"cosine"`, `"jaccard"` or `"hamming"` (here the share of attributes that differ).
        discount: of the places, see `rank_discount`.
        definition: with disc the discount, p the relevance, d the distance:
            `"vargas"`: Σ_i disc(i) p_i [Σ_{j≠i} disc(max(1, j−i)) p_j d_ij / Σ_{j≠i} disc(max(1, j−i)) p_j] /
            Σ_i disc(i), as published and in RankSys' `EILD`. `"informfully"`: the same with
            disc(1 + max(0, j−i)), one place further down for the items below. `"product"`:
            Σ_{i≠j} w_i w_j d_ij / Σ_{i≠j} w_i w_j with w = disc·p, symmetric: 0 relevance takes an item out
            instead of counting it as a miss.
        base: of the exponential discount (the paper's experiments: 0.85, Informfully: 0.9).

    Returns:
        float64 `[users]`; 0 where there is no pair.

    Raises:
        ValueError: an unknown definition, distance or discount, or relevance of another shape.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        >>> expected_intra_list_distance(np.array([[0, 1, 2], [0, 2, 1]]), vectors).round(4)
        array([0.7011, 0.5642])
    """
    if definition not in DEFINITIONS:
        raise ValueError(f"definition must be one of {', '.join(DEFINITIONS)}; received {definition!r}")
    rows = check_rows(rows, len(vectors))
    k = rows.shape[1]
    gain = check_places("relevance", relevance, rows)
    weight = rank_discount(k, discount, base)
    if definition == "product":
        ahead, gain = np.ones((k, k)), gain * weight
    else:
        steps = np.arange(k)[np.newaxis, :] - np.arange(k)[:, np.newaxis]
        ahead = weight[np.maximum(steps - (definition == "vargas"), 0)]
    np.fill_diagonal(ahead, 0.0)
    there = rows >= 0
    pairs = gain @ ahead.T  # Σ_j disc(j|i) p_j, [users, k]
    distances = np.zeros(rows.shape)
    for users, matrix in list_similarities(rows, vectors, distance):
        distances[users] = pairs[users] - np.einsum("uij,ij,uj->ui", matrix, ahead, gain[users])
    if definition == "product":
        return _ratio((gain * distances).sum(axis=1), (gain * pairs).sum(axis=1))
    return _ratio((weight * gain * _ratio(distances, pairs)).sum(axis=1), there @ weight)


def _ratio(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # Rounding must not make the distance of equal items negative.
    return np.where(weight > 0.0, np.maximum(total, 0.0) / np.where(weight > 0.0, weight, 1.0), 0.0)
