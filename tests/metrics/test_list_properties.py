"""What holds of every metric with one value per user: padding, order, range, and users one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div import metrics
from tfrec_div.metrics import Judgements

ITEMS, USERS, K = 25, 6, 5


@dataclass(frozen=True)
class World:
    """Lists and all that is measured against."""

    rows: np.ndarray
    hits: np.ndarray
    history: tuple[np.ndarray, np.ndarray]
    relevant: tuple[np.ndarray, np.ndarray]
    vectors: np.ndarray
    genres: np.ndarray
    counts: np.ndarray

    @property
    def judged(self) -> Judgements:
        return Judgements.from_categories(self.rows, *self.relevant, self.genres)

    def of_user(self, user: int) -> World:
        def own(ragged):
            values, splits = ragged
            return values[splits[user] : splits[user + 1]], np.array([0, splits[user + 1] - splits[user]])

        row = self.rows[user : user + 1]
        hits = self.hits[user : user + 1]
        return replace(self, rows=row, hits=hits, history=own(self.history), relevant=own(self.relevant))


def world(seed: int) -> World:
    rng = np.random.default_rng(seed)

    def ragged(least):
        splits = np.concatenate([[0], np.cumsum(rng.integers(least, 9, USERS))])
        return np.concatenate([rng.permutation(ITEMS)[:n] for n in np.diff(splits)]), splits

    rows = np.argsort(rng.random((USERS, ITEMS)), axis=1)[:, :K]
    lengths = np.array([K, K, K - 1, 3, 2, 1])
    rows = np.where(np.arange(K) < lengths[:, np.newaxis], rows, -1)
    relevant = ragged(0)
    return World(
        rows=rows,
        hits=metrics.hits(rows, *relevant),
        history=ragged(0),
        relevant=relevant,
        vectors=rng.normal(size=(ITEMS, 4)) * (rng.random((ITEMS, 1)) < 0.9),
        genres=(rng.random((ITEMS, 6)) < 0.3).astype(float),
        counts=rng.integers(0, 30, ITEMS),
    )


GENERAL = np.linspace(0.1, 0.6, 6)  # of binomial diversity: else it depends on the other users' histories

# Metrics that see a list as a set.
ORDER_FREE = {
    "ild": lambda w: metrics.intra_list_distance(w.rows, w.vectors) / 2,
    "ild hamming": lambda w: metrics.intra_list_distance(w.rows, w.genres, "hamming") / 6,
    "ild jaccard": lambda w: metrics.intra_list_distance(w.rows, w.genres, "jaccard"),
    "ils jaccard": lambda w: metrics.intra_list_similarity(w.rows, w.genres, "jaccard"),
    "eild": lambda w: metrics.expected_intra_list_distance(
        w.rows, w.genres, distance="jaccard", discount="none"
    ),
    "eild relevance": lambda w: metrics.expected_intra_list_distance(
        w.rows, w.genres, w.hits, "jaccard", discount="none"
    ),
    "vendi": lambda w: metrics.vendi_score(w.rows, w.vectors) / K,
    "vendi 2": lambda w: metrics.vendi_score(w.rows, w.genres, "jaccard", q=2) / K,
    "category entropy": lambda w: metrics.category_entropy(w.rows, w.genres) / np.log2(6),
    "subtopic recall": lambda w: metrics.subtopic_recall(w.judged),
    "binomial": lambda w: metrics.binomial_diversity(w.rows, *w.history, w.genres, general=GENERAL),
    "binomial relevance": lambda w: metrics.binomial_diversity(
        w.rows, *w.history, w.genres, relevant=w.hits, general=GENERAL
    ),
    "epc": lambda w: metrics.expected_popularity_complement(w.rows, w.counts, 30, w.hits, discount="none"),
    "efd": lambda w: metrics.expected_free_discovery(w.rows, w.counts, discount="none") / 10,
    "calibration kl": lambda w: metrics.calibration_kl(w.rows, *w.history, w.genres) / np.log(100),
    "calibration js": lambda w: metrics.calibration_js(w.rows, *w.history, w.genres),
    "unexpectedness": lambda w: metrics.unexpectedness(w.rows, *w.history, w.genres, "jaccard"),
    "unexpectedness min": lambda w: (
        metrics.unexpectedness(w.rows, *w.history, w.vectors, definition="min") / 2
    ),
    "serendipity ge": lambda w: metrics.serendipity(w.rows, w.hits, definition="ge", expected=np.arange(9)),
    "radio calibration": lambda w: metrics.radio_calibration(w.rows, *w.history, w.genres, rank_aware=False),
    "radio activation": lambda w: metrics.radio_activation(w.rows, w.vectors[:, 0], rank_aware=False),
    "radio representation": lambda w: metrics.radio_representation(w.rows, w.genres, rank_aware=False),
}
ORDERED = {
    "eild": lambda w: metrics.expected_intra_list_distance(w.rows, w.genres, w.hits, "jaccard"),
    "eild product": lambda w: (
        metrics.expected_intra_list_distance(w.rows, w.vectors, discount="reciprocal", definition="product")
        / 2
    ),
    "alpha-ndcg": lambda w: metrics.alpha_ndcg(w.judged) / 1.2,  # a greedy ideal is not the best
    "alpha-dcg": lambda w: metrics.alpha_ndcg(w.judged, normalization="perfect"),
    "err-ia": lambda w: metrics.err_ia(w.judged),
    "nrbp": lambda w: metrics.nrbp(w.judged),
    "ap-ia": lambda w: metrics.average_precision_ia(w.judged),
    "epc": lambda w: metrics.expected_popularity_complement(w.rows, w.counts, 30, w.hits),
    "efd": lambda w: (
        metrics.expected_free_discovery(w.rows, w.counts, w.hits, normalization="relevance") / 10
    ),
    "serendipity": lambda w: metrics.serendipity(w.rows, w.hits, w.counts),
    "calibration kl": lambda w: (
        metrics.calibration_kl(w.rows, *w.history, w.genres, discount="log2") / np.log(100)
    ),
    "radio calibration": lambda w: metrics.radio_calibration(w.rows, *w.history, w.genres),
    "radio activation": lambda w: metrics.radio_activation(w.rows, w.vectors[:, 0], w.history),
    "radio voices": lambda w: metrics.radio_alternative_voices(w.rows, w.genres[:, 0], w.genres[:, 1]),
}
ALL = {**{f"set of {n}": m for n, m in ORDER_FREE.items()}, **ORDERED}
# These are of k places, filled or not: more places change the ideal or what a list could have had.
OF_K_PLACES = {"alpha-ndcg", "alpha-dcg", "err-ia"}

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", ALL)
@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_a_batch_is_its_users_one_by_one(name, seed):
    w = world(seed)
    together = ALL[name](w)
    assert together.shape == (USERS,)
    assert together.dtype == np.float64
    alone = np.concatenate([ALL[name](w.of_user(user)) for user in range(USERS)])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in ALL if n not in OF_K_PLACES])
@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_padding_changes_nothing(name, seed):
    w = world(seed)
    padding = np.full((USERS, 3), -1)
    padded = replace(w, rows=np.hstack([w.rows, padding]), hits=np.hstack([w.hits, padding > 0]))
    np.testing.assert_allclose(ALL[name](padded), ALL[name](w), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", ORDER_FREE)
@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_the_order_changes_nothing(name, seed):
    w = world(seed)
    order = np.random.default_rng(seed).permutation(K)
    other = replace(w, rows=w.rows[:, order], hits=w.hits[:, order])
    np.testing.assert_allclose(ORDER_FREE[name](other), ORDER_FREE[name](w), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", ORDERED)
def test_the_order_matters_elsewhere(name):
    w = world(7)
    other = replace(w, rows=w.rows[:, ::-1], hits=w.hits[:, ::-1])
    assert (np.nan_to_num(ORDERED[name](other)) != np.nan_to_num(ORDERED[name](w))).any()


@pytest.mark.parametrize("name", ALL)
@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_values_lie_between_zero_and_one(name, seed):
    values = ALL[name](world(seed))
    values = values[~np.isnan(values)]
    assert (values >= 0.0).all()
    assert (values <= 1.0 + 1e-9).all()
