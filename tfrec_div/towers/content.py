"""The vectors that diversity is measured on: what items are, not where training put them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# The widest frozen tower gives 2,048; a category with thousands of values must not cost more.
WIDEST = 2048


def content_vectors(
    parts: Mapping[str, np.ndarray],
    weights: Mapping[str, float] | None = None,
    centred_on: int | None = None,
) -> np.ndarray:
    """Joins several views of the items into one vector each, whose cosine is the mean of the views' cosines.

    A view (text, picture, categories) is scaled to length 1 per item; float views are centred before, because the
    vectors of large models all point one way. An item without a view has the others; one without any is zero,
    which is similar to nothing.

    Args:
        parts: Arrays [items, dim] by name. Boolean or integer arrays (categories) are not centred.
        weights: Weight of each view, above 0; equal by default.
        centred_on: How many items, from the first, have the mean that a float view is centred on; None: all.

    Returns:
        Float32 [items, sum of dims], rows of length 1 or 0.

    Raises:
        ValueError: If there is no view.

    Example:
        >>> vectors = content_vectors({"genre": np.array([[1, 0], [1, 1], [0, 0]])})
        >>> print((vectors @ vectors.T).round(2))
        [[1.   0.71 0.  ]
         [0.71 1.   0.  ]
         [0.   0.   0.  ]]
    """
    if not parts:
        raise ValueError("parts is empty: expected at least one array [items, dim]")
    scaled = []
    for name, part in parts.items():
        vectors = _at_most(WIDEST, np.asarray(part, np.float32))
        if np.asarray(part).dtype.kind == "f":
            present = np.any(vectors != 0, axis=1, keepdims=True)
            vectors = np.where(present, vectors - mean_of_present(vectors[:centred_on]), 0)
        scaled.append(unit_rows(vectors) * np.sqrt((weights or {}).get(name, 1.0)))
    return unit_rows(np.concatenate(scaled, axis=1)).astype(np.float32)


def mean_of_present(vectors: np.ndarray) -> np.ndarray:
    """Returns the mean [dim] of the rows [items, dim] that are not zero; zeros where all are."""
    present = np.any(vectors != 0, axis=1)
    return vectors[present].mean(0) if present.any() else np.zeros_like(vectors, shape=vectors.shape[1])


def _at_most(width: int, vectors: np.ndarray) -> np.ndarray:
    """Projects a wide view at random, the same in every process: cosines stay what they were, nearly."""
    dim = vectors.shape[1]
    if dim <= width:
        return vectors
    projection = np.random.default_rng(dim).normal(size=(dim, width)) / np.sqrt(width)
    return vectors @ projection.astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scales each row to length 1; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length == 0, 1, length)
