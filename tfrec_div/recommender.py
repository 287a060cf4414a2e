"""What is evaluated and what is exported: from a user to a diversified page."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.interactions import Interactions
from tfrec_div.histories import Histories
from tfrec_div.item_features import ItemFeatures, content_towers
from tfrec_div.models.retriever import Retriever
from tfrec_div.recommendations import Recommendations
from tfrec_div.rerank.adaptive import Adaptive
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.compiled import worth_compiling
from tfrec_div.rerank.fair import FAIR
from tfrec_div.rerank.long_tail_xquad import LongTailXQuAD
from tfrec_div.towers.content import content_vectors
from tfrec_div.user_profile import UserProfile, checked_half_life

__all__ = ["Recommendations", "Recommender"]

BATCH = 256
# Fewer users are done before XLA has compiled the re-ranker for them: it saves some 10 ms of 256 users' 50.
MANY_USERS = 50_000
# Before the name of a feature in what is saved.
FEATURE = "feature/"
# Re-rankers that know two groups of items: more would be taken for one of them, or for none.
TWO_GROUPS = (FAIR, LongTailXQuAD)


class Recommender(tf.Module):
    """Retriever, then re-ranker, with what users have seen: the one object from evaluation to serving.

    The level of diversity of a page is that of the request; else the tuned one, if there is one; else the user's
    adaptive one, if `adaptive` is given and the user has a history; else the re-ranker's own.

    Args:
        retriever: Any `Retriever`, such as `TwoTower`.
        data: Whose catalogue is served, and whose interactions are the users' histories.
        reranker: Re-ranking layer, or None for the order of the scores.
        k: Length of a page by default. Without it that is the re-ranker's, and another re-ranker brings its own.
        num_candidates: Items that the re-ranker chooses from.
        diversity_vectors: Float [items, dim] that diversity is measured on; by default the content of the items
            (text, pictures, categories, as far as they are there).
        features: Further item features for re-rankers, by name, or others instead of the catalogue's; see
            `ItemFeatures`.
        adaptive: Gives each user a level by the user's own history.
        profile_half_life: For re-rankers that know the user's taste: items of the history after which what lies
            further back counts half; None: all count alike.

    Raises:
        ValueError: If the schemas differ, an argument is out of range, or the items lack a feature that the
            re-ranker reads or have one that it cannot use.

    Attributes:
        k_is_own: Whether `k` was given or set, so that another re-ranker does not change it.
        vectors_are_own: Whether the `diversity_vectors` were given.

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
        retriever: Retriever,
        data: Dataset,
        reranker: Reranker | None = None,
        k: int | None = None,
        num_candidates: int = 100,
        diversity_vectors: np.ndarray | None = None,
        features: Mapping[str, Any] | None = None,
        adaptive: Adaptive | None = None,
        profile_half_life: float | None = None,
    ):
        super().__init__(name="recommender")
        if data.schema != retriever.schema:
            raise ValueError("data: its schema is not the retriever's")
        self.retriever = retriever
        self.catalog = data.catalog
        self.schema = data.schema
        self._k, self.k_is_own = 10 if k is None else _checked_length(k), k is not None
        self.num_candidates = num_candidates
        self.tuned: float | None = None
        self.profile_half_life = checked_half_life(profile_half_life)
        self.vectors_are_own = diversity_vectors is not None or "vectors" in (features or {})
        if diversity_vectors is None:
            diversity_vectors = content_of(retriever, data)
        expected = (len(data.catalog),)
        if np.shape(diversity_vectors)[:1] != expected:
            found = np.shape(diversity_vectors)
            raise ValueError(f"diversity_vectors: expected shape [{expected[0]}, dim], got {found}")
        self.features = ItemFeatures(retriever, data.catalog, diversity_vectors, features)
        self._histories = Histories()
        self._histories.update(data.interactions)
        self._begin(reranker, adaptive)

    def _begin(self, reranker: Reranker | None, adaptive: Adaptive | None) -> None:
        """Makes what depends on the re-ranker and the histories."""
        self._levels = tf.Variable([np.nan], shape=[None], trainable=False, dtype=tf.float32, name="levels")
        self.reranker = reranker
        self.adaptive = adaptive

    # ------------------------------------------------------------------ state

    @property
    def reranker(self) -> Reranker | None:
        """The re-ranking layer; another one may be set, which forgets the tuned level and follows its `k`."""
        return self._reranker

    @reranker.setter
    def reranker(self, reranker: Reranker | None) -> None:
        profile = None
        if reranker is not None:
            self.features.require(features_needed(reranker), type(reranker).__name__, self.item_counts)
            if isinstance(reranker, TWO_GROUPS):
                _check_two_groups(self.features["groups"].numpy(), type(reranker).__name__)
            if "user_profile" in reranker.profiles:
                profile = UserProfile(self.features[_profile_over(reranker)], self.profile_half_life)
        self._reranker, self._profile, self.tuned = reranker, profile, None
        if reranker is not None and not self.k_is_own:
            self._k = reranker.k

    @property
    def k(self) -> int:
        """Length of a page by default; one that is set stays, whatever the re-ranker."""
        return self._k

    @k.setter
    def k(self, k: int) -> None:
        self._k, self.k_is_own = _checked_length(k), True

    @property
    def adaptive(self) -> Adaptive | None:
        """What gives each user a level; another one may be set, and the levels follow."""
        return self._adaptive

    @adaptive.setter
    def adaptive(self, adaptive: Adaptive | None) -> None:
        if adaptive is not None:
            self.features.require([adaptive.feature], "Adaptive", self.item_counts)
        self._adaptive = adaptive
        self._refresh()

    def with_reranker(self, reranker: Reranker | None, tuned: float | None = None) -> Recommender:
        """Returns a recommender of the same weights with another re-ranker; this one stays as it is.

        Its pages are as long as this one's when `k` was given to this one, or without a re-ranker; else as the new
        re-ranker's.

        Args:
            reranker: Re-ranking layer, or None.
            tuned: Level for all requests that have none.

        Raises:
            ValueError: If the items lack a feature that the re-ranker reads, or the level is out of range.
        """
        if tuned is not None and not 0 <= tuned <= 1:
            raise ValueError(f"tuned must be in [0, 1], got {tuned}")
        other = Recommender.__new__(Recommender)
        tf.Module.__init__(other, name="recommender")
        other.retriever, other.catalog, other.schema = self.retriever, self.catalog, self.schema
        other._k, other.k_is_own, other.num_candidates = self.k, self.k_is_own, self.num_candidates
        other.profile_half_life, other.vectors_are_own = self.profile_half_life, self.vectors_are_own
        other.features = self.features.copy()
        other._histories = self._histories.copy()
        other._begin(reranker, self.adaptive)
        other.tuned = tuned
        return other

    def with_items(
        self,
        items: pd.DataFrame,
        image_root: str | Path | None = None,
        diversity_vectors: np.ndarray | None = None,
        features: Mapping[str, Any] | None = None,
    ) -> Recommender:
        """Returns a recommender that has new items, too, without training; this one stays as it is.

        They are recommended at once, by what the retriever makes of their content, and may be in histories; saving and
        exporting go as ever. See `add_items` for what is checked.

        Args:
            items: `item_id`, and a column for each feature of the items that there are; cells may be empty.
            image_root: The folder that paths of pictures are relative to; pictures may be encoded `bytes`, too.
            diversity_vectors: Float [new items, dim], when this recommender was given such vectors.
            features: The rows of the new items in each further feature that this recommender was given.

        Raises:
            DataError: If a column is missing, a cell is not what its column holds, or an id is there already.
            ValueError: If the retriever takes no new items, or the new items' rows of a given feature are missing.
        """
        from tfrec_div.new_items import recommender_with_items

        return recommender_with_items(self, items, image_root, diversity_vectors, features)

    def update_histories(self, interactions: Interactions) -> None:
        """Replaces what users have seen, without training; what is popular and adaptive levels follow."""
        self._histories.update(interactions)
        self.features.refresh(self.item_counts)
        self._refresh()

    def _refresh(self) -> None:
        if self.adaptive is not None:
            table = self.features[self.adaptive.feature].numpy()
            self._levels.assign(self.adaptive.levels(*self.seen, table))
        else:
            self._levels.assign([np.nan])

    @property
    def state(self) -> dict[str, tf.Variable]:
        """What is saved besides the retriever's weights, by name."""
        tables = {FEATURE + name: table for name, table in self.features.tables.items()}
        return {"diversity_vectors": tables.pop(f"{FEATURE}vectors"), **self._histories.state, **tables}

    def restore(self, state: Mapping[str, np.ndarray], tuned: float | None) -> None:
        """Takes over what was saved.

        Args:
            state: Values of `state`.
            tuned: The tuned level, if there was one.
        """
        for name, variable in self.state.items():
            variable.assign(state[name])
        self.tuned = tuned
        self._refresh()

    @property
    def variables_in_use(self) -> list[tf.Variable]:
        """What an export holds besides the retriever's weights: histories, and what the re-ranker reads."""
        names = () if self.reranker is None else self.reranker.required
        profile = [] if self._profile is None else self._profile.variables_in_use
        levels = [] if self.adaptive is None else [self._levels]
        return [*self._histories.state.values(), *(self.features[name] for name in names), *profile, *levels]

    @property
    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Item rows of all users' histories end to end, and where each user's begins [users + 1]."""
        return self._histories.seen

    @property
    def item_counts(self) -> np.ndarray:
        """How often each item occurs in the histories, int64 [items]."""
        return np.bincount(self.seen[0], minlength=len(self.catalog))

    @property
    def diversity_vectors(self) -> np.ndarray:
        """The vectors that diversity is measured on, float [items, dim]."""
        return self.features["vectors"].numpy()

    @property
    def diversity(self) -> float:
        """The stored level of diversity (the mean of the adaptive ones); 0 without a re-ranker."""
        if self.reranker is None:
            return 0.0
        if self.tuned is not None or self.adaptive is None:
            return self.reranker.diversity if self.tuned is None else self.tuned
        return float(np.nan_to_num(self.levels, nan=self.reranker.diversity).mean())

    @property
    def levels(self) -> np.ndarray:
        """Each user's adaptive level, float32 [users]; NaN where there is none."""
        return self._levels.numpy()

    # ------------------------------------------------------------------ in the graph

    def known_query(self, users: tf.Tensor, session: tf.Tensor | None = None) -> tuple[dict, tf.Tensor]:
        """Returns the query of each user, and what the user has seen.

        Args:
            users: Integer [batch], rows; -1 is an unknown user, who has an empty history.
            session: Integer [batch, n], rows of the items of this session in time order, padded with -1.

        Returns:
            The query (`user_id`, `history`, `history_weight`, and `user_profile` when the re-ranker reads one), and the
            rows seen, int32 [batch, m], padded with -1.
        """
        seen, weight = self._histories.latest_first(users, session)
        steps = self.retriever.max_history
        query = {"user_id": users, "history": seen[:, :steps], "history_weight": weight[:, :steps]}
        if self._profile is not None:
            query["user_profile"] = self._profile(seen, weight)
        return query, seen

    def page(
        self,
        query: dict,
        k: int | tf.Tensor,
        diversity: tf.Tensor | None = None,
        exclude=None,
        include=None,
        context: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Retrieves and re-ranks: rows int32 [batch, k] padded with -1, and scores float [batch, k].

        Args:
            query: As `known_query` gives it.
            k: Length of the page.
            diversity: Float scalar or [batch] in [0, 1]; NaN or None is the stored level.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
            context: Integer [batch, n], rows shown before, see `rerank`.
        """
        rows, scores = self._retrieve(query, k, exclude, include, context)
        return self.rerank(rows, scores, k, diversity, query, context)

    def rerank(
        self,
        rows: tf.Tensor,
        scores: tf.Tensor,
        k: int | tf.Tensor,
        diversity: tf.Tensor | None = None,
        query: Mapping[str, tf.Tensor] | None = None,
        context: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses a page from candidate rows [batch, n] with scores [batch, n], both sorted by score.

        Args:
            rows: Candidates, padded with -1.
            scores: The retriever's scores.
            k: Length of the page.
            diversity: Float scalar or [batch] in [0, 1]; NaN or None is the stored level.
            query: As `known_query` gives it; None: users of whom nothing is known.
            context: Integer [batch, n], rows that were shown recently or on the page before, the latest last, padded
                with -1. They count as already selected.
        """
        return self._choose(rows, scores, k, diversity, query or {}, context)[:2]

    def _retrieve(self, query, k, exclude, include, context=None) -> tuple[tf.Tensor, tf.Tensor]:
        candidates = k if self.reranker is None else tf.maximum(k, self.num_candidates)
        if context is not None:
            exclude = context if exclude is None else tf.concat([exclude, context], axis=1)
        return self.retriever.retrieve(query, k=candidates, exclude=exclude, include=include)

    def _choose(
        self, rows, scores, k, diversity, query, context=None
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the page, and where a constraint could not be kept, bool [batch] by constraint."""
        layer, relaxed = self.reranker, {}
        if layer is not None:
            inputs = {
                "scores": scores,
                "candidate_mask": rows >= 0,
                "diversity": self._level(diversity, query.get("user_id"), tf.shape(rows)[:1]),
                "k": k,
                **{name: self.features.of(name, rows) for name in layer.required},
            }
            if self._profile is not None:
                given = query.get("user_profile")
                nobody = self._profile.of_nobody(tf.shape(rows)[0])
                inputs["user_profile"] = nobody if given is None else given
            if context is not None:
                shown = {
                    f"context_{name}": self.features.of_context(name, context) for name in layer.required
                }
                inputs.update(shown)
            positions = layer(inputs)
            if layer.constraints:
                relaxed = layer.relaxed(inputs, positions)
            chosen = tf.maximum(positions, 0)
            rows = tf.where(positions >= 0, tf.gather(rows, chosen, batch_dims=1), -1)
            scores = tf.gather(scores, chosen, batch_dims=1)
        return rows, tf.where(rows >= 0, scores, 0.0), relaxed

    def _level(self, diversity: tf.Tensor | None, users: tf.Tensor | None, batch: tf.Tensor) -> tf.Tensor:
        """Returns the level of each list; NaN stands for the layer's own."""
        if self.tuned is not None:
            stored = tf.fill(batch, self.tuned)
        elif self.adaptive is not None and users is not None:
            stored = tf.where(users >= 0, tf.gather(self._levels, tf.maximum(users, 0)), np.nan)
        else:
            stored = tf.fill(batch, np.float32(np.nan))
        return stored if diversity is None else tf.where(tf.math.is_nan(diversity), stored, diversity)

    # The settings are read from `self`; as an argument they give another re-ranker a graph of its own.

    @tf.function(reduce_retracing=True)
    def _candidates(self, users, session, exclude, include, context, k, include_seen, settings):
        del settings
        query, seen = self.known_query(users, session)
        if not include_seen:
            exclude = tf.concat([exclude, seen], axis=1)
        rows, scores = self._retrieve(query, k, exclude, include, context)
        return rows, scores, {key: query[key] for key in ("user_id", "user_profile") if key in query}

    @tf.function(reduce_retracing=True)
    def _choose_in_graph(self, rows, scores, k, diversity, query, context, settings):
        del settings
        return self._choose(rows, scores, k, diversity, query, context)

    @property
    def _settings(self) -> tuple:
        return self.reranker, self.num_candidates, self.tuned, self.adaptive

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
        context: Mapping[str, Sequence[str]] | None = None,
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
            context: Items shown recently or on the page before, by user id, the latest last: they count as already
                selected, and are not shown again.
            progress: Whether to show a progress bar.
        """
        user_ids = np.asarray(list(users), object)
        user_rows = self.schema.user_rows(user_ids)
        include = None
        if candidates is not None:
            allowed = self.schema.item_rows(np.asarray(list(candidates), object))
            include = np.isin(np.arange(len(self.catalog)), allowed)
        rows, scores, relaxed = self._pages(
            user_rows,
            k,
            diversity,
            include_seen,
            self._rows_by_user(user_ids, histories),
            self._rows_by_user(user_ids, exclude),
            include,
            self._rows_by_user(user_ids, context) if context else None,
            progress,
        )
        item_ids = np.append(self.catalog.ids, "")[rows]
        return Recommendations(user_ids, item_ids, scores, rows, int((user_rows < 0).sum()), relaxed)

    def recommend_rows(
        self,
        user_rows: np.ndarray,
        k: int | None = None,
        diversity: float | Sequence[float] | None = None,
        include_seen: bool = False,
        sessions: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
        include: np.ndarray | None = None,
        context: np.ndarray | None = None,
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
            context: Integer [users, n], rows shown recently or on the page before, the latest last, padded with -1.
            progress: Whether to show a progress bar.
        """
        return self._pages(
            user_rows, k, diversity, include_seen, sessions, exclude, include, context, progress
        )[:2]

    def candidates(
        self, user_rows: np.ndarray, k: int | None = None, progress: bool = False
    ) -> list[tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]]:
        """Returns what the re-ranker would choose from, in blocks of users: `rows`, `scores` and `query` of `rerank`.

        Args:
            user_rows: Integer [users]; -1 is an unknown user.
            k: Length of the page that is to be chosen.
            progress: Whether to show a progress bar.
        """
        user_rows = np.asarray(user_rows, np.int32)
        none = np.full((len(user_rows), 0), -1, np.int32)
        everything = np.ones(len(self.catalog), bool)
        blocks = range(0, len(user_rows), BATCH)
        bar = tqdm(blocks, desc="retrieve", unit="batch", disable=not progress)
        return [
            self._candidates(
                *map(tf.constant, (user_rows[part], none[part], none[part], everything)),
                None,
                self._page_length(k),
                False,
                self._settings,
            )
            for part in (slice(start, start + BATCH) for start in bar)
        ]

    def rerank_candidates(
        self,
        candidates: Sequence[tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]],
        k: int | None = None,
        diversity: float | None = None,
    ) -> np.ndarray:
        """Chooses pages from the same candidates once more, quickly; item rows int32 [users, k], padded with -1.

        Args:
            candidates: What `candidates` returned.
            k: Length of the page, at most that which the candidates were retrieved for.
            diversity: Level in [0, 1]; None is the stored level.
        """
        k = self._page_length(k)
        level = tf.constant(np.nan if diversity is None else diversity, tf.float32)
        many = len(candidates) * BATCH >= MANY_USERS
        pages = [
            self._chosen(rows, scores, k, level, query, None, many)[0] for rows, scores, query in candidates
        ]
        return np.concatenate(pages) if pages else np.full((0, k), -1, np.int32)

    def _chosen(self, rows, scores, k, level, query, context, many):
        """Returns what `_choose` does, the quickest way: compiled once for many users, else in a graph."""
        if many and worth_compiling({"scores": scores}):
            return self._choose(rows, scores, k, level, query, context)
        return self._choose_in_graph(rows, scores, k, level, query, context, self._settings)

    def _pages(
        self, user_rows, k, diversity, include_seen, sessions, exclude, include, context, progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        user_rows = np.asarray(user_rows, np.int32)
        count, k = len(user_rows), self._page_length(k)
        level = np.asarray(np.nan if diversity is None else diversity, np.float32)
        if level.shape not in ((), (1,), (count,)):
            raise ValueError(
                f"diversity: expected one level, or one for each of {count} users; got shape {level.shape}"
            )
        level = np.broadcast_to(level, (count,))
        if ((level < 0) | (level > 1)).any():
            raise ValueError(f"diversity must be in [0, 1], got {diversity}")
        nothing = np.full((count, 0), -1, np.int32)
        sessions = nothing if sessions is None else sessions
        exclude = nothing if exclude is None else exclude
        include = np.ones(len(self.catalog), bool) if include is None else include
        if context is not None:
            context = np.asarray(context, np.int32)
            # The latest stands last, where methods that forget look.
            order = np.argsort(context >= 0, axis=1, kind="stable")
            context = np.take_along_axis(context, order, axis=1)
        rows, scores = np.full((count, k), -1, np.int32), np.zeros((count, k), np.float32)
        relaxed: dict[str, np.ndarray] = {}
        for start in tqdm(range(0, count, BATCH), desc="recommend", unit="batch", disable=not progress):
            part = slice(start, start + BATCH)
            shown = None if context is None else tf.constant(context[part])
            arguments = map(tf.constant, (user_rows[part], sessions[part], exclude[part], include))
            found, score, query = self._candidates(*arguments, shown, k, include_seen, self._settings)
            page = self._chosen(found, score, k, tf.constant(level[part]), query, shown, count >= MANY_USERS)
            rows[part], scores[part] = page[0].numpy(), page[1].numpy()
            for name, missed in page[2].items():
                relaxed.setdefault(name, np.zeros(count, bool))[part] = missed.numpy()
        if any(missed.any() for missed in relaxed.values()):
            counts = ", ".join(
                f"{name} for {missed.sum()}" for name, missed in relaxed.items() if missed.any()
            )
            warnings.warn(f"constraints that could not be kept, of {count} users: {counts}", stacklevel=3)
        return rows, scores, relaxed

    def _page_length(self, k: int | None) -> int:
        return min(self.k if k is None else _checked_length(k), len(self.catalog))

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


def _checked_length(k: int) -> int:
    if isinstance(k, bool | np.bool_) or int(k) != k:
        raise ValueError(f"k must be a whole number, got {k!r}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return int(k)


def _check_two_groups(groups: np.ndarray, by: str) -> None:
    wrong = groups[~np.isin(groups, (-1, 0, 1))] if groups.ndim == 1 else groups
    if groups.ndim != 1 or wrong.size:
        found = f"the code {wrong[0]}" if groups.ndim == 1 else f"numbers {list(groups.shape)}"
        raise ValueError(
            f"features['groups']: {by} expects codes [items] of 1, 0, or -1 for none; got {found}"
        )


def _profile_over(reranker: Reranker) -> str:
    """Returns the feature whose shares in a history are the user's profile."""
    return getattr(reranker, "profile_over", "aspects" if "aspects" in reranker.features else "groups")


def features_needed(reranker: Reranker) -> tuple[str, ...]:
    """Returns the item features that a recommender must have for a re-ranker.

    Args:
        reranker: A re-ranking layer.
    """
    profile = (_profile_over(reranker),) if "user_profile" in reranker.profiles else ()
    return tuple(dict.fromkeys((*reranker.required, *profile)))


def content_of(retriever: Retriever, data: Dataset, centred_on: int | None = None) -> np.ndarray:
    """Returns the items' content vectors: what the text and image towers make, and the categories.

    Args:
        retriever: Whose towers have read the content.
        data: The items.
        centred_on: How many items, from the first, have the mean that vectors are centred on; None: all.
    """
    parts = {}
    if (model := retriever.content_model) is not None:
        parts = {name: model.content(name) for name in content_towers(retriever)}
    categories = data.catalog.category_matrix()
    if categories.shape[1]:
        parts["categories"] = categories.astype(bool)
    if not parts:
        parts["retrieval"] = retriever.item_embeddings()
        found = (
            "the retriever's own vectors are used, so that relevance and diversity are measured in one space"
            if parts["retrieval"].any()
            else "nor does the retriever tell which items are alike, so that there is nothing to diversify by"
        )
        warnings.warn(
            f"the items have no text, picture or category to measure diversity on: {found}", stacklevel=3
        )
    return content_vectors(parts, centred_on=centred_on)
