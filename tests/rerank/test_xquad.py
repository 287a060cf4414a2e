"""xQuAD: by hand, and against the published loop."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rerank.aspect_cases import Page, is_greedy, random_case
from tfrec_div.rerank import XQuAD

LIST = {
    "scores": [[0.6, 0.5, 0.4, 0.1]],
    "aspects": [[[1.0, 0.0], [0.5, 0.0], [0.0, 0.4], [0.0, 1.0]]],
    "user_profile": [[3.0, 1.0]],
}


def test_picks_by_hand():
    # P(a|u) = .75, .25. First gains: .3+.375, .25+.1875, .2+.05, .05+.125 -> 0, which covers the first aspect.
    # Then: .25+0, .2+.05=.25, .05+.125=.175: a tie of 1 and 2. With .5 -> .49 it is 2, then .7 -> 3 or 1:
    # second aspect left .6: 1: .245, 3: .05+.5*.25*.6*1=.125 -> 1.
    layer = XQuAD(k=4, diversity=0.5, score_normalization="none", aspect_normalization="none")
    scores = [[0.6, 0.49, 0.4, 0.1]]
    assert layer({**LIST, "scores": scores}).numpy().tolist() == [[0, 2, 1, 3]]


def test_an_item_of_many_aspects_has_less_of_each():
    lists = {
        "scores": [[0.0, 0.0]],
        "aspects": [[[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]],
        "user_profile": [[4.0, 1.0, 1.0, 1.0]],
    }
    # "item": 1/4 of everything against 4/7; "none": everything against 4/7.
    picks = {
        name: XQuAD(k=1, diversity=1.0, aspect_normalization=name)(lists).numpy().tolist()
        for name in ("item", "none")
    }
    assert picks == {"item": [[1]], "none": [[0]]}


def test_aspect_normalization_shares_an_aspect_among_its_candidates():
    lists = {
        "scores": [[0.0, 0.0, 0.0]],
        "aspects": [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]],
        "user_profile": [[0.6, 0.4]],
    }
    # P(i|a) = 1/2, 1/2, 1: .3, .3, .4.
    assert XQuAD(k=1, diversity=1.0, aspect_normalization="aspect")(lists).numpy().tolist() == [[2]]
    # A candidate that may not be picked has no share.
    lists["candidate_mask"] = [[True, False, True]]
    assert XQuAD(k=1, diversity=1.0, aspect_normalization="aspect")(lists).numpy().tolist() == [[0]]


def test_a_user_of_whom_nothing_is_known_wants_all_aspects_alike():
    nobody = {**LIST, "user_profile": [[0.0, 0.0]]}
    layer = XQuAD(k=2, diversity=0.8, aspect_normalization="none")
    assert layer(nobody).numpy().tolist() == layer({**LIST, "user_profile": [[1.0, 1.0]]}).numpy().tolist()
    assert layer(nobody).numpy().tolist() == [[0, 3]]


def test_what_was_shown_before_is_covered():
    shown = {**LIST, "context_aspects": [[[1.0, 0.0], [0.0, 0.0]]]}
    layer = XQuAD(k=1, diversity=0.9, aspect_normalization="none")
    assert layer(LIST).numpy().tolist() == [[0]]
    assert layer(shown).numpy().tolist() == [[3]]


def published(case, normalization):
    """Algorithm 1 of Santos et al. (2010), the gains of every step in float64."""
    given = np.array(case["aspects"])
    before = case.get("context_aspects", np.zeros((0, given.shape[1])))
    rows = np.concatenate([given, before])
    total = rows.sum(1, keepdims=True) if normalization == "item" else given.sum(0)
    if normalization != "none":
        rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    rows = np.minimum(rows, 1.0)
    wanted = case["user_profile"]
    wanted = wanted / wanted.sum() if wanted.any() else np.full(len(wanted), 1 / len(wanted))
    picked = list(range(len(given), len(rows)))
    while True:
        gains = np.full(len(given), -np.inf)
        for i in set(range(len(given))) - set(picked):
            novelty = sum(
                wanted[a] * rows[i, a] * np.prod([1.0 - rows[j, a] for j in picked])
                for a in range(len(wanted))
            )
            gains[i] = (1 - case["diversity"]) * case["scores"][i] + case["diversity"] * novelty
        picked.append((yield gains))


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("normalization", ["item", "aspect", "none"])
def test_picks_of_the_published_loop(normalization, context):
    page = Page(XQuAD(k=8, score_normalization="none", aspect_normalization=normalization))
    for seed in range(100):
        case = random_case(seed, context)
        assert is_greedy(page(case), published(case, normalization)), seed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aspects": None}, r"XQuAD needs inputs\['aspects'\]"),
        ({"user_profile": None}, r"XQuAD needs inputs\['user_profile'\]"),
        ({"user_profile": [[1.0, 1.0, 1.0]]}, r"inputs\['user_profile'\] must have the shape \[1, 2\]"),
        (
            {"user_profile": [[1.0, -1.0]]},
            r"inputs\['user_profile'\] must be at least 0; received -1.0 at \(0, 1\)",
        ),
        ({"aspects": -np.ones((1, 4, 2))}, r"inputs\['aspects'\] must be at least 0.*-1.0 at \(0, 0, 0\)"),
    ],
)
def test_each_mistake_has_its_message(changes, message):
    with pytest.raises(ValueError, match=message):
        XQuAD(k=2)({**LIST, **changes})


def test_unknown_normalization_lists_the_names():
    with pytest.raises(
        ValueError, match="aspect_normalization must be one of item, aspect, none; received 'l2'"
    ):
        XQuAD(aspect_normalization="l2")
