"""What is relevant for which subtopic of a user: the input of the intent-aware metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from tfrec_div.metrics.lists import Matrix, check_ragged, check_rows


@dataclass(frozen=True)
class Judgements:
    """Lists, and the relevant items of each user with the subtopics they are relevant for.

    A recommender's form (`from_categories`): the relevant items of a user, each for all categories that it has.
    The form of TREC's diversity tasks (`from_subtopics`): a document relevant for some subtopics of this very
    topic. A subtopic without a relevant item does not count for that user.

    Attributes:
        gains: bool `[users, k, subtopics]`: the item at this place is relevant for this subtopic.
        row_splits: int64 `[users + 1]`, of the rows of `subtopics`.
        subtopics: bool `[relevant items of all users, subtopics]`, by user and then by item row.

    Example:
        >>> judged = Judgements.from_categories(
        ...     rows=np.array([[2, 0], [1, -1]]),
        ...     relevant_values=np.array([0, 1, 1]),
        ...     relevant_row_splits=np.array([0, 2, 3]),
        ...     category_matrix=np.array([[1, 1], [1, 0], [0, 1]]),
        ... )
        >>> judged.gains.astype(int).tolist()
        [[[0, 0], [1, 1]], [[1, 0], [0, 0]]]
        >>> judged.num_relevant.tolist()
        [[2, 1], [1, 0]]
    """

    gains: np.ndarray
    row_splits: np.ndarray
    subtopics: np.ndarray

    @classmethod
    def from_categories(
        cls,
        rows: np.ndarray,
        relevant_values: np.ndarray,
        relevant_row_splits: np.ndarray,
        category_matrix: Matrix,
    ) -> Judgements:
        """Judgements of relevant items that have categories.

        Args:
            rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
            relevant_values: relevant item rows of all users, one user after the other (as `hits` takes them).
            relevant_row_splits: `[users + 1]`.
            category_matrix: `[items, categories]`, not 0 where an item has a category; NumPy or scipy.sparse.

        Raises:
            ValueError: the shapes do not fit.
        """
        rows = check_rows(rows, category_matrix.shape[0])
        values, _ = check_ragged(
            "relevant", relevant_values, relevant_row_splits, len(rows), category_matrix.shape[0]
        )
        matrix = sparse.csr_array(category_matrix) if sparse.issparse(category_matrix) else category_matrix
        return cls.from_subtopics(rows, values, relevant_row_splits, matrix[values])

    @classmethod
    def from_subtopics(
        cls,
        rows: np.ndarray,
        relevant_values: np.ndarray,
        relevant_row_splits: np.ndarray,
        subtopics: Matrix,
    ) -> Judgements:
        """Judgements of relevant items, each with subtopics of its own for each user.

        Args:
            rows: `[users, k]` recommended item rows, padded with −1; an item occurs once in a list.
            relevant_values: relevant item rows of all users, one user after the other; the judgements of an
                item that is named again add up.
            relevant_row_splits: `[users + 1]`.
            subtopics: `[len(relevant_values), subtopics]`, not 0 where the item is relevant for the subtopic of
                that user; NumPy or scipy.sparse.

        Raises:
            ValueError: the shapes do not fit.
        """
        rows = check_rows(rows)
        values, row_splits = check_ragged("relevant", relevant_values, relevant_row_splits, len(rows))
        dense = subtopics.toarray() if sparse.issparse(subtopics) else np.asarray(subtopics)
        if dense.ndim != 2 or len(dense) != len(values):
            raise ValueError(f"subtopics must have {len(values)} rows; received {list(dense.shape)}")
        dense = dense != 0
        width = int(max(rows.max(initial=0), values.max(initial=0))) + 1
        keys = np.repeat(np.arange(len(rows)), np.diff(row_splits)) * width + values
        order = np.argsort(keys, kind="stable")
        keys, dense = keys[order], dense[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        if len(first) < len(keys):
            dense = np.logical_or.reduceat(dense, first, axis=0)
            keys = keys[first]
        wanted = np.arange(len(rows))[:, np.newaxis] * width + rows
        gains = np.zeros((*rows.shape, dense.shape[1]), bool)
        if len(keys):
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            gains = dense[at] & ((keys[at] == wanted) & (rows >= 0))[:, :, np.newaxis]
        counts = np.bincount(keys // width, minlength=len(rows))
        return cls(gains, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), dense)

    @cached_property
    def num_relevant(self) -> np.ndarray:
        """Number of relevant items of each subtopic, int64 `[users, subtopics]`."""
        before = np.concatenate(
            [np.zeros((1, self.subtopics.shape[1]), np.int64), self.subtopics.cumsum(axis=0)]
        )
        return before[self.row_splits[1:]] - before[self.row_splits[:-1]]

    @cached_property
    def num_subtopics(self) -> np.ndarray:
        """Number of subtopics with a relevant item, int64 `[users]`."""
        return np.count_nonzero(self.num_relevant, axis=1)

    def ideal(self, k: int, alpha: float = 0.5, ties: str = "highest") -> np.ndarray:
        """Gains of a list that takes the most novel of all relevant items at every place (greedily).

        Finding the best list is NP-hard (Clarke et al., 2008); the greedy one is what ndeval divides by.

        Args:
            k: number of places.
            alpha: an item's gain for a subtopic is (1 − alpha)^(items of the subtopic before it).
            ties: `"highest"`: among equally novel items the highest item row, as ndeval has it, or `"lowest"`.

        Returns:
            bool `[users, k, subtopics]`; false where there is no relevant item any more.

        Raises:
            ValueError: an unknown rule for ties.
        """
        if ties not in ("highest", "lowest"):
            raise ValueError(f"ties must be highest or lowest; received {ties!r}")
        lengths = np.diff(self.row_splits)
        users = np.flatnonzero(lengths)
        gains = np.zeros((len(lengths), k, self.subtopics.shape[1]), bool)
        if not len(users):
            return gains
        owners = np.repeat(np.arange(len(users)), lengths[users])
        starts = self.row_splits[users]
        worth = np.ones((len(users), self.subtopics.shape[1]))
        left = np.ones(len(owners), bool)
        places = np.arange(len(owners)) if ties == "highest" else -np.arange(len(owners))
        for place in range(k):
            # Rounded, so that equal sums added up in another order are ties.
            novelty = np.where(left, (self.subtopics * worth[owners]).sum(axis=1).round(12), -1.0)
            best = np.maximum.reduceat(novelty, starts)
            tied = np.where(novelty == best[owners], places, np.iinfo(np.int64).min)
            taken = np.abs(np.maximum.reduceat(tied, starts))
            gains[users, place] = self.subtopics[taken] & left[taken, np.newaxis]
            left[taken] = False
            worth *= np.where(gains[users, place], 1.0 - alpha, 1.0)
        return gains
