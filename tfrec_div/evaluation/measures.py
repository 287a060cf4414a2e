"""The list metrics of one page per user, and whom and what they are measured on."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from tfrec_div import metrics
from tfrec_div.data.dataset import Dataset

# Judgements and their ideal lists are made for so many places times categories at once.
_CELLS = 2**22


class ListMeasures:
    """All list metrics of pages: a value per user and metric.

    Args:
        rec: A `Recommender`, for its content vectors, categories and counts.
        relevant: Relevant item rows of each user, `(values, row_splits)`, as from `unseen_relevant`.
        k: Length of the pages.
        users: Int32 `[users]`, whose pages these are: calibration and unexpectedness compare with their histories.
    """

    def __init__(self, rec: Any, relevant: tuple[np.ndarray, np.ndarray], k: int, users: np.ndarray) -> None:
        self.relevant, self.k = relevant, k
        self.histories = histories_of(rec.seen, users)
        self.num_relevant = metrics.num_relevant(*relevant)
        self.counts, self.num_users = rec.item_counts, len(rec.seen[1]) - 1
        self.users_of_items = _users_of_items(rec.seen, len(self.counts))
        self.long_tail = metrics.long_tail(self.counts)
        self.vectors, self.categories = rec.diversity_vectors, rec.catalog.category_matrix()

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns a value per user, float64 `[users]`, by name (`"ndcg@10"`).

        Args:
            rows: `[users, k]` item rows, padded with −1.
        """
        on_page = found = metrics.hits(rows, *self.relevant)
        if rows.shape[1] < self.k:  # a catalogue smaller than k: the places that are missing are misses
            found = np.pad(found, [(0, 0), (0, self.k - rows.shape[1])])
        values = {name: metric(found, self.num_relevant) for name, metric in metrics.RELEVANCE.items()}
        values["ild_vectors"] = metrics.intra_list_distance(rows, self.vectors)
        values["vendi"] = metrics.vendi_score(rows, self.vectors)
        if self.categories.shape[1]:
            values["ild_categories"] = metrics.intra_list_distance(rows, self.categories)
            values["category_entropy"] = metrics.category_entropy(rows, self.categories)
            values["alpha_ndcg"], values["subtopic_recall"] = self._intent_aware(rows)
            values["calibration_kl"] = metrics.calibration_kl(rows, *self.histories, self.categories)
        values["novelty"] = metrics.novelty(rows, self.users_of_items, self.num_users)
        values["popularity"] = metrics.popularity(rows, self.counts)
        values["aplt"] = metrics.aplt(rows, self.long_tail)
        values["unexpectedness"] = metrics.unexpectedness(rows, *self.histories, self.vectors)
        values["serendipity"] = metrics.serendipity(rows, on_page, self.counts)
        return {f"{name}@{self.k}": value for name, value in values.items()}

    def _intent_aware(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """α-nDCG and subtopic recall `[users]`, a user's relevant items wanted for their categories."""
        rows = np.pad(rows, [(0, 0), (0, self.k - rows.shape[1])], constant_values=-1)
        values, splits = self.relevant
        places = max(self.k, len(values) // max(len(rows), 1))
        block = max(_CELLS // (places * self.categories.shape[1]), 1)
        found = np.empty((2, len(rows)))
        for first in range(0, len(rows), block):
            ends = splits[first : first + block + 1]
            part = slice(first, first + len(ends) - 1)
            judged = metrics.Judgements.from_categories(
                rows[part], values[ends[0] : ends[-1]], ends - ends[0], self.categories
            )
            found[:, part] = metrics.alpha_ndcg(judged), metrics.subtopic_recall(judged)
        return found[0], found[1]


def _users_of_items(seen: tuple[np.ndarray, np.ndarray], num_items: int) -> np.ndarray:
    """Number of users who used each item, once or often, int `[num_items]`."""
    values, splits = seen
    shape = (len(splits) - 1, num_items)
    by_item = sparse.csr_array((np.ones(len(values), bool), values, splits), shape=shape).tocsc()
    by_item.sum_duplicates()
    return np.diff(by_item.indptr)


def histories_of(seen: tuple[np.ndarray, np.ndarray], users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The histories of some users, `(values, row_splits [users + 1])`.

    Args:
        seen: Item rows of all users, `(values, row_splits [all users + 1])`.
        users: Whose.
    """
    values, splits = np.asarray(seen[0]), np.asarray(seen[1], np.int64)
    lengths = np.diff(splits)[users]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    return values[np.repeat(splits[users], lengths) + within], ends


def unseen_relevant(
    test: Dataset, seen: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns users with relevant held-out items that they have not seen, and those items.

    Args:
        test: The held-out interactions.
        seen: Item rows that users have seen, `(values, row_splits [all users + 1])`.

    Returns:
        Int32 `[users]`, and the items of each of them, `(values, row_splits [users + 1])`.

    Raises:
        ValueError: There is no such user.
    """
    log = test.interactions
    mask = log.relevant()
    width = np.int64(log.num_items)
    held_out = np.unique(log.user[mask] * width + log.item[mask])
    values, splits = np.asarray(seen[0], np.int64), np.asarray(seen[1], np.int64)
    known = np.repeat(np.arange(len(splits) - 1), np.diff(splits)) * width + values
    owner, item = np.divmod(np.setdiff1d(held_out, known), width)
    users, counts = np.unique(owner, return_counts=True)
    if not len(users):
        raise ValueError("test: no user has a relevant interaction with an item not seen in training")
    return users.astype(np.int32), (item, np.concatenate([[0], np.cumsum(counts)]))
