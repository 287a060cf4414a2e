"""Similarities of all pairs of items of a list, many users at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SIMILARITIES = ("cosine", "jaccard", "hamming")
_CHUNK = 2_000_000  # numbers gathered at a time: 16 MB, which a processor's cache still helps with


def prepare(vectors: np.ndarray, similarity: str) -> np.ndarray:
    """Vectors as `similarities` takes them, float64 `[items, dim]`: of length 1 for cosines, else 0 and 1.

    Raises:
        ValueError: an unknown similarity, or not one vector per item.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity must be one of {', '.join(SIMILARITIES)}; received {similarity!r}")
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have the shape [items, dim]; received {list(vectors.shape)}")
    if similarity != "cosine":
        return (vectors != 0).astype(np.float64)
    vectors = vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0.0, norms, 1.0)


def similarities(left: np.ndarray, right: np.ndarray, similarity: str) -> np.ndarray:
    """Similarities of prepared vectors, `[..., n, dim]` and `[..., m, dim]` → `[..., n, m]`.

    Missing vectors (zeros) have the cosine and the Jaccard similarity 0 to everything; the Hamming similarity is
    the share of attributes that both have or both have not.
    """
    common = left @ np.swapaxes(right, -1, -2)
    if similarity == "cosine":
        return common
    left_size = left.sum(axis=-1)[..., :, np.newaxis]
    right_size = right.sum(axis=-1)[..., np.newaxis, :]
    if similarity == "jaccard":
        return common / np.maximum(left_size + right_size - common, 1.0)
    return 1.0 - (left_size + right_size - 2.0 * common) / max(left.shape[-1], 1)


def chunks(users: int, per_user: int) -> Iterator[slice]:
    """Slices over the users for which about `per_user` numbers each are held at a time."""
    size = max(1, _CHUNK // max(per_user, 1))
    for start in range(0, users, size):
        yield slice(start, min(start + size, users))


def list_similarities(
    rows: np.ndarray, vectors: np.ndarray, similarity: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Similarities within each list, some users at a time.

    Args:
        rows: checked `[users, k]`, padded with −1.
        vectors: `[items, dim]`.
        similarity: `"cosine"`, `"jaccard"` or `"hamming"`.

    Yields:
        A slice of users and float64 `[chunk, k, k]`; what stands at padded places means nothing.
    """
    prepared = prepare(vectors, similarity)
    k, width = rows.shape[1], prepared.shape[1]
    for users in chunks(len(rows), k * (k + width)):
        taken = prepared[rows[users]]
        yield users, similarities(taken, taken, similarity)
