"""Rank discounts: how likely a person is to look at a place of a list."""

from __future__ import annotations

import numpy as np

DISCOUNTS = ("none", "log2", "reciprocal", "exponential")


def rank_discount(k: int, discount: str | np.ndarray = "log2", base: float = 0.85) -> np.ndarray:
    """Weights of the places 1 to k.

    Args:
        k: number of places.
        discount: `"none"`: 1; `"log2"`: 1 / log2(place + 1), as in nDCG, elliot and RankSys'
            `LogarithmicDiscountModel`; `"reciprocal"`: 1 / place, as in ERR and RADio; `"exponential"`:
            base^(place − 1), as in the experiments of Vargas and Castells (2011) with the base 0.85; or at
            least k weights of your own.
        base: of the exponential discount.

    Returns:
        float64 `[k]`.

    Raises:
        ValueError: an unknown discount, or too few weights.

    Example:
        >>> rank_discount(3, "exponential", base=0.5)
        array([1.  , 0.5 , 0.25])
    """
    if not isinstance(discount, str):
        weights = np.asarray(discount, np.float64)
        if weights.ndim != 1 or len(weights) < k or not (weights >= 0.0).all():
            raise ValueError(f"discount must have at least {k} weights of at least 0; received {discount!r}")
        return weights[:k]
    if discount not in DISCOUNTS:
        raise ValueError(f"discount must be weights or one of {', '.join(DISCOUNTS)}; received {discount!r}")
    places = np.arange(1, k + 1, dtype=np.float64)
    if discount == "log2":
        return 1.0 / np.log2(places + 1.0)
    if discount == "reciprocal":
        return 1.0 / places
    return base ** (places - 1.0) if discount == "exponential" else np.ones(k)
