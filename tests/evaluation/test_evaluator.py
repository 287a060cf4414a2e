"""The evaluator, with a recommender of known lists."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data.frames import from_frames
from tfrec_div.evaluation import evaluate

ITEMS = pd.DataFrame({"item_id": list("abcdef"), "categories": ["x", "x", "y", "y|z", "z", ""]})
TRAIN = pd.DataFrame(
    {"user_id": ["u", "u", "v", "w"], "item_id": ["a", "b", "a", "f"], "rating": [5, 1, 4, 3]}
)
# Held out: u likes c and e and dislikes d; v likes b; w only dislikes; u's a was already seen in training.
TEST = pd.DataFrame(
    {
        "user_id": ["u", "u", "u", "u", "v", "w"],
        "item_id": ["c", "e", "d", "a", "b", "a"],
        "rating": [5, 4, 1, 5, 5, 2],
    }
)


class Fixed:
    """A recommender that gives known lists; without diversification another one."""

    def __init__(self, train, lists, plain=None, diversity=0.0):
        self.catalog = train.catalog
        self.seen = train.interactions.histories()
        self.item_counts = train.interactions.item_counts()
        self.diversity_vectors = np.eye(len(train.catalog), dtype=np.float32)
        self.diversity = diversity
        self.k = 3
        self.asked = []
        self._lists, self._plain = lists, plain

    def recommend_rows(self, user_rows, k=None, diversity=None, include_seen=False):
        self.asked.append((k, diversity))
        lists = self._plain if self._plain and diversity == 0.0 else self._lists
        rows = np.array([lists[int(user)] for user in user_rows], np.int32)
        return rows, np.zeros(rows.shape, np.float32)


@pytest.fixture(scope="module")
def parts():
    whole = from_frames(pd.concat([TRAIN, TEST.assign(rating=TEST["rating"])]), items=ITEMS)
    user, item = whole.interactions.user, whole.interactions.item
    ids = whole.catalog.ids[item]
    people = whole.users.ids[user]
    keys = {(u, i) for u, i in zip(TRAIN.user_id, TRAIN.item_id, strict=True)}
    in_train = np.array([(u, i) in keys for u, i in zip(people, ids, strict=True)])
    rating = whole.interactions.rating
    # 'u, a' is in both: the train part keeps one of the two rows.
    train = whole.subset(whole.interactions.take(in_train))
    test_mask = ~in_train | ((people == "u") & (ids == "a") & (rating == 5))
    return train, whole.subset(whole.interactions.take(test_mask))


def lists_of(train, **by_user):
    rows = {}
    for user, items in by_user.items():
        row = train.schema.item_rows(np.array(list(items), object)).tolist()
        rows[int(train.schema.user_rows(np.array([user], object))[0])] = row + [-1] * (3 - len(row))
    return rows


def test_values_by_hand(parts):
    train, test = parts
    rec = Fixed(train, lists_of(train, u="dce", v="cb", w="abc"))
    result = evaluate(rec, test, k=3, baselines=())
    assert train.users.ids[result.users].tolist() == ["u", "v"]  # w likes nothing
    values = result.systems["recommender"]
    # u: hits at places 2 and 3, two relevant (a was seen in training); v: a hit at place 2 of one.
    np.testing.assert_allclose(values["recall@3"], [1.0, 1.0])
    np.testing.assert_allclose(values["precision@3"], [2 / 3, 1 / 3])
    np.testing.assert_allclose(values["mrr@3"], [0.5, 0.5])
    np.testing.assert_allclose(values["ndcg@3"], [1.1309297536 / 1.6309297536, 0.6309297536])
    # d is y and z, c is y, e is z: cosines .7071, .7071, 0
    np.testing.assert_allclose(values["ild_categories@3"], [1 - 2 * 0.70710678 / 3, 1.0])
    np.testing.assert_allclose(values["ild_vectors@3"], [1.0, 1.0])
    assert set(values) == {
        *("recall@3", "precision@3", "f1@3", "ndcg@3", "mrr@3", "hit_rate@3", "map@3"),
        *("ild_vectors@3", "ild_categories@3", "category_entropy@3", "novelty@3", "popularity@3", "aplt@3"),
        *("calibration_kl@3", "unexpectedness@3", "serendipity@3", "vendi@3"),
        *("alpha_ndcg@3", "subtopic_recall@3"),
    }
    # u's history is all x, the list has none: ln(1 / .01); v's list is half x: ln(1 / (.99 · .5 + .01)).
    np.testing.assert_allclose(values["calibration_kl@3"], [4.60517019, 0.68319685])
    np.testing.assert_allclose(values["unexpectedness@3"], [1.0, 1.0])  # no two items are alike
    np.testing.assert_allclose(values["vendi@3"], [3.0, 2.0])  # so each counts as one of its own
    # u's hits are of two categories, y and z, so nothing is repeated; v's is the one of x.
    np.testing.assert_allclose(values["alpha_ndcg@3"], [1.1309297536 / 1.6309297536, 0.6309297536])
    np.testing.assert_allclose(values["subtopic_recall@3"], [1.0, 1.0])
    # u's hits at places 2 and 3 are unknown to all: (5/6 + 4/6) / 3; v's b is as popular as its place is high.
    np.testing.assert_allclose(values["serendipity@3"], [0.5, 0.0], atol=1e-12)
    # Used in training: a twice, b and f once; these three are needed for 80 % of four interactions.
    np.testing.assert_allclose(values["popularity@3"], [0.0, 0.5])
    np.testing.assert_allclose(values["aplt@3"], [1.0, 0.5])
    # d, c, e, b of six items
    assert result.summary["recommender"]["coverage@3"]["mean"] == pytest.approx(4 / 6)
    assert result.summary["recommender"]["personalization@3"]["mean"] == pytest.approx(1 - 1 / 6**0.5)
    # With x = 1 / log2(3): c 1 + x, d 1, b x, e 1/2, two never: (5 + 5x + 3 + x - 1/2) / (5/2 + 2x) / 6 = 1/2
    assert result.summary["recommender"]["exposure_gini@3"]["mean"] == pytest.approx(0.5)
    assert list(result.summary["recommender"])[-5:] == [
        *("coverage@3", "gini@3", "exposure_gini@3", "entropy@3", "personalization@3"),
    ]


@pytest.mark.parametrize("cells", [1, 2**22])
def test_intent_aware_values_by_hand(parts, monkeypatch, cells):
    from tfrec_div.evaluation import measures

    monkeypatch.setattr(measures, "_CELLS", cells)  # users one by one, and all at once
    train, _ = parts
    a, b, c, d, e, f = train.schema.item_rows(np.array(list("abcdef"), object))
    # Relevant: c (y) and d (y, z); f, which has no category; a (x) and e (z).
    relevant = np.array([c, d, f, a, e]), np.array([0, 2, 3, 5])
    measure = measures.ListMeasures(Fixed(train, {}), relevant, 3, np.arange(3))
    values = measure(np.array([[c, d], [f, a], [b, e]]))  # shorter than the three places
    second = 0.6309297536
    # c: 1, d: 1/2 + 1; at best d: 2, c: 1/2. Of a and e the second is there, at place 2.
    expected = [(1 + 1.5 * second) / (2 + 0.5 * second), np.nan, second / (1 + second)]
    np.testing.assert_allclose(values["alpha_ndcg@3"], expected)
    np.testing.assert_allclose(values["subtopic_recall@3"], [1.0, np.nan, 0.5])


def test_novelty_counts_users_and_popularity_interactions():
    # u used a three times and b once, v used a: two users know a, one knows b and none c.
    log = pd.DataFrame({"user_id": list("uuuuv"), "item_id": list("abaaa"), "timestamp": range(5)})
    held_out = pd.DataFrame({"user_id": ["v"], "item_id": ["b"], "timestamp": [9]})
    whole = from_frames(pd.concat([log, held_out]), items=pd.DataFrame({"item_id": list("abc")}))
    train = whole.subset(whole.interactions.take(whole.interactions.timestamp < 9))
    test = whole.subset(whole.interactions.take(whole.interactions.timestamp == 9))
    before = [part.copy() for part in train.interactions.histories()]
    values = evaluate(Fixed(train, lists_of(train, v="abc")), test, k=3, baselines=()).systems["recommender"]
    # -log2 of (2 + 1) / 3, (1 + 1) / 3 and (0 + 1) / 3; by interactions a would have log2(3 / 5).
    np.testing.assert_allclose(values["novelty@3"], [(np.log2(3 / 2) + np.log2(3)) / 3])
    np.testing.assert_allclose(values["popularity@3"], [(4 + 1 + 0) / 3])
    for part, old in zip(train.interactions.histories(), before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_baselines_come_unasked_and_recommend_nothing_seen(parts):
    train, test = parts
    result = evaluate(Fixed(train, lists_of(train, u="dce", v="cb", w="abc")), test, k=3)
    assert list(result.systems) == ["recommender", "popularity", "random"]
    names = train.catalog.ids
    popular = {u: names[row].tolist() for u, row in zip("uv", result.lists["popularity"], strict=True)}
    assert "a" not in popular["u"]
    assert "b" not in popular["u"]
    assert popular["v"][0] in "bf"  # one interaction each in training; a, with two, was seen


def test_level_of_the_recommender_is_measured_beside_none(parts):
    train, test = parts
    rec = Fixed(
        train, lists_of(train, u="dcf", v="cf"), plain=lists_of(train, u="ced", v="bc"), diversity=0.4
    )
    result = evaluate(rec, test, k=3, baselines=())
    assert list(result.systems) == ["recommender", "recommender, diversity 0"]
    assert rec.asked == [(3, 0.4), (3, 0.0)]
    test_result = result.compare("recommender", "recommender, diversity 0", "ndcg")
    assert test_result.mean_difference < 0
    assert test_result.users == 2


def test_level_of_the_call_wins(parts):
    train, test = parts
    rec = Fixed(train, lists_of(train, u="dce", v="cb"), diversity=0.4)
    assert list(evaluate(rec, test, k=3, baselines=(), diversity=0.0).systems) == ["recommender"]
    assert rec.asked == [(3, 0.0)]


def test_table_frame_and_json_hold_the_same_numbers(parts, tmp_path):
    train, test = parts
    result = evaluate(Fixed(train, lists_of(train, u="dce", v="cb")), test, k=3)
    mean = result.summary["popularity"]["ndcg@3"]["mean"]
    assert f"{mean:.4f} [" in str(result)
    assert "2 users, mean and 95% bootstrap interval" in str(result)
    assert result.frame().loc[("popularity", "ndcg@3"), "mean"] == mean
    for target in (tmp_path, tmp_path / "other.json"):
        file = result.save(target)
        loaded = json.loads(file.read_text(encoding="utf-8"))
        assert loaded["systems"]["popularity"]["ndcg@3"]["mean"] == mean
        assert loaded["users"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "other.json"]


def test_a_failed_save_leaves_the_old_file(parts, tmp_path, monkeypatch):
    train, test = parts
    result = evaluate(Fixed(train, lists_of(train, u="dce", v="cb")), test, k=3, baselines=())
    (tmp_path / "metrics.json").write_text("old")
    monkeypatch.setattr(type(result), "to_json", lambda self: {"fine": 1, "not": object()})
    with pytest.raises(TypeError):
        result.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "old"


def test_comparisons_are_corrected_over_the_family(parts):
    train, test = parts
    result = evaluate(Fixed(train, lists_of(train, u="dce", v="cb")), test, k=3)
    frame = result.comparisons(metrics=("ndcg", "recall"))
    assert frame[["a", "b", "metric"]].to_numpy().tolist() == [
        ["recommender", "popularity", "ndcg@3"],
        ["recommender", "popularity", "recall@3"],
        ["recommender", "random", "ndcg@3"],
        ["recommender", "random", "recall@3"],
    ]
    assert (frame["p_holm"] >= frame["p_value"]).all()
    # With two users no sign pattern is rarer than 2 of 4; the smallest p-value of four is multiplied by 4.
    assert frame["p_value"].min() >= 0.5
    assert (frame["p_holm"] == 1.0).all()


def crowd(users=40, items=120):
    frame = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(users)] * 2,
            "item_id": [f"i{n % 7}" for n in range(users)] + [f"i{100 + n % 20}" for n in range(users)],
            "timestamp": [1] * users + [2] * users,
        }
    )
    whole = from_frames(frame, items=pd.DataFrame({"item_id": [f"i{n}" for n in range(items)]}))
    return whole.split("leave_one_out")


def test_the_same_list_for_everybody_is_noticed():
    train, test = crowd()
    same = Fixed(train, {user: [50, 51, 52] for user in range(40)})
    with pytest.warns(
        UserWarning, match=r"nearly the same for all users.*1\.00.*temperature.*logQ.*learning rate"
    ):
        result = evaluate(same, test, k=3)
    assert len(result.warnings) == 1
    assert "warning: recommender" in str(result)


def test_few_items_for_everybody_are_noticed_though_the_lists_differ():
    train, test = crowd()
    few = Fixed(
        train, {user: [50 + user % 5, 50 + (user + 1) % 5, 50 + (user + 2) % 5] for user in range(40)}
    )
    with pytest.warns(UserWarning, match="nearly the same"):
        evaluate(few, test, k=3)


def test_personal_lists_give_no_warning():
    train, test = crowd()
    lists = {user: [(user * 3) % 120, (user * 3 + 1) % 120, (user * 3 + 2) % 120] for user in range(40)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(Fixed(train, lists), test, k=3)
    assert result.warnings == []
    # Without categories there is nothing to measure on them.
    assert "ild_categories@3" not in result.systems["recommender"]


def test_mistakes_are_named(parts):
    train, test = parts
    rec = Fixed(train, lists_of(train, u="dce", v="cb"))
    with pytest.raises(ValueError, match="popularity, random; received 'als'"):
        evaluate(rec, test, baselines=["als"])
    with pytest.raises(ValueError, match="no user has a relevant interaction"):
        evaluate(rec, train)
    with pytest.raises(ValueError, match="test has 120 items, the recommender 6"):
        evaluate(rec, crowd()[1])
    result = evaluate(rec, test, k=3, baselines=())
    with pytest.raises(KeyError, match="no system 'als'; there are 'recommender'"):
        result.compare("recommender", "als", "ndcg")
    with pytest.raises(KeyError, match=r"no metric 'auc' per user; there are recall@3"):
        result.compare("recommender", "recommender", "auc")


def test_importing_the_package_loads_no_tensorflow():
    import subprocess
    import sys

    code = "import sys, tfrec_div.evaluation, tfrec_div.metrics; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
