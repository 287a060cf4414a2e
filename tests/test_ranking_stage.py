"""A ranker between the retriever and the re-ranker."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tests.tiny_models import Fixed, GrowingTable, Table
from tfrec_div._keras import tf
from tfrec_div.data.errors import DataError
from tfrec_div.models.comparable import comparable
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR

# The retriever chooses in the order of the rows; of the first three the ranker likes the last best.
RETRIEVED = [9, 8, 7, 6, 5, 4]
RANKED = [0.1, 0.2, 0.6, 0.9, 0.3, 0.4]
# Fused scores of c, a, b at weight 0.6, and of a, b, c at 0.25.
C_A_B = [0.266161, -0.084074, -0.268676]
A_B_C = [0.566805, -0.111949, -0.490935]


@pytest.fixture(scope="module")
def data():
    log = pd.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["f", "e", "f"], "timestamp": [1, 2, 3]})
    items = pd.DataFrame({"item_id": list("abcdef"), "categories": ["x", "x", "y", "y", "z", "z"]})
    return td.from_frames(log, items=items)


@pytest.fixture(scope="module")
def models(data):
    return Fixed(data.schema, RETRIEVED), Table(data.schema, RANKED)


def make(models, data, **options):
    retriever, ranker = models
    return Recommender(retriever, data, ranker=ranker, **{"k": 3, "num_candidates": 3, **options})


def test_the_retriever_chooses_and_the_ranker_orders(models, data):
    pages = make(models, data).recommend(["u", "v", "nobody"])
    assert ["".join(page) for page in pages.item_ids] == ["cba", "cba", "cba"]
    # u has two items in the history, v one, and nobody none.
    np.testing.assert_allclose(pages.scores[:, 0], [0.62, 0.61, 0.6], rtol=1e-6)
    np.testing.assert_allclose(pages.scores[2], [0.6, 0.2, 0.1], rtol=1e-6)


def test_candidates_are_at_least_as_many_as_the_page_is_long(models, data):
    rec = make(models, data, num_candidates=2)
    assert "".join(rec.recommend(["nobody"], k=4).item_ids[0]) == "dcba"
    assert "".join(rec.recommend(["nobody"], k=1).item_ids[0]) == "b"


def test_what_is_not_allowed_is_no_candidate(models, data):
    rec = make(models, data, k=5)
    assert "".join(rec.recommend(["nobody"], exclude={"nobody": ["b", "c"]}).item_ids[0]) == "dfea"
    pages = rec.recommend(["nobody"], candidates=["f", "a"])
    assert pages.item_ids.tolist() == [["f", "a", "", "", ""]]
    np.testing.assert_allclose(pages.scores, [[0.4, 0.1, 0, 0, 0]], rtol=1e-6)


def test_fused_scores_by_hand(models, data):
    # asinh of (1.224745, 0, -1.224745), and of (-0.925820, -0.462910, 1.388730).
    mostly_ranker = make(models, data, ranker_weight=0.6).recommend(["nobody"])
    assert "".join(mostly_ranker.item_ids[0]) == "cab"
    np.testing.assert_allclose(mostly_ranker.scores[0], C_A_B, atol=1e-5)
    mostly_retriever = make(models, data, ranker_weight=0.25).recommend(["nobody"])
    assert "".join(mostly_retriever.item_ids[0]) == "abc"
    np.testing.assert_allclose(mostly_retriever.scores[0], A_B_C, atol=1e-5)


def test_weight_zero_is_the_recommender_without_the_ranker(models, data):
    for layer in (None, MMR(k=3, diversity=0.5)):
        without = Recommender(models[0], data, reranker=layer, k=3, num_candidates=3).recommend(
            ["u", "nobody"]
        )
        pages = make(models, data, reranker=layer, ranker_weight=0).recommend(["u", "nobody"])
        np.testing.assert_array_equal(pages.rows, without.rows)
        np.testing.assert_array_equal(pages.scores, without.scores)


def test_where_the_ranker_says_the_same_of_all_the_retriever_decides(models, data):
    alike = Table(data.schema, np.full(6, 0.3))
    for weight in (1.0, 0.999, 0.5):
        rec = make((models[0], alike), data, ranker_weight=weight)
        assert "".join(rec.recommend(["nobody"]).item_ids[0]) == "abc"


def test_the_reranker_gets_the_order_of_the_ranker(models, data):
    rec = make(models, data, reranker=MMR(k=3, diversity=0.0))
    plain = rec.recommend(["nobody"])
    assert "".join(plain.item_ids[0]) == "cba"
    rows, scores, query = rec.candidates(np.array([-1]))[0]
    assert rows.numpy().tolist() == [[2, 1, 0]]
    np.testing.assert_allclose(scores, [[0.6, 0.2, 0.1]], rtol=1e-6)
    np.testing.assert_array_equal(rec.rerank_candidates([(rows, scores, query)], diversity=0.0), plain.rows)
    # With d there are two of each category. After d (y) the other of y gives way to the better one of x.
    rec.num_candidates = 4
    assert "".join(rec.recommend(["nobody"], diversity=0.9).item_ids[0]) == "dbc"


def test_comparable_scores_of_some_are_those_of_these_alone():
    there = tf.constant([[True, False, True, True], [False, False, False, False]])
    scores = tf.constant([[1.0, -np.inf, 3.0, 8.0], [1.0, 2.0, np.nan, 4.0]])
    found = comparable(scores, there).numpy()
    np.testing.assert_allclose(found[0, [0, 2, 3]], comparable(tf.constant([[1.0, 3.0, 8.0]]))[0], rtol=1e-6)
    assert found[0, 1] == 0
    assert found[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("of_retriever", "of_ranker", "read"), [(3, 1, 1), (1, 3, 2), (1, 1, 1)])
def test_each_model_gets_as_much_of_the_history_as_it_reads(data, of_retriever, of_ranker, read):
    # The models refuse more than they read; u has two items in the history.
    models = Fixed(data.schema, RETRIEVED, of_retriever), Table(data.schema, RANKED, of_ranker)
    scores = make(models, data).recommend(["u"]).scores
    np.testing.assert_allclose(scores[0, 0], 0.6 + 0.01 * read, rtol=1e-6)
    query, _ = make(models, data).known_query(tf.constant([0]))
    assert query["history"].shape == (1, min(2, max(of_retriever, of_ranker)))


def test_histories_may_change(models, data):
    rec = make(models, data)
    rec.update_histories(data.interactions.take(data.interactions.user == 1))
    np.testing.assert_allclose(rec.recommend(["u", "v"]).scores[:, 0], [0.6, 0.61], rtol=1e-6)


def test_given_items_are_scored_by_all_that_counts(models, data):
    rec = make(models, data)
    lists = [["d", "a"], ["f", "no such item", "", "c"], []]
    expected = [[0.92, 0.12, 0, 0], [0.4, 0, 0, 0.6], [0, 0, 0, 0]]
    scores = rec.rank(["u", "nobody", "v"], lists)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    # Without a ranker, or with one that does not count, by the retriever.
    for other in (rec.with_ranker(None), rec.with_ranker(rec.ranker, 0.0)):
        np.testing.assert_array_equal(other.rank(["u", "v"], [["d", "a"], ["f"]]), [[6, 9], [4, 0]])
    fused = rec.with_ranker(rec.ranker, 0.6).rank(["nobody"], [["a", "b", "c"]])
    np.testing.assert_allclose(fused[0, [2, 0, 1]], C_A_B, atol=1e-5)
    assert rec.rank([], []).shape == (0, 0)
    assert rec.rank(["u"], [[]]).shape == (1, 0)
    with pytest.raises(ValueError, match="items: expected a list for each of 2 users, got 1"):
        rec.rank(["u", "v"], [["a"]])


def test_pages_have_the_scores_that_rank_gives(models, data):
    for weight in (0.0, 0.4, 1.0):
        rec = make(models, data, ranker_weight=weight)
        pages = rec.recommend(["u", "v", "nobody"])
        np.testing.assert_allclose(rec.rank(pages.user_ids, pages.item_ids), pages.scores, rtol=1e-5)


def test_a_string_is_no_list_of_items(models, data):
    # Its letters are items of this shop.
    with pytest.raises(ValueError, match="expected a list of item ids for each user, got 'ab'"):
        make(models, data).rank(["u"], ["ab"])
    with pytest.raises(ValueError, match="expected a list of item ids for each user, got 'ab'"):
        make(models, data).recommend(["u"], exclude={"u": "ab"})


def test_many_users_are_ranked_in_batches(models, data):
    users = ["u", "v", "nobody"] * 100
    scores = make(models, data).rank(users, [["a"]] * 300)
    np.testing.assert_allclose(scores[:, 0], [0.12, 0.11, 0.1] * 100, rtol=1e-6)


def test_another_reranker_and_another_ranker_leave_the_rest(models, data):
    rec = make(models, data, reranker=MMR(k=3, diversity=0.5), ranker_weight=0.6, k=None)
    other = rec.with_reranker(None)
    assert (other.ranker, other.ranker_weight, other.k) == (models[1], 0.6, 3)
    assert "".join(other.recommend(["nobody"]).item_ids[0]) == "cab"
    without = rec.with_reranker(rec.reranker, tuned=0.2).with_ranker(None)
    assert (without.ranker, without.ranker_weight, without.reranker, without.tuned) == (
        None,
        1.0,
        rec.reranker,
        None,
    )
    assert rec.ranker is models[1]


def test_a_ranker_that_is_set_counts_at_once(models, data):
    rec = make((models[0], None), data)
    rec.tuned = 0.3
    assert "".join(rec.recommend(["nobody"]).item_ids[0]) == "abc"
    rec.ranker = models[1]
    assert "".join(rec.recommend(["nobody"]).item_ids[0]) == "cba"
    assert rec.tuned is None
    rec.ranker_weight = 0.6
    assert "".join(rec.recommend(["nobody"]).item_ids[0]) == "cab"
    rec.num_candidates = 4
    assert "".join(rec.recommend(["nobody"]).item_ids[0])[0] == "d"


def test_models_that_do_not_belong_together_are_refused(models, data):
    shop = td.make_synthetic(num_users=4, num_items=6, images=False)
    with pytest.raises(ValueError, match="ranker: expected one of the retriever's schema, got another"):
        make((models[0], Table(shop.schema)), data)
    reads = Table(data.schema, signal_names=("score", "ease"))
    with pytest.raises(
        ValueError,
        match="one trained behind the signals of this retriever, score; got one that reads score, ease",
    ):
        make((models[0], reads), data)
    both = Ensemble({"ease": models[0], "other": Fixed(data.schema, RANKED)})
    with pytest.raises(ValueError, match=r"this retriever, score, ease, other; got one that reads score$"):
        make((both, models[1]), data)
    rec = make(models, data)
    with pytest.raises(ValueError, match="got one that reads score, ease"):
        rec.ranker = reads
    for weight in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"ranker_weight must be in \[0, 1\], got"):
            make(models, data, ranker_weight=weight)


def test_an_ensemble_tells_the_ranker_what_its_members_say(models, data):
    both = Ensemble({"ease": models[0], "other": Fixed(data.schema, RANKED)})
    ranker = Table(data.schema, RANKED, signal_names=("score", "ease", "other"))
    pages = make((both, ranker), data).recommend(["nobody"])
    assert pages.scores[0, 0] == pytest.approx(0.9)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_saved_and_loaded_it_is_the_same_cascade(models, data, tmp_path, weight):
    rec = make(models, data, reranker=MMR(k=3, diversity=0.4), ranker_weight=weight)
    again = td.load(rec.save(tmp_path / "saved"))
    expected, found = rec.recommend(["u", "nobody"]), again.recommend(["u", "nobody"])
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert (type(again.ranker), again.ranker_weight) == (Table, weight)


def test_a_folder_of_before_is_a_recommender_without_a_ranker(models, data, tmp_path):
    rec = make((models[0], None), data)
    folder = rec.save(tmp_path / "saved")
    assert not (folder / "ranker.safetensors").exists()
    description = json.loads((folder / "recommender.json").read_text("utf-8"))
    assert description["format"] == 3
    del description["ranker"], description["ranker_weight"]
    (folder / "recommender.json").write_text(json.dumps({**description, "format": 2}), "utf-8")
    again = td.load(folder)
    assert again.ranker is None
    np.testing.assert_array_equal(again.recommend(["u"]).rows, rec.recommend(["u"]).rows)
    (folder / "recommender.json").write_text(json.dumps({**description, "format": 4}), "utf-8")
    with pytest.raises(DataError, match="format 2 or 3"):
        td.load(folder)


def test_weights_of_the_ranker_that_are_missing_or_others_are_refused(models, data, tmp_path):
    folder = make(models, data).save(tmp_path / "saved")
    weights = (folder / "ranker.safetensors").read_bytes()
    (folder / "ranker.safetensors").unlink()
    with pytest.raises(DataError, match=r"with the file ranker\.safetensors"):
        td.load(folder)
    (folder / "ranker.safetensors").write_bytes(weights[:10])
    with pytest.raises(DataError, match="the files of a saved recommender"):
        td.load(folder)
    from safetensors.numpy import save_file

    save_file({"00000": np.zeros(7, np.float32)}, folder / "ranker.safetensors")
    with pytest.raises(DataError, match=r"ranker.safetensors.*the weights of the model"):
        td.load(folder)


def test_new_items_need_a_ranker_that_takes_them(models, data):
    new = pd.DataFrame({"item_id": ["g"], "categories": ["x"]})
    with pytest.raises(
        ValueError, match=r"the ranker Table takes no new items without training.*with_ranker\(None\)"
    ):
        make(models, data).with_items(new)
    growing = GrowingTable(data.schema, RANKED)
    rec = make((models[0], growing), data, num_candidates=7, ranker_weight=0.6)
    larger = rec.with_items(new)
    assert (larger.ranker.schema.num_items, larger.ranker_weight, larger.num_candidates) == (7, 0.6, 7)
    assert larger.with_ranker(larger.ranker).rank(["nobody"], [["g", "a"]])[0] == pytest.approx([0.9, 0.1])


def test_warnings_of_content_come_with_the_callers_place(models, data):
    bare = td.from_frames(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Recommender(Fixed(bare.schema, [1.0]), bare, ranker=Table(bare.schema, [0.5]))
    assert [str(one.message)[:26] for one in caught] == ["the items have no text, pi"]
