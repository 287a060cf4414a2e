"""Long-tail xQuAD: by hand, and against a loop of the formula."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rerank.aspect_cases import LEVELS, Page, is_greedy
from tfrec_div.rerank import LongTailXQuAD


def picks(lists, **options):
    return LongTailXQuAD(score_normalization="none", **options)(lists).numpy().tolist()[0]


LIST = {
    "scores": [[0.9, 0.8, 0.7, 0.3, 0.2, 0.1]],
    "groups": [[0, 0, 0, 1, 1, 1]],
    "user_profile": [[0.2, 0.6]],
}


def test_binary_by_hand():
    # P(tail|u)=.75. First: .45+.125=.575 (0) against .15+.375=.525 (3). Then the tail is uncovered: .525 against .4.
    # Then both are covered and the scores decide.
    assert picks(LIST, k=5, diversity=0.5, variant="binary") == [0, 3, 1, 2, 4]


def test_smooth_by_hand():
    # 0 (.575). Share of popular 1, of tail 0: 1: .4+0, 3: .15+.375=.525 -> 3. Shares 1/2 each: 1: .4+.0625=.4625,
    # 4: .1+.1875 -> 1. Shares 2/3 and 1/3: 2: .35+.125/3=.3917, 4: .1+.25=.35 -> 2. Shares 3/4, 1/4: only
    # tail is left.
    assert picks(LIST, k=5, diversity=0.5, variant="smooth") == [0, 3, 1, 2, 4]
    # At .8: .18+.16=.34 against .06+.6=.66 (3); then .18+.16 against .04+0 (0); shares 1/2: .16+.08=.24 against
    # .04+.3=.34 (4); shares 1/3 and 2/3: .16+.1067=.2667 against .02+.2=.22 (1).
    assert picks(LIST, k=4, diversity=0.8, variant="smooth") == [3, 0, 4, 1]
    # Once for each pick: (1/2)^2 after two: .16+.04=.2 against .04+.15=.19.
    assert picks(LIST, k=4, diversity=0.8, variant="smooth_product")[:3] == [3, 0, 1]


def test_unknown_groups_are_in_neither():
    lists = {"scores": [[0.5, 0.4]], "groups": [[-1, 1]], "user_profile": [[0.5, 0.5]]}
    assert picks(lists, k=2, diversity=0.5) == [1, 0]
    assert picks({**lists, "groups": [[-1, -1]]}, k=2, diversity=0.5) == [0, 1]


def test_what_was_shown_before_counts():
    shown = {**LIST, "context_groups": [[1, 1, 1]]}
    assert picks(LIST, k=1, diversity=0.9) == [3]
    assert picks(shown, k=1, diversity=0.9) == [0]


def loop(scores, groups, profile, level, variant, before):
    share = profile / profile.sum() if profile.any() else np.full(2, 0.5)
    picked, among = [], list(before)
    while True:
        gains = np.full(len(scores), -np.inf)
        for i in set(range(len(scores))) - set(picked):
            novelty = 0.0
            for d in (0, 1):
                inside = [1.0 if g == d else 0.0 for g in among if g >= 0]
                ratio = float(np.mean(inside)) if inside else 0.0
                if variant == "binary":
                    product = np.prod([1.0 - one for one in inside])
                else:
                    product = 1.0 - ratio if variant == "smooth" else np.prod([1.0 - ratio for _ in inside])
                novelty += share[d] * (groups[i] == d) * product
            gains[i] = (1 - level) * scores[i] + level * novelty
        pick = yield gains
        picked.append(pick)
        among.append(groups[pick])


@pytest.mark.parametrize("variant", ["binary", "smooth", "smooth_product"])
def test_picks_of_the_formula(variant):
    page = Page(LongTailXQuAD(k=8, score_normalization="none", variant=variant))
    for seed in range(150):
        rng = np.random.default_rng(seed)
        candidates = int(rng.integers(1, 20))
        scores, profile = np.float32(rng.random(candidates)), np.float32(rng.random(2) * (seed % 5 > 0))
        groups = rng.integers(-1, 2, candidates)
        before = rng.integers(-1, 2, seed % 4)
        level = LEVELS[seed % len(LEVELS)]
        lists = {"scores": scores, "groups": groups, "user_profile": profile, "diversity": np.float64(level)}
        if len(before):
            lists["context_groups"] = before
        numbers = (scores.astype(float), groups, profile.astype(float), level, variant, before)
        assert is_greedy(page(lists), loop(*numbers)), seed


def test_each_mistake_has_its_message():
    with pytest.raises(
        ValueError, match=r"user_profile'\] must have the shape \[batch, 2\].*received \[1, 3\]"
    ):
        LongTailXQuAD()({**LIST, "user_profile": [[1.0, 1.0, 1.0]]})
    with pytest.raises(
        ValueError, match="variant must be one of binary, smooth, smooth_product; received 'x'"
    ):
        LongTailXQuAD(variant="x")
