from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tfrec_div.data.frames import from_frames
from tfrec_div.evaluation.budget import Budget
from tfrec_div.evaluation.tuning import _search, tune
from tfrec_div.rerank import DPP, MMR

USERS = 100
# Item 0 is what everybody wants; the cosines of the others with it are 1, 0.5, 0, -1, and item 5 is item 0 again.
VECTORS = np.array([[1, 0], [1, 0], [0.5, 0.75**0.5], [0, 1], [-1, 0], [1, 0]], np.float32)
# Of each level: how many users lose item 0, and what stands beside it.
LEVELS = {0.0: (0, 1), 0.2: (0, 2), 0.4: (1, 3), 0.6: (5, 4)}


class Known:
    """A recommender of known pages."""

    reranker = "some"
    tuned = None

    def __init__(self, data):
        self.catalog, self.diversity_vectors = data.catalog, VECTORS
        self.seen = np.zeros(0, np.int32), np.zeros(USERS + 1, np.int64)
        self.item_counts = np.ones(6, np.int64)
        self.retrieved = 0

    def with_reranker(self, reranker, tuned=None):
        if tuned is None:
            return self
        other = Known.__new__(Known)
        other.reranker, other.tuned = reranker, tuned
        return other

    def candidates(self, users, k, progress):
        self.retrieved += 1
        return len(users)

    def rerank_candidates(self, candidates, k, diversity):
        losing, beside = LEVELS[round(float(diversity), 2)]
        first = np.where(np.arange(candidates) < losing, 5, 0)
        return np.stack([first, np.full(candidates, beside)], axis=1)[:, :k].astype(np.int32)


@pytest.fixture(scope="module")
def wanted():
    """Everybody wants item 0."""
    log = pd.DataFrame({"user_id": [f"u{n}" for n in range(USERS)], "item_id": "0"})
    return from_frames(log, items=pd.DataFrame({"item_id": list("012345")}))


def tuned(wanted, budget, **options):
    return tune(
        Known(wanted), wanted, budget, "ild_vectors@2", levels=list(LEVELS), progress=False, **options
    )


@pytest.mark.parametrize(
    ("budget", "level"),
    [
        # At 0.4 one user in a hundred loses: 1 %, of which the bound says at most 2.66 %.
        ("recall@2 -1%", 0.2),
        ("recall@2 -2.6%", 0.2),
        ("recall@2 -2.7%", 0.4),
        ("recall@2 -0.027", 0.4),
        ("recall@2 >= 0.98", 0.2),
        ("recall@2 >= 0.973", 0.4),
        ("recall@2 -50%", 0.6),
        ("recall@2 -0%", 0.2),
    ],
)
def test_the_level_is_the_one_with_the_most_gain_whose_bound_is_within_the_budget(wanted, budget, level):
    found = tuned(wanted, budget)
    assert (found.level, found.within) == (level, True)
    assert found.recommender.tuned == level


def test_the_curve_has_both_metrics_and_the_loss_of_every_level(wanted):
    curve = tuned(wanted, "recall@2 -2.7%").curve
    assert curve["level"].tolist() == [0.0, 0.2, 0.4, 0.6]
    assert curve["recall@2"].tolist() == pytest.approx([1.0, 1.0, 0.99, 0.95])
    # Distances to item 0 and to item 5 are alike.
    assert curve["ild_vectors@2"].tolist() == pytest.approx([0.0, 0.5, 1.0, 2.0], abs=1e-6)
    assert curve["loss"].tolist() == pytest.approx([0.0, 0.0, 0.01, 0.05])
    assert curve["within"].tolist() == [True, True, True, False]
    assert (curve["recall@2 low"] <= curve["recall@2"]).all()
    assert curve["recall@2 high"].iloc[2] > 0.99


def test_behind_a_level_beyond_the_budget_none_is_within_it(wanted, monkeypatch):
    monkeypatch.setitem(LEVELS, 0.2, (5, 2))
    monkeypatch.setitem(LEVELS, 0.6, (0, 4))
    found = tuned(wanted, "recall@2 -2.7%")
    # The bounds alone would allow the last two.
    assert (found.curve["bound"] <= 0.027).tolist() == [True, False, True, True]
    assert found.curve["within"].tolist() == [True, False, False, False]
    assert (found.level, found.within) == (0.0, True)


def test_retrieval_is_done_once_and_the_original_is_left_alone(wanted):
    recommender = Known(wanted)
    tune(recommender, wanted, "recall@2 -2.7%", "ild_vectors@2", levels=list(LEVELS), progress=False)
    assert recommender.retrieved == 1
    assert recommender.tuned is None


def test_zero_is_always_tried_and_the_order_of_the_levels_does_not_matter(wanted):
    found = tune(Known(wanted), wanted, "recall@2 -2.7%", "ild_vectors@2", levels=[0.6, 0.4], progress=False)
    assert found.curve["level"].tolist() == [0.0, 0.4, 0.6]
    assert found.level == 0.4


def test_when_no_level_is_within_the_budget_it_is_zero_and_says_so(wanted):
    found = tuned(wanted, "recall@2 >= 1.1")
    assert (found.level, found.within) == (0.0, False)
    assert "no level is within the budget 'recall@2 >= 1.1': level 0" in str(found)


def test_a_metric_may_be_lowered(wanted):
    found = tune(
        Known(wanted), wanted, "recall@2 -50%", "-ild_vectors@2", levels=list(LEVELS), progress=False
    )
    assert found.level == 0.0
    assert "level 0: ild_vectors@2 0.0000" in str(found)


