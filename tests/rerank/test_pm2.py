"""PM-2: by hand, as an election, and against the published loop."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rerank.aspect_cases import Page, is_greedy, random_case
from tfrec_div.rerank import PM2

EYE = np.eye(2, dtype=np.float32)


def test_seats_of_an_election_by_sainte_lague():
    # 53, 24 and 23 votes, one aspect an item: quotients 53 24 23 | 17.7 24 23 | 17.7 8 23 | 17.7 | 10.6 ...
    votes = np.float32([[53.0, 24.0, 23.0]])
    aspects = np.repeat(np.eye(3, dtype=np.float32), 7, axis=0)[None]
    lists = {"scores": np.zeros((1, 21)), "aspects": aspects, "user_profile": votes}
    places = PM2(k=7, diversity=1.0)(lists).numpy()[0] // 7
    assert places.tolist() == [0, 1, 2, 0, 0, 1, 2]
    assert np.bincount(places).tolist() == [3, 2, 2]


def test_picks_by_hand():
    lists = {
        "scores": [[0.0, 0.0, 0.0]],
        "aspects": [[[0.6, 0.6], [0.8, 0.0], [0.0, 0.7]]],
        "user_profile": [[0.5, 0.5]],
    }
    options = {"k": 3, "diversity": 1.0, "aspect_normalization": "none"}
    # The first aspect's turn. balance 1: .8 wins (1); then the second's turn: .7 (2) against .6.
    assert PM2(balance=1.0, **options)(lists).numpy().tolist() == [[1, 2, 0]]
    # balance .5: .5*.5*(.6+.6) = .3 against .2 and .175: 0, whose seat is shared by halves. Equal quotients: 1.
    assert PM2(balance=0.5, **options)(lists).numpy().tolist() == [[0, 1, 2]]


def test_relevance_counts_below_level_one():
    lists = {"scores": [[3.0, 2.0, 1.0]], "aspects": [EYE[[0, 0, 1]]], "user_profile": [[1.0, 1.0]]}
    # After 0 the quotients are 1/6 and 1/2, divided by the largest 1/3 and 1; it is the second aspect's turn.
    # 1: (1-d)*.5 + d*.5*(1/3) against 2: d*.5: equal at d = .6.
    layer = PM2(k=2)
    assert layer({**lists, "diversity": 0.55}).numpy().tolist() == [[0, 1]]
    assert layer({**lists, "diversity": 0.65}).numpy().tolist() == [[0, 2]]


def test_what_was_shown_before_has_its_seats():
    lists = {"scores": [[3.0, 2.0, 1.0]], "aspects": [EYE[[0, 0, 1]]], "user_profile": [[1.0, 1.0]]}
    shown = {**lists, "context_aspects": [EYE[[0]]]}
    assert PM2(k=1, diversity=0.9)(lists).numpy().tolist() == [[0]]
    assert PM2(k=1, diversity=0.9)(shown).numpy().tolist() == [[2]]


def published(case, balance):
    """Algorithm 2 of Dang and Croft (2012) with relevance beside it, P(d|t) each item's shares; float64."""
    given = np.array(case["aspects"])
    rows = np.concatenate([given, case.get("context_aspects", np.zeros((0, given.shape[1])))])
    total = rows.sum(1, keepdims=True)
    rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    votes = case["user_profile"]
    votes = votes / votes.sum() if votes.any() else np.full(len(votes), 1 / len(votes))
    seats, picked = np.zeros(len(votes)), []

    def seat(d):
        if rows[d].sum() > 0:
            for t in range(len(votes)):
                seats[t] += rows[d, t] / rows[d].sum()

    for d in range(len(given), len(rows)):
        seat(d)
    while True:
        quotient = np.array([votes[t] / (2 * seats[t] + 1) for t in range(len(votes))])
        turn = int(np.argmax(quotient > quotient.max() - 1e-6))
        gains = np.full(len(given), -np.inf)
        for d in set(range(len(given))) - set(picked):
            others = sum(quotient[t] * rows[d, t] for t in range(len(votes)) if t != turn)
            value = balance * quotient[turn] * rows[d, turn] + (1 - balance) * others
            gains[d] = (1 - case["diversity"]) * case["scores"][d] + case["diversity"] * value / quotient[
                turn
            ]
        pick = yield gains
        picked.append(pick)
        seat(pick)


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("balance", [0.0, 0.5, 0.8, 1.0])
def test_picks_of_the_published_loop(balance, context):
    page = Page(PM2(k=8, score_normalization="none", balance=balance))
    for seed in range(100):
        case = random_case(seed, context)
        assert is_greedy(page(case), published(case, balance)), seed


def test_balance_is_checked():
    with pytest.raises(ValueError, match=r"PM2: balance must lie in \[0, 1\]; received 1.5"):
        PM2(balance=1.5)
