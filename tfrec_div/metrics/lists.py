"""Recommended lists as matrices: what the metrics have in common."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrec_div.metrics.occurrences import occurrences

Matrix = np.ndarray | sparse.sparray | sparse.spmatrix
UNSIGNED = {np.dtype(np.int32): np.uint32, np.dtype(np.int64): np.uint64}


def check_rows(rows: np.ndarray, num_items: int | None = None) -> np.ndarray:
    """Check recommended rows.

    Args:
        rows: `[users, k]` item rows, padded with −1.
        num_items: size of the catalogue, when known.

    Returns:
        The rows as an integer array.

    Raises:
        ValueError: not two axes, not whole numbers, or a row outside the catalogue.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2:
        raise ValueError(f"rows must have the shape [users, k]; received {list(rows.shape)}")
    if not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"rows must be whole numbers; received {rows.dtype}")
    if rows.size and (rows.min() < -1 or (num_items is not None and rows.max() >= num_items)):
        wrong = rows[(rows < -1) | (rows >= (np.inf if num_items is None else num_items))][0]
        size = "the catalogue" if num_items is None else f"the catalogue of {num_items} items"
        raise ValueError(f"rows must be -1 or a row of {size}; received {wrong}")
    return rows


def membership(rows: np.ndarray, num_items: int) -> sparse.csr_array:
    """Which items are in which list.

    Args:
        rows: `[users, k]`, padded with −1.
        num_items: size of the catalogue.

    Returns:
        `[users, num_items]` float64, 1 for an item of the list.
    """
    rows = check_rows(rows, num_items)
    there = rows >= 0
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return sparse.csr_array((np.ones(starts[-1]), rows[there], starts), shape=(len(rows), num_items))


def recommendation_counts(rows: np.ndarray, num_items: int) -> np.ndarray:
    """How often each item is recommended, int64 `[num_items]`."""
    rows = np.asarray(rows)
    # Full lists, the usual case: as an unsigned number, padding is larger than every item.
    if (
        rows.ndim == 2
        and rows.dtype in UNSIGNED
        and rows.view(UNSIGNED[rows.dtype]).max(initial=0) < num_items
    ):
        return occurrences(rows.ravel(), num_items)
    rows = check_rows(rows, num_items)
    return occurrences(rows[rows >= 0].astype(np.int64), num_items)


def list_means(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of a value per item over each list, 0 for an empty list; items whose value is NaN are passed over.

    Args:
        rows: `[users, k]`, padded with −1.
        values: `[num_items]`.

    Returns:
        float64 `[users]`.
    """
    rows = check_rows(rows, len(values))
    values = np.append(np.asarray(values, np.float64), np.nan)  # −1 takes the last
    known = ~np.isnan(values)
    one_each = np.ones(rows.shape[1])
    total = np.where(known, values, 0.0).take(rows) @ one_each
    if known[:-1].all() and (rows >= 0).all():
        return total / max(rows.shape[1], 1)
    return total / np.maximum(known.astype(np.float64).take(rows) @ one_each, 1.0)


def check_ragged(
    name: str, values: np.ndarray, row_splits: np.ndarray, users: int, num_items: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Check items of all users, given one user after the other.

    Args:
        name: what they are, for the message.
        values: item rows; those of user u are `values[row_splits[u]:row_splits[u + 1]]`.
        row_splits: `[users + 1]`, from 0 to the number of values, never decreasing.
        users: number of users.
        num_items: size of the catalogue, when known.

    Returns:
        values and row_splits, both int64.

    Raises:
        ValueError: the row splits do not fit the values or the number of users, or a value is no item row.
    """
    values, row_splits = np.asarray(values, np.int64), np.asarray(row_splits, np.int64)
    if row_splits.ndim != 1 or len(row_splits) == 0:
        raise ValueError(
            f"{name}_row_splits must have the shape [users + 1]; received {list(row_splits.shape)}"
        )
    if len(row_splits) != users + 1 or row_splits[0] != 0 or row_splits[-1] != len(values):
        raise ValueError(
            f"{name}_row_splits must have {users + 1} entries, from 0 to {len(values)}; "
            f"received {len(row_splits)} entries, from {row_splits[0]} to {row_splits[-1]}"
        )
    if (row_splits[1:] < row_splits[:-1]).any():
        user = int((row_splits[1:] < row_splits[:-1]).argmax())
        raise ValueError(
            f"{name}_row_splits must not decrease; received {row_splits[user]} and then {row_splits[user + 1]}"
        )
    if values.size and (values.min() < 0 or (num_items is not None and values.max() >= num_items)):
        wrong = values.min() if values.min() < 0 else values.max()
        size = "the catalogue" if num_items is None else f"the catalogue of {num_items} items"
        raise ValueError(f"{name}_values must be rows of {size}; received {wrong}")
    return values, row_splits


def check_places(name: str, values: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """One number per place of the lists, float64 `[users, k]`: the values, 1 where None; 0 at padding.

    Raises:
        ValueError: the shape is not that of the rows, or a value is negative or not a number.
    """
    there = rows >= 0
    if values is None:
        return there.astype(np.float64)
    places = np.where(there, np.asarray(values, np.float64), 0.0) if np.shape(values) == rows.shape else None
    if places is None or not (places >= 0.0).all():
        raise ValueError(
            f"{name} must be numbers of at least 0 in the shape {list(rows.shape)}; "
            f"received {np.asarray(values).dtype} {list(np.shape(values))}"
        )
    return places
