"""What a ranker learns from: a retriever's own candidates, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.interactions import Interactions
from tfrec_div.models.retriever import Retriever

# Users whose candidates are retrieved at once.
USERS = 256
# What `RankingLists` itself tells of its lists.
COLUMNS = ("user_id", "history", "history_weight", "candidates", "signals", "label", "rating")
# What may be in `more` and is no event.
OF_PLACES = ("position", "propensity")


@dataclass(frozen=True, eq=False)
class RankingLists:
    """Lists of candidates, a user each, with what the retriever says of them and what the user did with them.

    An element of `as_dataset` is a dictionary: `user_id` int32 [batch]; `history` int32 [batch, steps] (item rows,
    the latest first, padded with -1) and `history_weight` float32 alike; `candidates` int32 [batch, n] (rows, padded
    with -1); `signals` float32 [batch, n, signals]; `label` float32 [batch, n], how relevant a candidate was (0: not
    interacted with); `rating` float32 [batch, n], NaN where there is none; and what is in `more`.

    Args:
        history: What was known before: the users' histories, the catalogue, and how popular items are.
        user: Int32 [lists], rows of users.
        before: Item rows int32 [lists, steps], the users' histories, and their strengths float32 alike.
        candidates: Int32 [lists, n].
        signals: Float32 [lists, n, signals].
        label: Float32 [lists, n].
        rating: Float32 [lists, n].
        signal_names: What each of the signals is; see `Retriever.signal_names`.
        more: Further float32 or int32 [lists, n] by name, such as `position`, `propensity`, or 1 where the candidate
            had an event ("purchase").
        batch_size: Lists a batch.
        shuffle: Whether each epoch has its own order, a function of `seed` and the epoch's number only.
        seed: Seed of the order.
        shown: Whether candidates are what users were shown: these users and items have ids, though `history` may not
            have them.
    """

    history: Dataset
    user: np.ndarray
    before: tuple[np.ndarray, np.ndarray]
    candidates: np.ndarray
    signals: np.ndarray
    label: np.ndarray
    rating: np.ndarray
    signal_names: tuple[str, ...]
    more: Mapping[str, np.ndarray] = field(default_factory=dict)
    batch_size: int = 64
    shuffle: bool = True
    seed: int = 0
    shown: bool = False

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {self.batch_size}")
        count, (lists, width) = len(self.user), self.candidates.shape
        if count != lists:
            raise ValueError(f"candidates: expected {count} lists, as many as users, got {lists}")
        if taken := sorted(set(COLUMNS) & set(self.more)):
            raise ValueError(f"more: expected other names than those of the lists' columns, got {taken[0]!r}")
        for name, values in {"label": self.label, "rating": self.rating, **self.more}.items():
            if values.shape != (lists, width):
                raise ValueError(f"{name}: expected shape [{lists}, {width}], got {list(values.shape)}")
        expected = (lists, width, len(self.signal_names))
        if self.signals.shape != expected:
            raise ValueError(f"signals: expected shape {list(expected)}, got {list(self.signals.shape)}")

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.user) // self.batch_size)

    def __iter__(self):
        return iter(self.as_dataset(epochs=1))

    def as_dataset(self, first_epoch: int = 0, epochs: int | None = None) -> tf.data.Dataset:
        """Returns the batches of the epochs from `first_epoch` on, one after the other (endless if None)."""
        values = (self.user, *self.before, self.candidates, self.signals, self.label, self.rating)
        columns = {**dict(zip(COLUMNS, values, strict=True)), **self.more}
        tables = {name: tf.constant(values) for name, values in columns.items()}
        count, size = len(self.user), self.batch_size

        def batches_of(epoch):
            order = tf.range(count)
            if self.shuffle:
                order = tf.random.experimental.stateless_shuffle(order, seed=tf.stack([self.seed, epoch]))

            def cut(step):
                rows = order[step * size : (step + 1) * size]
                return {name: tf.gather(table, rows) for name, table in tables.items()}

            return tf.data.Dataset.range(len(self), output_type=tf.int32).map(cut, num_parallel_calls=2)

        last = np.iinfo(np.int32).max if epochs is None else first_epoch + epochs
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        numbers = tf.data.Dataset.range(first_epoch, last, output_type=tf.int32)
        return numbers.flat_map(batches_of).prefetch(tf.data.AUTOTUNE).with_options(options)

    def take(self, rows: np.ndarray) -> RankingLists:
        """Returns some of the lists.

        Args:
            rows: Boolean mask [lists], or indices.
        """
        return replace(
            self,
            user=self.user[rows],
            before=(self.before[0][rows], self.before[1][rows]),
            candidates=self.candidates[rows],
            signals=self.signals[rows],
            label=self.label[rows],
            rating=self.rating[rows],
            more={name: values[rows] for name, values in self.more.items()},
        )

    def split(self, test: float = 0.1, seed: int = 0) -> tuple[RankingLists, RankingLists]:
        """Holds out the lists of some users, to stop the training by or to calibrate on; theirs are not shuffled.

        Args:
            test: The share of the users to hold out, between 0 and 1; at least one.
            seed: Decides which.
        """
        if not 0 < test < 1:
            raise ValueError(f"test: expected a share between 0 and 1, got {test}")
        users = np.unique(self.user)
        drawn = np.random.default_rng(seed).permutation(users)[: max(round(test * len(users)), 1)]
        held = np.isin(self.user, drawn)
        return self.take(~held), replace(self.take(held), shuffle=False)


def ranking_lists(
    retriever: Retriever,
    history: Dataset,
    targets: Dataset,
    num_candidates: int = 200,
    batch_size: int = 64,
    seed: int = 0,
    add_missed: bool = False,
    labels: str = "relevant",
    max_history: int = 100,
    progress: bool = False,
) -> RankingLists:
    """Makes a list of each user of `targets`: the retriever's best items that are new to the user.

    The retriever must be trained on `history` alone, which ends before the targets: of items that it has been told
    of it speaks otherwise than of those it will meet in use.

    Args:
        retriever: Trained on `history`.
        history: What came before, with the users' histories.
        targets: What came after it.
        num_candidates: Items a list, cut to the catalogue.
        batch_size: Lists a batch.
        seed: Seed of the order of the lists.
        add_missed: Whether new targets that the retriever has missed take the last places of the list. Then lists are
            other than in use, where what is missed does not come back.
        labels: "relevant": 1 for a target that speaks for the item, see `Interactions.relevant`, else 0;
            "strength": how strongly, see `Interactions.strength`.
        max_history: Latest items of a history that a list holds.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the schemas differ, there is no target, or an argument is out of range.

    Example:
        >>> from tfrec_div import EASE, make_synthetic
        >>> before, after = make_synthetic(num_users=20, num_items=30, images=False).split("temporal")
        >>> model = EASE(before.schema)
        >>> _ = model.fit(before.batches(64))
        >>> lists = ranking_lists(model, before, after, num_candidates=10)
        >>> lists.candidates.shape, next(iter(lists))["signals"].shape
        ((20, 10), TensorShape([20, 10, 1]))
    """
    if history.schema != retriever.schema or targets.schema != retriever.schema:
        raise ValueError("history, targets: expected the retriever's schema, got another")
    if num_candidates < 1:
        raise ValueError(f"num_candidates: expected at least 1, got {num_candidates}")
    if labels not in ("relevant", "strength"):
        raise ValueError(f"labels: expected 'relevant' or 'strength', got {labels!r}")
    log = targets.interactions
    users = np.unique(log.user).astype(np.int32)
    if not len(users):
        raise ValueError("targets: expected interactions, got none")
    known = history.interactions
    longest = int(known.user_counts()[users].max(initial=0))
    signals_of = tf.function(retriever.signals, reduce_retracing=True)
    retrieve = tf.function(retriever.retrieve, reduce_retracing=True)
    found, told = [], []
    for start in tqdm(range(0, len(users), USERS), desc="candidates", disable=not progress):
        some = users[start : start + USERS]
        query = retriever.query_of(history, some)
        rows = retrieve(query, num_candidates, known.latest(some, longest)[0])[0].numpy()
        if add_missed:
            rows = _with_missed(rows, some, log, known)
        found.append(rows)
        told.append(signals_of(query, tf.constant(rows)).numpy().astype(np.float32))
    candidates = np.concatenate(found).astype(np.int32)
    value = log.strength() if labels == "strength" else log.relevant().astype(np.float32)
    return RankingLists(
        history,
        users,
        known.latest(users, max_history),
        candidates,
        np.concatenate(told),
        label_of(log, users, candidates, value),
        ratings_of(log, users, candidates),
        retriever.signal_names,
        events_of(log, users, candidates),
        batch_size=batch_size,
        seed=seed,
    )


def label_of(log: Interactions, users: np.ndarray, candidates: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns the largest value of the user's interactions with each candidate, float32 [lists, n]; 0 without one.

    Args:
        log: The interactions.
        users: Int [lists], rows.
        candidates: Int [lists, n], rows; -1 is padding.
        value: Float [interactions], of at least 0.
    """
    place, inside = _places(log, users, candidates)
    largest = np.zeros(len(log) + 1, np.float32)
    np.maximum.at(largest, np.unique(_pairs(log), return_inverse=True)[1].reshape(-1), value)
    return np.where(inside, largest[place], 0.0).astype(np.float32)


