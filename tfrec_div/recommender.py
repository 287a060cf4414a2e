"""What is evaluated and what is exported: from a user to a diversified page."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.interactions import Interactions
from tfrec_div.rerank.base import Reranker
from tfrec_div.towers.content import content_vectors

BATCH = 256


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Pages for several users.

    Attributes:
        user_ids: The users, as asked for.
        item_ids: Strings [users, k]; "" where no item was left.
        scores: Float [users, k], the retriever's score; 0 where no item was left.
        rows: Integer [users, k], catalogue rows; -1 where no item was left.
        unknown_users: How many of the users were unknown and got the page for new users.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray
    rows: np.ndarray
    unknown_users: int

    def to_frame(self) -> pd.DataFrame:
        """Returns columns `user_id`, `item_id`, `rank` (from 1) and `score`."""
        user, place = np.nonzero(self.rows >= 0)
        return pd.DataFrame(
            {
                "user_id": self.user_ids[user],
                "item_id": self.item_ids[user, place],
                "rank": place + 1,
                "score": self.scores[user, place],
            }
        )


class Recommender(tf.Module):
    """Retriever, then re-ranker, with what users have seen: the one object from evaluation to serving.

    Args:
        retriever: Model with `retrieve`, `query_vectors` and an index, such as `TwoTower`.
        data: Whose catalogue is served, and whose interactions are the users' histories.
        reranker: Re-ranking layer, or None for the order of the scores.
        k: Length of a page by default; the re-ranker's by default.
        num_candidates: Items that the re-ranker chooses from.
        diversity_vectors: Float [items, dim] that diversity is measured on; by default the content of the items
            (text, pictures, categories, as far as they are there).

    Example:
        >>> from tfrec_div import TwoTower, make_synthetic, rerank
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = TwoTower(data.schema, embedding_dim=8)
        >>> model.compile()
        >>> _ = model.fit(data.batches(64), verbose=0)
        >>> recommender = Recommender(model, data, reranker=rerank.MMR(k=3))
        >>> recommender.recommend(["u1", "nobody"], diversity=0.5).item_ids.shape
        (2, 3)
    """

    def __init__(
        self,
        retriever: keras.Model,
        data: Dataset,
        reranker: Reranker | None = None,
        k: int | None = None,
        num_candidates: int = 100,
        diversity_vectors: np.ndarray | None = None,
    ):
        super().__init__(name="recommender")
        if data.schema != retriever.schema:
            raise ValueError("data: its schema is not the retriever's")
        self.retriever = retriever
        self.catalog = data.catalog
        self.schema = data.schema
        self.reranker = reranker
        self.k = k or (reranker.k if reranker is not None else 10)
        self.num_candidates = num_candidates
        if diversity_vectors is None:
            diversity_vectors = _content_of(retriever, data)
        expected = (len(data.catalog),)
        if np.shape(diversity_vectors)[:1] != expected:
            found = np.shape(diversity_vectors)
            raise ValueError(f"diversity_vectors: expected shape [{expected[0]}, dim], got {found}")
        self._vectors = tf.Variable(
            diversity_vectors, trainable=False, dtype=tf.float32, name="diversity_vectors"
        )
        self._items = tf.Variable([0], shape=[None], trainable=False, dtype=tf.int32, name="history_items")
        self._strength = tf.Variable([0.0], shape=[None], trainable=False, name="history_strength")
        self._starts = tf.Variable([0], shape=[None], trainable=False, dtype=tf.int32, name="history_starts")
        self.update_histories(data.interactions)

    # ------------------------------------------------------------------ state

    def update_histories(self, interactions: Interactions) -> None:
        """Replaces what users have seen, without training."""
        items, starts = interactions.histories()
        # One more entry, so that an empty history can be gathered from.
        self._items.assign(np.append(items, -1))
        self._strength.assign(np.append(interactions.strength(), 0).astype(np.float32))
        self._starts.assign(starts)

    @property
    def variables_of_users(self) -> list[tf.Variable]:
        """What is saved besides the retriever's weights."""
        return [self._vectors, self._items, self._strength, self._starts]

    @property
    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Item rows of all users' histories end to end, and where each user's begins [users + 1]."""
        return self._items.numpy()[:-1], self._starts.numpy()

    @property
    def item_counts(self) -> np.ndarray:
        """How often each item occurs in the histories, int64 [items]."""
        return np.bincount(self.seen[0], minlength=len(self.catalog))

    @property
    def diversity_vectors(self) -> np.ndarray:
        """The vectors that diversity is measured on, float [items, dim]."""
        return self._vectors.numpy()

    @property
    def diversity(self) -> float:
        """The stored level of diversity; 0 without a re-ranker."""
        return self.reranker.diversity if self.reranker is not None else 0.0

    # ------------------------------------------------------------------ in the graph

    def known_query(self, users: tf.Tensor, session: tf.Tensor | None = None) -> tuple[dict, tf.Tensor]:
        """Returns the query of each user, and what the user has seen.

        Args:
            users: Integer [batch], rows; -1 is an unknown user, who has an empty history.
            session: Integer [batch, n], rows of the items of this session in time order, padded with -1.

        Returns:
            The query (`user_id`, `history`, `history_weight`), and the rows seen, int32 [batch, m], padded with -1.
        """
        row = tf.maximum(users, 0)
        start = tf.gather(self._starts, row)
        length = tf.where(users >= 0, tf.gather(self._starts, row + 1) - start, 0)
        back = tf.range(tf.reduce_max(tf.concat([length, [0]], 0)))[tf.newaxis, :]
        inside = back < length[:, tf.newaxis]
        position = tf.where(inside, (start + length)[:, tf.newaxis] - 1 - back, 0)
        seen = tf.where(inside, tf.gather(self._items, position), -1)
        weight = tf.where(inside, tf.gather(self._strength, position), 0.0)
        if session is not None:
            session = tf.reverse(session, axis=[1])
            seen = tf.concat([session, seen], axis=1)
            weight = tf.concat([tf.cast(session >= 0, tf.float32), weight], axis=1)
            # A padded place must not push what comes after it into the past.
            order = tf.argsort(tf.cast(seen < 0, tf.int32), axis=1, stable=True)
            seen = tf.gather(seen, order, axis=1, batch_dims=1)
            weight = tf.gather(weight, order, axis=1, batch_dims=1)
        steps = self.retriever.max_history
        query = {"user_id": users, "history": seen[:, :steps], "history_weight": weight[:, :steps]}
        return query, seen

    def page(
        self, query: dict, k: int | tf.Tensor, diversity: tf.Tensor | None = None, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Retrieves and re-ranks: rows int32 [batch, k] padded with -1, and scores float [batch, k].

        Args:
            query: As for the retriever.
            k: Length of the page.
            diversity: Float scalar or [batch] in [0, 1]; NaN or None is the stored level.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        candidates = k if self.reranker is None else tf.maximum(k, self.num_candidates)
        rows, scores = self.retriever.retrieve(query, k=candidates, exclude=exclude, include=include)
        return self.rerank(rows, scores, k, diversity)

    def rerank(
        self, rows: tf.Tensor, scores: tf.Tensor, k: int | tf.Tensor, diversity: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses a page from candidate rows [batch, n] with scores [batch, n], both sorted by score."""
        if self.reranker is not None:
            level = tf.fill(tf.shape(rows)[:1], float("nan")) if diversity is None else diversity
            positions = self.reranker(
                {
                    "scores": scores,
                    "vectors": tf.gather(self._vectors, tf.maximum(rows, 0)),
                    "candidate_mask": rows >= 0,
                    "diversity": level,
                    "k": k,
                }
            )
            chosen = tf.maximum(positions, 0)
            rows = tf.where(positions >= 0, tf.gather(rows, chosen, batch_dims=1), -1)
            scores = tf.gather(scores, chosen, batch_dims=1)
        return rows, tf.where(rows >= 0, scores, 0.0)

    @tf.function(reduce_retracing=True)
    def _known_page(self, users, session, exclude, include, k, diversity, include_seen, settings):
        # The settings are read from `self`; as an argument they give another re-ranker a graph of its own.
        del settings
        query, seen = self.known_query(users, session)
        if not include_seen:
            exclude = tf.concat([exclude, seen], axis=1)
        return self.page(query, k, diversity, exclude, include)

    # ------------------------------------------------------------------ in Python

    def recommend(
        self,
        users: Sequence[str],
        k: int | None = None,
        diversity: float | Sequence[float] | None = None,
        histories: Mapping[str, Sequence[str]] | None = None,
        exclude: Mapping[str, Iterable[str]] | None = None,
        candidates: Iterable[str] | None = None,
        include_seen: bool = False,
        progress: bool = False,
    ) -> Recommendations:
        """Recommends to users by their ids.

        Args:
            users: User ids; an unknown one gets the page for new users.
            k: Length of the page.
            diversity: Level in [0, 1], one for all or one each; None is the stored level.
            histories: Items of the current session by user id, in time order, on top of the stored history.
            exclude: Item ids to leave out, by user id.
            candidates: The only item ids allowed; unknown ones are passed over.
            include_seen: Whether items that the user has seen may be recommended again.
            progress: Whether to show a progress bar.
        """
        user_ids = np.asarray(list(users), object)
        user_rows = self.schema.user_rows(user_ids)
        include = None
        if candidates is not None:
            allowed = self.schema.item_rows(np.asarray(list(candidates), object))
            include = np.isin(np.arange(len(self.catalog)), allowed)
        rows, scores = self.recommend_rows(
            user_rows,
            k=k,
            diversity=diversity,
            include_seen=include_seen,
            sessions=self._rows_by_user(user_ids, histories),
            exclude=self._rows_by_user(user_ids, exclude),
            include=include,
            progress=progress,
        )
        item_ids = np.append(self.catalog.ids, "")[rows]
        return Recommendations(user_ids, item_ids, scores, rows, int((user_rows < 0).sum()))

    def recommend_rows(
        self,
        user_rows: np.ndarray,
        k: int | None = None,
        diversity: float | Sequence[float] | None = None,
        include_seen: bool = False,
        sessions: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
        include: np.ndarray | None = None,
        progress: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Recommends to users by row; rows int32 [users, k] padded with -1, and scores float32 [users, k].

        Args:
            user_rows: Integer [users]; -1 is an unknown user.
            k: Length of the page, cut to the catalogue.
            diversity: Level in [0, 1], one for all or one each; None is the stored level.
            include_seen: Whether items that the user has seen may be recommended again.
            sessions: Integer [users, n], rows of this session's items in time order, padded with -1.
            exclude: Integer [users, n], rows to leave out, padded with -1.
            include: Boolean [items], the only rows allowed.
            progress: Whether to show a progress bar.
        """
        user_rows = np.asarray(user_rows, np.int32)
        count = len(user_rows)
        k = min(self.k if k is None else k, len(self.catalog))
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        level = np.broadcast_to(np.asarray(np.nan if diversity is None else diversity, np.float32), (count,))
        if ((level < 0) | (level > 1)).any():
            raise ValueError(f"diversity must be in [0, 1], got {diversity}")
        nothing = np.full((count, 0), -1, np.int32)
        sessions = nothing if sessions is None else sessions
        exclude = nothing if exclude is None else exclude
        include = np.ones(len(self.catalog), bool) if include is None else include
        rows, scores = np.full((count, k), -1, np.int32), np.zeros((count, k), np.float32)
        for start in tqdm(range(0, count, BATCH), desc="recommend", unit="batch", disable=not progress):
            part = slice(start, start + BATCH)
            arguments = (user_rows[part], sessions[part], exclude[part], include)
            settings = (self.reranker, self.num_candidates)
            page = self._known_page(
                *map(tf.constant, arguments), k, tf.constant(level[part]), include_seen, settings
            )
            rows[part], scores[part] = page[0].numpy(), page[1].numpy()
        return rows, scores

    def _rows_by_user(self, users: np.ndarray, items: Mapping[str, Iterable[str]] | None) -> np.ndarray:
        lists = [[] if not items else list(items.get(user, ())) for user in users]
        width = max(map(len, lists), default=0)
        padded = np.full((len(users), width), -1, np.int32)
        for place, ids in enumerate(lists):
            padded[place, : len(ids)] = self.schema.item_rows(np.asarray(ids, object))
        return padded

    # ------------------------------------------------------------------ on disk

    def save(self, path: str | Path) -> Path:
        """Writes the recommender to a new folder; `td.load` reads it without data or network."""
        from tfrec_div.storage import save_recommender

        return save_recommender(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Recommender:
        """Reads what `save` wrote."""
        from tfrec_div.storage import load_recommender

        return load_recommender(path)


def _content_of(retriever: keras.Model, data: Dataset) -> np.ndarray:
    """Returns the items' content vectors: what the text and image towers make, and the categories."""
    table = retriever.item_table.values
    there = {name.partition("/")[0] for name in table}
    parts = {name: retriever.content(name) for name in ("text", "image") if name in there}
    categories = data.catalog.category_matrix()
    if categories.shape[1]:
        parts["categories"] = categories.astype(bool)
    if not parts:
        warnings.warn(
            "the items have no text, picture or category to measure diversity on: the retriever's own vectors are "
            "used, so that relevance and diversity are measured in one space",
            stacklevel=3,
        )
        parts["retrieval"] = retriever.index.vectors.numpy()[:, :-1]
    return content_vectors(parts)