def test_a_choice_that_held_out_users_do_not_confirm_is_given_up():
    # Two levels above 0. Fold 0 loses at the second one and fold 1 does not, so fold 1 alone would choose it.
    fold = np.repeat([0, 1], 50)
    kept = np.ones((3, 100))
    kept[2, :50] = 0.5
    gained = np.repeat([[0.0], [1.0], [2.0]], 100, axis=1)
    place, chosen, held_out = _search(kept, gained, Budget.parse("ndcg@10 -1%"), fold, 0.95)
    assert (place, chosen, held_out) == (1, [1, 1], (0.0, 0.0))


def test_a_level_behind_one_beyond_the_budget_is_not_chosen():
    kept = np.stack([np.ones(100), np.full(100, 0.5), np.ones(100)])
    gained = np.repeat([[0.0], [1.0], [2.0]], 100, axis=1)
    assert _search(kept, gained, Budget.parse("ndcg@10 -1%"), np.arange(100) % 5, 0.95)[0] == 0


def test_noise_is_not_taken_for_room_in_the_budget():
    # All of ten levels lose 1.5 %, beyond the budget of 1 %; the means of 200 noisy users often look better.
    rng = np.random.default_rng(0)
    budget, wrong, tempting = Budget.parse("ndcg@10 -1%"), 0, 0
    for _ in range(200):
        base = rng.uniform(0.4, 0.6, 200)
        kept = np.stack([base, *(base * 0.985 + rng.normal(0, 0.05, (10, 200)))])
        gained = np.repeat(np.arange(11.0)[:, np.newaxis], 200, axis=1)
        wrong += _search(kept, gained, budget, np.arange(200) % 5, 0.95)[0] > 0
        tempting += (kept[1:].mean(1) >= 0.99 * base.mean()).any()
    assert tempting > 150
    # 5 % of 200 are 10; fewer than 20 at a probability of 0.997.
    assert wrong < 20


@pytest.mark.filterwarnings("ignore:only")
def test_a_recommender_keeps_the_tuned_level_on_disk_and_the_original_has_none(recommender, parts, tmp_path):
    users = list(recommender.schema.user_ids)
    before = recommender.recommend(users)
    found = td.tune(
        recommender, parts[1], "ndcg@5 -60%", "ild_vectors@5", levels=[0.0, 0.5, 0.9], progress=False
    )
    np.testing.assert_array_equal(recommender.recommend(users).item_ids, before.item_ids)
    assert recommender.tuned is None
    assert found.level > 0
    assert found.recommender.diversity == found.level
    expected = recommender.recommend(users, diversity=found.level).item_ids
    np.testing.assert_array_equal(found.recommender.recommend(users).item_ids, expected)
    again = td.load(found.recommender.save(tmp_path / "tuned"))
    assert again.tuned == found.level
    np.testing.assert_array_equal(again.recommend(users).item_ids, expected)
    # A request's own level comes first.
    plain = recommender.recommend(users, diversity=0.0).item_ids
    np.testing.assert_array_equal(again.recommend(users, diversity=0.0).item_ids, plain)


@pytest.mark.filterwarnings("ignore:only")
def test_another_reranker_can_be_tuned(recommender, parts):
    found = td.tune(
        recommender,
        parts[1],
        "ndcg@5 -90%",
        "ild_vectors@5",
        [0.5],
        reranker=DPP(k=5),
        folds=2,
        progress=False,
    )
    assert isinstance(found.recommender.reranker, DPP)
    assert isinstance(recommender.reranker, MMR)


@pytest.mark.filterwarnings("ignore:only")
def test_a_fold_whose_other_users_have_none_of_the_metric_chooses_no_level(wanted, monkeypatch):
    # Item 0 comes to one user alone. Without that user there is no share to be lost; with all 20 there is.
    monkeypatch.setitem(LEVELS, 0.0, (19, 1))
    monkeypatch.setitem(LEVELS, 0.2, (19, 2))
    few = wanted.subset(wanted.interactions.take(np.arange(20)))
    found = tune(Known(wanted), few, "recall@2 -1%", "ild_vectors@2", levels=[0.2], progress=False)
    assert (found.level, sorted(found.chosen)) == (0.2, [0.0, 0.2, 0.2, 0.2, 0.2])
    monkeypatch.setitem(LEVELS, 0.0, (20, 1))
    with pytest.raises(ValueError, match="recall@2 is 0 without diversification"):
        tune(Known(wanted), few, "recall@2 -1%", "ild_vectors@2", levels=[0.2], progress=False)


def test_few_users_are_told_of(wanted):
    few = wanted.subset(wanted.interactions.take(np.arange(20)))
    with pytest.warns(UserWarning, match="only 20 users to tune on: the bounds are rough"):
        tune(Known(wanted), few, "recall@2 -1%", "ild_vectors@2", levels=list(LEVELS), progress=False)


def test_what_does_not_fit_is_refused(wanted):
    for options, message in (
        ({"gain": "recall@2"}, "gain must be another metric"),
        ({"gain": "ild_vectors"}, "with its length, such as 'ndcg@10'; received 'ild_vectors'"),
        ({"gain": "beauty@2"}, r"no metric 'beauty@2'; there are .*ndcg@2"),
        ({"levels": [0.5, 1.5]}, r"levels must lie in \[0, 1\]; received \[0.5, 1.5\]"),
        ({"folds": 1}, "folds must be from 2 to the number of users, 100; received 1"),
        ({"confidence": 1.0}, r"confidence must lie in \(0, 1\); received 1.0"),
        ({"budget": "recall@2"}, "budget must be"),
    ):
        arguments = {"budget": "recall@2 -1%", "gain": "ild_vectors@2", "levels": [0.2], **options}
        with pytest.raises(ValueError, match=message):
            tune(Known(wanted), wanted, progress=False, **arguments)
    none = Known(wanted)
    none.reranker = None
    with pytest.raises(ValueError, match="there is no level to tune"):
        tune(none, wanted, progress=False)
