"""Relevance metrics: by hand, against the shared protocol, and against rectools."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.metrics import RELEVANCE, hits, num_relevant

# Four users, three places: hit at 2 and 3 of 2; at 1 of 5; none of 1; nothing relevant.
HITS = np.array([[False, True, True], [True, False, False], [False, False, False], [False, False, False]])
RELEVANT = np.array([2, 5, 1, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("precision", [2 / 3, 1 / 3, 0]),
        ("recall", [1, 1 / 5, 0]),
        ("f1", [0.8, 0.25, 0]),  # 2 * (2/3 * 1) / (5/3); 2 * (1/3 * 1/5) / (8/15)
        ("hit_rate", [1, 1, 0]),
        ("mrr", [0.5, 1, 0]),
        # (1/log2(3) + 1/2) / (1 + 1/log2(3)); 1 / (1 + 1/log2(3) + 1/2)
        ("ndcg", [1.1309297536 / 1.6309297536, 1 / 2.1309297536, 0]),
        # (1/2 + 2/3) / min(3, 2); 1 / min(3, 5)
        ("map", [7 / 12, 1 / 3, 0]),
    ],
)
def test_values_by_hand(name, expected):
    values = RELEVANCE[name](HITS, RELEVANT)
    np.testing.assert_allclose(values[:3], expected, atol=1e-10)
    assert np.isnan(values[3])


@pytest.mark.parametrize("name", sorted(RELEVANCE))
def test_the_best_list_has_the_value_one(name):
    full = np.ones((1, 4), bool)
    assert RELEVANCE[name](full, np.array([4])) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["ndcg", "map", "precision"])
def test_more_relevant_items_than_places_still_allow_the_value_one(name):
    assert RELEVANCE[name](np.ones((1, 4), bool), np.array([9])) == pytest.approx(1.0)


def test_hits_are_found_by_user_and_item():
    rows = np.array([[5, 0, 3], [0, 5, -1], [1, 2, 3]])
    values, splits = np.array([3, 0, 9, 5]), np.array([0, 2, 4, 4])
    expected = [[False, True, True], [False, True, False], [False, False, False]]
    assert hits(rows, values, splits).tolist() == expected


def test_padding_never_hits():
    # With keys user * width + item, -1 of user 1 would be the last item of user 0.
    assert not hits(np.array([[0], [-1]]), np.array([7, 6]), np.array([0, 1, 2])).any()


@given(seed=st.integers(0, 2**32 - 1), least=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_hits_are_those_of_a_look_at_each_place(seed, least):
    """Users are looked up block by block; here the blocks are of one to four users."""
    from tfrec_div.metrics import relevance

    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 12, size=(9, 4))
    lengths = rng.integers(0, 6, size=9)
    values, splits = rng.integers(0, 15, size=lengths.sum()), np.concatenate([[0], np.cumsum(lengths)])
    expected = [
        [item >= 0 and item in values[splits[user] : splits[user + 1]] for item in row]
        for user, row in enumerate(rows)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relevance, "_CELLS", 1)
        patch.setattr(relevance, "_LEAST_BLOCK", least)
        assert hits(rows, values, splits).tolist() == expected
    assert hits(rows, values, splits).tolist() == expected


def test_nobody_has_anything_relevant():
    assert hits(np.array([[0, 1]]), np.array([], int), np.array([0, 0])).tolist() == [[False, False]]


def test_a_relevant_item_listed_twice_counts_once():
    assert num_relevant(np.array([4, 4, 1, 2]), np.array([0, 3, 3, 4])).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 3), int), np.array([1]), np.array([0, 1])), "must have 3 entries, from 0 to 1"),
        # With −1 in the table of users, the last item of the user before would be relevant.
        (
            (np.array([[3], [1]]), np.array([0, -1, 2]), np.array([0, 1, 3])),
            "relevant_values must be rows of the catalogue; received -1",
        ),
        (
            (np.zeros((2, 1), int), np.array([0, 1, 2]), np.array([1, 2, 3])),
            "must have 3 entries, from 0 to 3; received 3 entries, from 1 to 3",
        ),
        (
            (np.zeros((3, 1), int), np.array([0, 1, 2]), np.array([0, 2, 1, 3])),
            "relevant_row_splits must not decrease; received 2 and then 1",
        ),
        ((np.zeros(3, int), np.array([1]), np.array([0, 1])), r"rows must have the shape \[users, k\]"),
        ((np.zeros((1, 3)), np.array([1]), np.array([0, 1])), "rows must be whole numbers; received float64"),
    ],
)
def test_wrong_shapes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        hits(*arguments)


def test_the_number_of_relevant_items_is_checked_likewise():
    with pytest.raises(ValueError, match="relevant_row_splits must not decrease; received 3 and then 2"):
        num_relevant(np.array([0, 1, 2]), np.array([0, 3, 2, 3]))
    with pytest.raises(
        ValueError, match=r"relevant_row_splits must have the shape \[users \+ 1\]; received \[0\]"
    ):
        num_relevant(np.array([], int), np.array([], int))


def test_no_share_of_no_places():
    with pytest.raises(ValueError, match=r"hits must have at least one place; received \[2, 0\]"):
        RELEVANCE["precision"](np.zeros((2, 0), bool), np.array([1, 0]))


def test_counts_instead_of_hits_are_refused():
    with pytest.raises(ValueError, match=r"hits must be bool \[users, k\]; received int64 \[1, 2\]"):
        RELEVANCE["recall"](np.array([[1, 0]]), np.array([1]))


@pytest.fixture(scope="module")
def protocol():
    shared = os.environ.get("TFREC_DIV_SHARED", str(Path(__file__).resolve().parents[3] / "shared"))
    path = Path(shared) / "eval" / "protocol.py"
    if not path.exists():
        pytest.skip("no shared protocol here")
    spec = importlib.util.spec_from_file_location("shared_protocol", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["shared_protocol"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world():
    """Random lists, as the protocol takes them."""
    rng = np.random.default_rng(0)
    users, items, categories = 60, 80, 7
    genres = (rng.random((items, categories)) < 0.3).astype(float)
    genres[:3] = 0.0
    pairs = np.unique(rng.integers(0, [users, items], size=(900, 2)), axis=0)
    train = rng.random(len(pairs)) < 0.5
    rows = np.argsort(rng.random((users, items)), axis=1)[:, :20].astype(np.int32)
    rows[7, 6:] = -1
    rows[8, 1:] = -1
    data = SimpleNamespace(
        U=users, I=items, u=pairs[:, 0], i=pairs[:, 1], G=genres, text=["one two", "two three"] * (items // 2)
    )
    split = SimpleNamespace(
        test=~train,
        train=train,
        candidates=np.ones(items, bool),
        exclude=np.zeros((users, items), bool),
        eval_users=np.unique(pairs[~train, 0]),
    )
    return SimpleNamespace(data=data, split=split, rows=rows, vectors=rng.normal(size=(items, 5)))


def test_agrees_with_the_shared_protocol(protocol, world):
    from tfrec_div import metrics

    data, split = world.data, world.split
    means, per_user = protocol.evaluate(data, split, world.rows, per_user=True, vec=world.vectors)
    who = split.eval_users
    held_out = split.test & np.isin(data.u, who)
    splits = np.concatenate([[0], np.cumsum(np.bincount(data.u[held_out], minlength=data.U)[who])])
    values = data.i[held_out]  # sorted by user
    relevant = num_relevant(values, splits)
    names = {"recall": "Recall", "ndcg": "NDCG"}
    for k in (10, 20):
        found = hits(world.rows[who, :k], values, splits)
        for ours, theirs in names.items():
            np.testing.assert_allclose(
                RELEVANCE[ours](found, relevant), per_user[f"{theirs}@{k}"], atol=1e-12
            )
    top = world.rows[who, :10]
    found = hits(top, values, splits)
    for ours, theirs in {"precision": "Prec@10", "hit_rate": "HR@10", "mrr": "MRR@10"}.items():
        np.testing.assert_allclose(RELEVANCE[ours](found, relevant), per_user[theirs], atol=1e-12)
    counts = np.bincount(data.i[split.train], minlength=data.I)
    ours = {
        "ILD_genre@10": metrics.intra_list_distance(top, data.G),
        "ILD_vec@10": metrics.intra_list_distance(top, world.vectors),
        "GenreEntropy@10": metrics.category_entropy(top, data.G),
        "Novelty@10": metrics.novelty(top, counts, data.U),
    }
    for name, value in ours.items():
        np.testing.assert_allclose(value, per_user[name], atol=1e-6)
    assert metrics.catalog_coverage(top, data.I) == pytest.approx(means["Coverage@10"])
    assert metrics.gini(top, data.I) == pytest.approx(means["Gini@10"])


def test_agrees_with_rectools():
    pytest.importorskip("rectools.metrics", reason="rectools is not installed")
    import pandas as pd
    import rectools
    from rectools.metrics import MAP, MRR, NDCG, F1Beta, HitRate, Precision, Recall, calc_metrics

    rng = np.random.default_rng(1)
    rows = np.argsort(rng.random((30, 40)), axis=1)[:, :6]
    relevant = [np.sort(rng.permutation(40)[: rng.integers(1, 6)]) for _ in range(30)]
    splits = np.concatenate([[0], np.cumsum([len(items) for items in relevant])])
    columns = rectools.Columns
    reco = pd.DataFrame(
        {
            columns.User: np.repeat(np.arange(30), 6),
            columns.Item: rows.ravel(),
            columns.Rank: np.tile(np.arange(1, 7), 30),
        }
    )
    test = pd.DataFrame(
        {columns.User: np.repeat(np.arange(30), np.diff(splits)), columns.Item: np.concatenate(relevant)}
    )
    theirs = calc_metrics(
        {
            "precision": Precision(k=6),
            "recall": Recall(k=6),
            "hit_rate": HitRate(k=6),
            "mrr": MRR(k=6),
            "map": MAP(k=6),  # divides by num_relevant, at most 5 here: the same
        },
        reco,
        interactions=test,
    )
    found = hits(rows, np.concatenate(relevant), splits)
    for name, value in theirs.items():
        assert RELEVANCE[name](found, np.diff(splits)).mean() == pytest.approx(value)
    f1 = F1Beta(k=6).calc_per_user(reco, test)
    np.testing.assert_allclose(RELEVANCE["f1"](found, np.diff(splits)), f1.sort_index())
    # rectools' ideal list is k relevant items whatever num_relevant: ours is compared where that is the same.
    five = np.diff(splits) == 5
    top5 = reco[reco[columns.Rank] <= 5]
    ndcg = NDCG(k=5, log_base=2).calc_per_user(top5, test).sort_index().to_numpy()
    np.testing.assert_allclose(RELEVANCE["ndcg"](found[:, :5], np.diff(splits))[five], ndcg[five])
    assert five.sum() >= 3
