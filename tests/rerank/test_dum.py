"""DUM: by hand, against the published scan, and against the best of all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.rerank.aspect_cases import Page, is_greedy, random_case
from tfrec_div.rerank import DUM

LIST = {
    "scores": [[0.9, 0.8, 0.7, 0.6, 0.1]],
    "aspects": [[[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]],
}


def test_published_list_by_hand():
    # 0 covers the first aspect, 2 adds the second, 4 the third; then nothing is new and the scores decide.
    assert DUM(k=5, diversity=1.0)(LIST).numpy().tolist() == [[0, 2, 4, 1, 3]]
    # Two of each count: 0, 1 (full), 2 (second aspect), 3 (second), 4.
    assert DUM(k=5, diversity=1.0, copies=2)(LIST).numpy().tolist() == [[0, 1, 2, 3, 4]]


def test_what_adds_nothing_must_be_better_by_the_price():
    # Scores from 0 to 1: 1, .875, .75, .625, 0. At d the price is d/(1-d): .25 at .2, .11 at .1.
    assert DUM(k=5, diversity=0.1)(LIST).numpy().tolist() == [[0, 1, 2, 3, 4]]
    # .875-.25 = .625 < .75 -> 2; then .625 (1), .375 (3), 0 (4).
    assert DUM(k=5, diversity=0.2)(LIST).numpy().tolist() == [[0, 2, 1, 3, 4]]
    # 0.4: price .667: after 2: .208 (1), -.04 (3), 0 (4).
    assert DUM(k=5, diversity=0.4)(LIST).numpy().tolist() == [[0, 2, 1, 4, 3]]


def test_what_was_shown_before_is_covered():
    shown = {**LIST, "context_aspects": [[[1, 0, 0], [0, 0, 0]]]}
    assert DUM(k=3, diversity=1.0)(shown).numpy().tolist() == [[2, 4, 0]]


def test_infinite_scores_at_level_one():
    lists = {**LIST, "scores": [[np.inf, np.inf, 0.0, -1.0, -2.0]]}
    assert DUM(k=5, diversity=1.0)(lists).numpy().tolist() == [[0, 2, 4, 1, 3]]


def test_the_list_is_the_best_of_all_orders():
    # The theorem of the paper: no order has a larger sum of relevance times new coverage.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        aspects = (rng.random((6, 4)) < 0.4).astype(np.float32)
        scores = rng.random(6).astype(np.float32)

        def worth(order, aspects=aspects, scores=scores):
            covered = [0] + [np.minimum(aspects[list(order[:n])].sum(0), 1).sum() for n in range(1, 7)]
            return sum(scores[i] * (covered[n + 1] - covered[n]) for n, i in enumerate(order))

        lists = {"scores": scores[None], "aspects": aspects[None]}
        page = DUM(k=6, diversity=1.0)(lists).numpy()[0].tolist()
        best = max(worth(order) for order in itertools.permutations(range(6)))
        assert worth(page) == pytest.approx(best, abs=1e-6)


def scan(case, copies):
    """The algorithm of Ashkan et al. (2015): through the items by score, each that adds coverage."""
    order = sorted(range(len(case["scores"])), key=lambda i: (-case["scores"][i], i))
    value = lambda members: np.minimum(case["aspects"][members].sum(0), copies).sum()  # noqa: E731
    taken = []
    for item in order:
        if value([*taken, item]) - value(taken) > 1e-5:
            taken.append(item)
    return taken + [item for item in order if item not in taken]


@pytest.mark.parametrize("copies", [1.0, 2.0])
def test_picks_of_the_published_scan(copies):
    page = Page(DUM(k=8, diversity=1.0, score_normalization="none", copies=copies))
    for seed in range(200):
        case = random_case(seed)
        assert page({key: case[key] for key in ("scores", "aspects")}) == scan(case, copies)[:8], seed


def mixture(case):
    given = np.array(case["aspects"])
    picked = []
    covered = case.get("context_aspects", np.zeros((0, given.shape[1]))).sum(0)
    while True:
        now = np.minimum(covered, 1).sum()
        gains = np.full(len(given), -np.inf)
        for i in set(range(len(given))) - set(picked):
            adds = np.minimum(covered + given[i], 1).sum() - now > 1e-5
            gains[i] = (1 - case["diversity"]) * case["scores"][i] + case["diversity"] * adds
        pick = yield gains
        picked.append(pick)
        covered = covered + given[pick]


@pytest.mark.parametrize("context", [False, True])
def test_picks_of_the_mixture(context):
    page = Page(DUM(k=8, score_normalization="none"))
    for seed in range(200):
        case = random_case(seed, context)
        del case["user_profile"]
        assert is_greedy(page(case), mixture(case)), seed


def test_copies_are_checked():
    with pytest.raises(ValueError, match="DUM: copies must be above 0; received 0"):
        DUM(copies=0)
    with pytest.raises(ValueError, match=r"DUM has no use for inputs\['user_profile'\]"):
        DUM()({**LIST, "user_profile": [[1.0, 1.0, 1.0]]})