def ratings_of(log: Interactions, users: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Returns the user's rating of each candidate, the last one if there are several; NaN where there is none."""
    if log.rating is None:
        return np.full(candidates.shape, np.nan, np.float32)
    place, inside = _places(log, users, candidates)
    last = np.full(len(log) + 1, np.nan, np.float32)
    last[np.unique(_pairs(log), return_inverse=True)[1].reshape(-1)] = log.rating
    return np.where(inside, last[place], np.nan).astype(np.float32)


def events_of(log: Interactions, users: np.ndarray, candidates: np.ndarray) -> dict[str, np.ndarray]:
    """Returns for each event of the log 1 where the user had it with the candidate, float32 [lists, n].

    Events that are called as something else of a list, as "rating" is, are left out.
    """
    if log.event is None:
        return {}
    return {
        name: label_of(log, users, candidates, (log.event == name).astype(np.float32))
        for name in log.event_names
        if name not in (*COLUMNS, *OF_PLACES)
    }


def _pairs(log: Interactions) -> np.ndarray:
    return log.user.astype(np.int64) * log.num_items + log.item


def _places(log: Interactions, users: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each candidate's pair stands among the sorted distinct pairs of the log, and whether it does."""
    pairs = np.unique(_pairs(log))
    wanted = users.astype(np.int64)[:, None] * log.num_items + candidates
    place = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    inside = (candidates >= 0) & (pairs[place] == wanted) if len(pairs) else np.zeros(wanted.shape, bool)
    return place, inside


def _with_missed(rows: np.ndarray, users: np.ndarray, log: Interactions, known: Interactions) -> np.ndarray:
    """Puts the users' new targets that are not among the rows in the places of the last ones that are no targets."""
    wanted = np.setdiff1d(_pairs(log), _pairs(known))
    owner, item = np.searchsorted(users, wanted // log.num_items), wanted % log.num_items
    owner = np.where(users[np.minimum(owner, len(users) - 1)] == wanted // log.num_items, owner, -1)
    listed = users.astype(np.int64)[:, None] * log.num_items + rows
    missed = (owner >= 0) & ~np.isin(wanted, listed[rows >= 0])
    owner, item = owner[missed], item[missed]
    # The first missed one of a list takes its last place, and so on.
    number = np.arange(len(owner)) - np.searchsorted(owner, owner)
    taken = _places(log, users, rows)[1]
    from_the_end = np.argsort(taken[:, ::-1], axis=1, kind="stable")
    room = number < (~taken).sum(axis=1)[owner]
    owner, item, number = owner[room], item[room], number[room]
    rows = rows.copy()
    rows[owner, rows.shape[1] - 1 - from_the_end[owner, number]] = item
    return rows
