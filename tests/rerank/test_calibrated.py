"""Calibrated lists: by hand, and against the published objective."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rerank.aspect_cases import Page, is_greedy, random_case
from tfrec_div.rerank import Calibrated

# Steck's example: 70 romance and 30 action movies watched, and only romance has the best scores.
ROMANCE = {
    "scores": [[1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91, 0.5, 0.49, 0.48, 0.47]],
    "aspects": [[[1.0, 0.0]] * 10 + [[0.0, 1.0]] * 4],
    "user_profile": [[70.0, 30.0]],
}


def test_a_page_of_ten_has_seven_romances_and_three_actions():
    page = Calibrated(k=10, diversity=0.99, score_normalization="none")(ROMANCE).numpy()[0]
    assert sorted(page.tolist()) == [0, 1, 2, 3, 4, 5, 6, 10, 11, 12]
    by_score = Calibrated(k=10, diversity=0.0)(ROMANCE).numpy()[0]
    assert by_score.tolist() == list(range(10))


def test_picks_by_hand():
    # p = (.5, .5), q~ = .99 q + .005. One romance: q~ = .995, .005: KL = .5 ln(.5/.995) + .5 ln(.5/.005) = 1.9585.
    # Both: KL = 0. A mixed item alone: 0. First pick at d: (1-d)*1 - d*1.9585 against (1-d)*.6 - 0: 1 at d > .17.
    lists = {
        "scores": [[1.0, 0.6, 0.9]],
        "aspects": [[[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]],
        "user_profile": [[1.0, 1.0]],
    }
    layer = Calibrated(k=3, score_normalization="none")
    assert layer({**lists, "diversity": 0.16}).numpy().tolist() == [[0, 2, 1]]
    # After the mixed one: q = (.75, .25) with 0, (.25, .75) with 2: equal, so by score.
    assert layer({**lists, "diversity": 0.18}).numpy().tolist() == [[1, 0, 2]]


def test_the_first_places_may_weigh_more():
    # p = (.65, .35). After an item of the first aspect: second place second aspect, q = 1/2 without discount,
    # q = 1/(1+.6309)=.613 with it: log(2)/log(3)=.6309. Third place, weight .5: first: 1.5/2.1309=.704, second:
    # 1/2.1309=.469; without discount 2/3 or 1/3.
    lists = {
        "scores": np.zeros((1, 6)),
        "aspects": [[[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 3],
        "user_profile": [[0.56, 0.44]],
    }
    picks = {
        name: [
            int(pick >= 3)
            for pick in Calibrated(k=4, diversity=1.0, discount=name)(lists).numpy()[0].tolist()
        ]
        for name in ("none", "log", "reciprocal")
    }
    # none: 1/1, 1/2, 2/3 against 1/3 (|.107| against |.227|), then 3/4 against 2/4.
    # log: 1, .613, then 1.5/2.131=.704 against .469 (|.144|, |.091|), then weight .4307: 1.4307/2.5616=.559.
    # reciprocal: 1, 1/1.5=.667, then 1/1.833=.545, against 1.333/1.833=.727; then 1.25/2.083=.6 against .48.
    assert picks == {"none": [0, 1, 0, 1], "log": [0, 1, 1, 0], "reciprocal": [0, 1, 1, 0]}


def test_items_and_users_of_whom_nothing_is_known():
    lists = {
        "scores": [[0.9, 0.8, 0.7]],
        "aspects": [[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]],
        "user_profile": [[1.0, 1.0]],
    }
    # An item without aspects leaves the divergence as it is: by its score, once the page is calibrated.
    assert Calibrated(k=3, diversity=0.5)(lists).numpy().tolist() == [[1, 2, 0]]
    assert Calibrated(k=3, diversity=0.9)({**lists, "user_profile": [[0.0, 0.0]]}).numpy().tolist() == [
        [0, 1, 2]
    ]


def test_what_was_shown_before_belongs_to_the_list():
    lists = {"scores": [[0.9, 0.8]], "aspects": [[[1.0, 0.0], [0.0, 1.0]]], "user_profile": [[1.0, 1.0]]}
    assert Calibrated(k=1, diversity=0.8)(lists).numpy().tolist() == [[0]]
    shown = {**lists, "context_aspects": [[[1.0, 0.0]]]}
    assert Calibrated(k=1, diversity=0.8)(shown).numpy().tolist() == [[1]]


def published(case, discount, alpha=0.01):
    """Equations 2, 3, 5, 6 and 7 of Steck (2018), greedily, every divergence from scratch in float64."""
    given = np.array(case["aspects"])
    rows = np.concatenate([given, case.get("context_aspects", np.zeros((0, given.shape[1])))])
    total = rows.sum(1, keepdims=True)
    rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    p = case["user_profile"] / max(case["user_profile"].sum(), 1e-12)
    weight = {"none": lambda r: 1.0, "log": lambda r: 1 / np.log2(r + 1), "reciprocal": lambda r: 1 / r}[
        discount
    ]

    def divergence(members):
        members = [i for i in members if rows[i].sum() > 0]
        q = np.zeros(len(p))
        for r, i in enumerate(members, 1):
            q += weight(r) * rows[i]
        if members:
            q /= sum(weight(r) for r in range(1, len(members) + 1))
        smooth = (1 - alpha) * q + alpha * p
        return sum(p[g] * np.log(p[g] / smooth[g]) for g in range(len(p)) if p[g] > 0)

    picked = list(range(len(given), len(rows)))
    while True:
        gains = np.full(len(given), -np.inf)
        for i in set(range(len(given))) - set(picked):
            gains[i] = (1 - case["diversity"]) * case["scores"][i] - case["diversity"] * divergence(
                [*picked, i]
            )
        picked.append((yield gains))


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("discount", ["none", "log", "reciprocal"])
def test_picks_of_the_published_objective(discount, context):
    page = Page(Calibrated(k=8, score_normalization="none", discount=discount))
    for seed in range(100):
        case = random_case(seed, context)
        assert is_greedy(page(case), published(case, discount), 1e-5), seed


def test_smoothing_is_an_argument():
    page = Page(Calibrated(k=8, score_normalization="none", alpha=0.3))
    for seed in range(50):
        case = random_case(seed)
        assert is_greedy(page(case), published(case, "none", 0.3), 1e-5), seed


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"Calibrated: alpha must lie above 0 and below 1; received 0\.0"):
        Calibrated(alpha=0.0)
    with pytest.raises(ValueError, match="discount must be one of none, log, reciprocal; received 'dcg'"):
        Calibrated(discount="dcg")
