"""Splits, by hand and for any log."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.split import (
    SPLITS,
    cold_items,
    global_time,
    leave_one_out,
    sparse_users,
    split_impressions,
    temporal,
)


def log(counts, items=None, times=None, num_items=None):
    """`counts[u]` interactions of user u; by default at times that rise through the whole log."""
    user = np.repeat(np.arange(len(counts)), counts)
    item = np.arange(len(user)) if items is None else np.asarray(items)
    size = int(item.max(initial=-1)) + 1 if num_items is None else num_items
    time = np.arange(len(user)) if times is None else np.asarray(times)
    return Interactions.from_rows(
        user, item, [f"u{n}" for n in range(len(counts))], [f"i{n}" for n in range(size)], timestamp=time
    )


@st.composite
def logs(draw):
    counts = draw(st.lists(st.integers(0, 14), min_size=1, max_size=5))
    n = sum(counts)
    items = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    times = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    return log(counts, items, times, num_items=6)


def items_of(rows, mask):
    return rows.item[mask].tolist()


def test_temporal_holds_out_the_last_fifth_of_each_user():
    rows = log([10, 5, 4, 2, 1, 0])
    train, test = temporal(rows, 0.2)
    assert items_of(rows, test) == [8, 9, 14, 18, 20]
    assert (train == ~test).all()


def test_temporal_rounds_down_without_rounding_errors():
    assert temporal(log([100]), 0.29)[1].sum() == 29
    assert temporal(log([99]), 0.29)[1].sum() == 28
    assert temporal(log([2]), 0.99)[1].sum() == 1
    assert temporal(log([5]), 1 - 1e-12)[1].sum() == 4


def test_leave_one_out_holds_out_the_last_of_users_with_two_or_more():
    rows = log([3, 1, 2, 0])
    assert items_of(rows, leave_one_out(rows)[1]) == [2, 5]


def test_global_time_cuts_everybody_at_one_moment():
    rows = log([3, 3], times=[1, 5, 6, 2, 3, 4])
    train, test = global_time(rows, 0.4)
    assert sorted(rows.timestamp[test]) == [5, 6]
    assert sorted(rows.timestamp[train]) == [1, 2, 3, 4]


def test_global_time_keeps_the_share_within_a_tie():
    rows = log([5, 5], times=np.zeros(10))
    assert global_time(rows, 0.2)[1].sum() == 2


def test_global_time_needs_time():
    rows = Interactions.from_rows([0, 0], [0, 1], ["u"], ["x", "y"])
    with pytest.raises(ValueError, match="timestamp"):
        global_time(rows)


def test_cold_items_come_from_those_with_five_interactions():
    counts = {0: 5, 1: 4, 2: 9, 3: 1, 4: 6}
    items = [item for item, count in counts.items() for _ in range(count)]
    rows = log([len(items)], items)
    train, test = cold_items(rows, 0.34, seed=3)
    assert len(set(items_of(rows, test))) == 1
    assert set(items_of(rows, test)) <= {0, 2, 4}
    assert set(items_of(rows, train)) == {0, 1, 2, 3, 4} - set(items_of(rows, test))
    assert len(set(items_of(rows, cold_items(rows, 0.67)[1]))) == 2


def test_seeds_pick_other_cold_items_and_the_same_seed_the_same():
    rows = log([200], np.repeat(np.arange(40), 5))
    picks = [frozenset(items_of(rows, cold_items(rows, 0.2, seed)[1])) for seed in (0, 0, 1)]
    assert picks[0] == picks[1] != picks[2]
    assert {len(pick) for pick in picks} == {8}


def test_no_item_with_five_interactions_means_no_cold_items():
    assert not cold_items(log([3]))[1].any()


def test_sparse_users_keep_five_and_are_tested_on_their_temporal_test():
    rows = log([20, 20], np.tile(np.arange(20), 2))
    train, test = sparse_users(rows, 0.2, seed=0)
    sparse = int(rows.user[test][0])
    assert items_of(rows, test) == [16, 17, 18, 19]
    assert items_of(rows, train & (rows.user == sparse)) == [0, 1, 2, 3, 4]
    assert items_of(rows, train & (rows.user == 1 - sparse)) == list(range(16))


def test_half_of_the_active_users_become_sparse():
    rows = log([10, 0, 10, 10, 10, 0, 10])
    assert len(set(rows.user[sparse_users(rows, seed=1)[1]].tolist())) == 2


def test_a_sparse_user_does_not_keep_what_is_tested():
    rows = log([4, 4])
    train, test = sparse_users(rows, 0.5)
    assert test.sum() == 2
    assert not (train & test).any()


@pytest.mark.parametrize("name", ["temporal", "global_time", "cold_items", "sparse_users"])
@pytest.mark.parametrize("share", [0, 1, -0.2, 20])
def test_a_share_is_between_zero_and_one(name, share):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {share}"):
        SPLITS[name](log([5]), share, 0)


def test_the_names_of_the_splits():
    assert set(SPLITS) == {"temporal", "global_time", "leave_one_out", "cold_items", "sparse_users"}


@pytest.mark.parametrize("name", list(SPLITS))
@given(rows=logs(), share=st.floats(0.01, 0.99), seed=st.integers(0, 3))
def test_train_and_test_are_disjoint(name, rows, share, seed):
    train, test = SPLITS[name](rows, share, seed)
    assert train.shape == test.shape == (len(rows),)
    assert not (train & test).any()
    if name != "sparse_users":
        assert (train | test).all()


@pytest.mark.parametrize("name", ["temporal", "global_time", "leave_one_out", "sparse_users"])
@given(rows=logs(), share=st.floats(0.01, 0.99), seed=st.integers(0, 3))
def test_nothing_of_a_users_test_comes_before_their_train(name, rows, share, seed):
    train, test = SPLITS[name](rows, share, seed)
    for user in range(rows.num_users):
        places = np.flatnonzero(rows.user == user)
        last_train = places[train[places]].max(initial=-1)
        first_test = places[test[places]].min(initial=len(rows))
        assert last_train < first_test


@pytest.mark.parametrize("name", ["temporal", "leave_one_out"])
@given(rows=logs(), share=st.floats(0.01, 0.99))
def test_every_user_keeps_a_train_interaction_and_all_with_two_are_tested(name, rows, share):
    train, test = SPLITS[name](rows, share, 0)
    counts = rows.user_counts()
    assert (np.bincount(rows.user[train], minlength=len(counts)) >= np.minimum(counts, 1)).all()
    assert ((np.bincount(rows.user[test], minlength=len(counts)) > 0) == (counts >= 2)).all()


@given(rows=logs(), share=st.floats(0.01, 0.99), seed=st.integers(0, 3))
def test_cold_items_are_never_trained_on(rows, share, seed):
    train, test = cold_items(rows, share, seed)
    assert not set(items_of(rows, train)) & set(items_of(rows, test))


@given(rows=logs(), share=st.floats(0.01, 0.99))
def test_the_global_cut_is_a_moment(rows, share):
    train, test = global_time(rows, share)
    if test.any():
        assert rows.timestamp[train].max() <= rows.timestamp[test].min()


def shown(user, item, timestamp):
    n = len(user)
    return Impressions.from_rows(
        user=user, item=item, timestamp=timestamp, position=np.ones(n), clicked=np.zeros(n)
    )


def test_impressions_from_the_first_held_out_moment_on_go_to_the_test():
    rows = log([4, 1], times=[10, 20, 30, 40, 90])
    impressions = shown([0, 0, 0, 1], [0, 0, 0, 0], [39, 40, 50, 99])
    train, test = split_impressions("temporal", impressions, rows, *temporal(rows, 0.25))
    assert impressions.timestamp[train].tolist() == [39, 99]
    assert impressions.timestamp[test].tolist() == [40, 50]


def test_impressions_of_all_users_are_cut_at_the_global_moment():
    rows = log([2, 2], times=[10, 20, 30, 40])
    impressions = shown([0, 0, 1], [0, 0, 0], [39, 41, 10])
    train, test = split_impressions("global_time", impressions, rows, *global_time(rows, 0.25))
    assert impressions.timestamp[test].tolist() == [41]
    assert sorted(impressions.timestamp[train]) == [10, 39]


def test_impressions_of_cold_items_go_to_the_test():
    rows = log([12], [0, 1] * 6, num_items=3)
    masks = cold_items(rows, 0.5)
    cold = int(rows.item[masks[1]][0])
    impressions = shown([0, 0, 0], [0, 1, 2], [0, 0, 0])
    train, test = split_impressions("cold_items", impressions, rows, *masks)
    assert impressions.item[test].tolist() == [cold]
    assert sorted(impressions.item[train]) == sorted({0, 1, 2} - {cold})


def test_impressions_among_dropped_interactions_are_dropped():
    rows = log([10, 10], times=np.tile(np.arange(10), 2))
    masks = sparse_users(rows, 0.2)
    sparse = int(rows.user[masks[1]][0])
    impressions = shown([sparse] * 3 + [1 - sparse] * 3, [0] * 6, [4, 6, 8] * 2)
    train, test = split_impressions("sparse_users", impressions, rows, *masks)
    assert impressions.timestamp[train & (impressions.user == sparse)].tolist() == [4]
    assert impressions.timestamp[test].tolist() == [8]
    assert impressions.timestamp[train & (impressions.user != sparse)].tolist() == [4, 6]


def test_without_time_an_impression_of_a_held_out_pair_goes_to_the_test():
    rows = Interactions.from_rows([0, 0], [0, 1], ["u"], ["x", "y", "z"])
    masks = leave_one_out(rows)
    held = int(rows.item[masks[1]][0])
    impressions = shown([0, 0, 0], [0, 1, 2], [0, 0, 0])
    train, test = split_impressions("leave_one_out", impressions, rows, *masks)
    assert impressions.item[test].tolist() == [held]
    assert (train == ~test).all()
