"""What a user's history is made of: the profile that calibration and aspect re-rankers aim at."""

from __future__ import annotations

import numpy as np


def history_profile(
    history_values: np.ndarray,
    history_row_splits: np.ndarray,
    aspects: np.ndarray,
    half_life: float | None = None,
    timestamps: np.ndarray | None = None,
) -> np.ndarray:
    """The share of each aspect in each user's history, p(a|u) of Steck (2018), the recent counting more.

    `p(a|u) = Σ_i w_i p(a|i) / Σ_i w_i`, p(a|i) the item's aspects divided by their sum, `w_i = 0.5^(age / half_life)`.
    Items without aspects are left out.

    Args:
        history_values: item rows of all histories, one user after the other, each in the order of time.
        history_row_splits: `[users + 1]`, where each history begins and ends.
        aspects: `[items, aspects]`, at least 0.
        half_life: in interactions, or in the units of the timestamps; None: all count alike.
        timestamps: one per value of the history; None: an interaction's age is the number of later ones.

    Returns:
        float32 `[users, aspects]`; rows sum to 1, or are zeros for users without aspects in their history.

    Raises:
        ValueError: half_life is not above 0, an aspect is negative, or shapes that do not fit.

    Example:
        >>> genres = np.array([[1, 0], [0, 1], [1, 1]])
        >>> history_profile([0, 1, 2, 2], [0, 2, 3, 3, 4], genres)
        array([[0.5, 0.5], [0.5, 0.5], [0. , 0. ], [0.5, 0.5]], dtype=float32)
        >>> history_profile([0, 1], [0, 2], genres, half_life=1.0).round(3)
        array([[0.333, 0.667]], dtype=float32)
    """
    values, splits = np.asarray(history_values, np.int64), np.asarray(history_row_splits, np.int64)
    aspects = np.asarray(aspects, np.float64)
    if aspects.ndim != 2 or not (aspects >= 0.0).all():
        raise ValueError(
            f"aspects must be [items, aspects] of at least 0; received {list(aspects.shape)}"
            + ("" if aspects.ndim != 2 else f" with {aspects.min()}")
        )
    if splits.ndim != 1 or len(splits) == 0 or splits[0] != 0 or splits[-1] != len(values):
        raise ValueError(f"history_row_splits must lead from 0 to {len(values)}; received {splits.tolist()}")
    wrong = values[(values < 0) | (values >= len(aspects))]
    if len(wrong):
        raise ValueError(f"history_values must be rows below {len(aspects)}; received {wrong[0]}")
    lengths = np.diff(splits)
    if (lengths < 0).any():
        raise ValueError(f"history_row_splits must not decrease; received {splits.tolist()}")
    weights = _weights(splits, lengths, half_life, timestamps)
    total = aspects.sum(axis=1, keepdims=True)
    shares = np.divide(aspects, total, out=np.zeros_like(aspects), where=total > 0.0)
    profile = np.zeros((len(lengths), aspects.shape[1]))
    users = np.repeat(np.arange(len(lengths)), lengths)
    for aspect in range(aspects.shape[1]):
        profile[:, aspect] = np.bincount(users, weights * shares[values, aspect], minlength=len(lengths))
    total = profile.sum(axis=1, keepdims=True)
    return np.divide(profile, total, out=np.zeros_like(profile), where=total > 0.0).astype(np.float32)


def _weights(
    splits: np.ndarray, lengths: np.ndarray, half_life: float | None, timestamps: np.ndarray | None
) -> np.ndarray:
    if half_life is None:
        return np.ones(splits[-1])
    if not half_life > 0.0:
        raise ValueError(f"half_life must be above 0; received {half_life}")
    when = np.arange(splits[-1]) if timestamps is None else np.asarray(timestamps)
    if when.shape != (splits[-1],):
        raise ValueError(f"timestamps must be {splits[-1]} numbers; received {list(when.shape)}")
    filled = lengths > 0
    if not filled.any():
        return np.zeros(0)
    latest = np.maximum.reduceat(when, splits[:-1][filled])
    return 0.5 ** ((np.repeat(latest, lengths[filled]) - when) / half_life)
