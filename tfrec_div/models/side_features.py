"""What is known of users or items besides their ratings, as a matrix for a linear model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tfrec_div.data.entities import Entities
from tfrec_div.data.features import Category, Number, Timestamp

# Columns made of one category, and of who rated what: the most frequent ones.
MAX_VALUES = 200
MAX_RATED = 500
# Standard deviations.
FARTHEST = 3.0


@dataclass(frozen=True, eq=False)
class SideFeatures:
    """Features of users or of items: a sparse and a dense part, each feature of length about 1.

    Args:
        sparse_part: Float [rows, m].
        dense_part: Float [rows, d]; d may be 0.
    """

    sparse_part: sparse.csr_matrix
    dense_part: np.ndarray

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.sparse_part.shape[0]

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.sparse_part.shape[1] + self.dense_part.shape[1]

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Returns the product with float [width, k], float [rows, k]."""
        split = self.sparse_part.shape[1]
        return self.sparse_part @ weights[:split] + self.dense_part @ weights[split:]

    def transposed_times(self, values: np.ndarray) -> np.ndarray:
        """Returns the product of the transposed matrix with float [rows, k], float [width, k]."""
        return np.concatenate([self.sparse_part.T @ values, self.dense_part.T @ values])

    def gram(self) -> np.ndarray:
        """Returns the product of the transposed matrix with the matrix itself, float [width, width]."""
        cross = self.sparse_part.T @ self.dense_part
        first = (self.sparse_part.T @ self.sparse_part).toarray()
        return np.block([[first, cross], [cross.T, self.dense_part.T @ self.dense_part]])

    def take(self, rows: np.ndarray) -> SideFeatures:
        """Returns some of the rows."""
        return SideFeatures(self.sparse_part[rows], self.dense_part[rows])


def side_features(
    entities: Entities, own: np.ndarray, other: np.ndarray, num_others: int, vectors: np.ndarray | None = None
) -> SideFeatures:
    """Makes the features of users or items: their columns, who rated them (or what they rated), and vectors.

    Whom one has rated says something whatever the rating (Koren, 2008): the columns of the `MAX_RATED` most
    frequent ones hold n^-1/2 for each of n. One more row, the last, is the average of all columns without any
    rating: what can be said of somebody unknown.

    Args:
        entities: The users or the items.
        own: Int [ratings], rows of `entities`.
        other: Int [ratings], rows of the other side.
        num_others: Rows of the other side.
        vectors: Float [rows, dim] of what a frozen tower made of each, zero where missing; centred here.
    """
    content = _columns(entities)
    rows = len(entities)
    frequent = np.argsort(-np.bincount(other, minlength=num_others), kind="stable")[:MAX_RATED]
    rated = sparse.csr_matrix((np.ones(len(own)), (own, other)), shape=(rows, num_others))
    # Who rated the same thing twice knows it once.
    rated.data[:] = 1.0
    count = np.maximum(np.asarray(rated.sum(axis=1)).ravel(), 1.0)
    rated = (sparse.diags(count**-0.5) @ rated).tocsc()[:, frequent]
    empty = sparse.csr_matrix((1, len(frequent)))
    content = sparse.vstack([content, content.mean(axis=0)])
    dense = np.zeros((rows + 1, 0)) if vectors is None else _centred(np.asarray(vectors, np.float64))
    return SideFeatures(sparse.hstack([content, sparse.vstack([rated, empty])]).tocsr(), dense)


def _columns(entities: Entities) -> sparse.csr_matrix:
    blocks = [sparse.csr_matrix((len(entities), 0))]
    encoded = entities.encoded()
    for feature in entities.schema.features(entities.side):
        if isinstance(feature, Category):
            codes = encoded[feature.name]
            # Vocabularies begin with the most frequent value.
            there = (codes > 0) & (codes <= MAX_VALUES)
            row, place = np.nonzero(there)
            share = np.maximum((codes > 0).sum(axis=1), 1.0)[row] ** -0.5
            shape = (
                len(entities),
                min(MAX_VALUES, len(entities.schema.vocabularies[f"{entities.side}/{feature.name}"])),
            )
            blocks.append(sparse.csr_matrix((share, (row, codes[row, place] - 1)), shape=shape))
        elif isinstance(feature, Number | Timestamp):
            value, present = encoded[feature.name].T.astype(np.float64)
            blocks.append(sparse.csr_matrix(np.clip(value, -FARTHEST, FARTHEST)[:, None] * present[:, None]))
    return sparse.hstack(blocks).tocsr()


def _centred(vectors: np.ndarray) -> np.ndarray:
    there = vectors.any(axis=1, keepdims=True)
    mean = vectors.sum(axis=0) / max(int(there.sum()), 1)
    centred = np.where(there, vectors - mean, 0.0)
    return np.concatenate([centred, np.zeros_like(centred[:1], shape=(1, centred.shape[1]))])
