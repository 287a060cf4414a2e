"""An export that holds a retriever, a ranker and a re-ranker."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tfrec_div as td
from tests.serving.test_export import ASK, decoded, request
from tests.tiny_models import Fixed, Table
from tfrec_div._keras import keras, tf
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import ranking_lists
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR
from tfrec_div.serving.export import export


@pytest.fixture(scope="module")
def cascade(model, parts):
    """The two towers of the tests and a ranker that reads content, of a longer memory than theirs."""
    train, test = parts
    keras.utils.set_random_seed(0)
    lists = ranking_lists(model, train, test, num_candidates=20, max_history=30)
    ranker = Ranker(
        train.schema,
        content=model,
        fusion="gated",
        history="cross_modal",
        embedding_dim=8,
        hidden_units=(16,),
        max_history=30,
    )
    ranker.compile(1e-2)
    ranker.fit(lists, epochs=5, verbose=0)
    reranker = MMR(k=5, diversity=0.4)
    return Recommender(
        model, train, reranker=reranker, num_candidates=20, ranker=ranker.calibrate(lists), ranker_weight=0.6
    )


@pytest.fixture(scope="module")
def version(cascade, tmp_path_factory):
    """An export of what was saved and loaded."""
    folder = tmp_path_factory.mktemp("models")
    return export(td.load(cascade.save(folder / "saved")), folder / "shop", verify=False)


@pytest.fixture(scope="module")
def tiny(parts):
    """The same stages without towers, whose export is quick."""
    schema, random = parts[0].schema, np.random.default_rng(2)
    ranker = Table(schema, random.uniform(0.0, 0.5, 50))
    return Recommender(Fixed(schema, random.normal(size=50)), parts[0], k=5, num_candidates=20, ranker=ranker)


@pytest.fixture(scope="module")
def answers(cascade, version, tmp_path_factory):
    """What a fresh process gets from the export, by request."""
    users = [*cascade.schema.user_ids, "nobody"]
    ids = cascade.catalog.ids
    lists = np.array([[ids[n % 50], "no such item", ids[(7 * n) % 50], ""] for n in range(len(users))])
    cold = {
        "text": np.array(["A blue mug. Made of glass.", ""]),
        "image": np.array([b"", b""], object),
        "k": np.array([3, 3], np.int32),
        "diversity": np.zeros(2, np.float32),
    }
    requests = {
        "default": ("serving_default", {"user_id": np.array(users)}),
        "session": request(users, history=np.array([["i1", "i2"]] * len(users))),
        "plain": request(users, diversity=np.zeros(len(users), np.float32)),
        "rank": ("rank", {"user_id": np.array(users), "item_ids": lists}),
        "cold": ("recommend_cold", cold),
    }
    folder = tmp_path_factory.mktemp("asked")
    (folder / "asked").write_bytes(pickle.dumps(list(requests.values())))
    command = [sys.executable, "-c", ASK, str(version), str(folder / "asked"), str(folder / "answered")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = pickle.loads((folder / "answered").read_bytes())
    return dict(zip(requests, found, strict=True)), users, lists


def test_all_users_get_the_pages_of_the_cascade(cascade, answers):
    found, users, _ = answers
    expected = cascade.recommend(users)
    np.testing.assert_array_equal(decoded(found["default"]), expected.item_ids)
    np.testing.assert_allclose(found["default"]["scores"], expected.scores, rtol=1e-4, atol=1e-4)
    session = cascade.recommend(users, histories={user: ["i1", "i2"] for user in users})
    np.testing.assert_array_equal(decoded(found["session"]), session.item_ids)
    np.testing.assert_array_equal(decoded(found["plain"]), cascade.recommend(users, diversity=0.0).item_ids)
    # These are not the pages of the retriever alone.
    alone = cascade.with_ranker(None).recommend(users)
    assert (alone.rows != expected.rows).any(axis=1).mean() > 0.5


def test_rank_scores_what_it_is_asked_for(cascade, answers):
    found, users, lists = answers
    assert list(found["rank"]) == ["scores"]
    scores = found["rank"]["scores"]
    np.testing.assert_allclose(scores, cascade.rank(users, lists.tolist()), rtol=1e-4, atol=1e-5)
    assert (scores[:, [1, 3]] == 0).all()
    assert (scores[:, [0, 2]] != 0).any()


def test_a_description_is_not_for_the_ranker_and_none_is_the_page_for_new_users(cascade, answers, version):
    described, nobody = decoded(answers[0]["cold"])
    np.testing.assert_array_equal(nobody, cascade.recommend(["nobody"], k=3, diversity=0.0).item_ids[0])
    text = cascade.retriever.text_encoder(tf.constant(["A blue mug. Made of glass."])).numpy()[0]
    vectors = cascade.retriever.content("text")
    mean = vectors[(vectors != 0).any(axis=1)].mean(axis=0)
    centred = np.where((vectors != 0).any(axis=1, keepdims=True), vectors - mean, 0)
    cosine = centred @ (text - mean) / np.maximum(np.linalg.norm(centred, axis=1), 1e-9)
    assert described.tolist() == cascade.catalog.ids[np.argsort(-cosine)[:3]].tolist()


def test_the_manifest_tells_of_the_ranker(cascade, version):
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["settings"]["ranker"] == {"model": "Ranker", "signals": ["score"]}
    assert manifest["settings"]["ranker_weight"] == 0.6
    assert manifest["signatures"]["rank"] == {
        "inputs": {
            "user_id": {"dtype": "string", "shape": [None]},
            "item_ids": {"dtype": "string", "shape": [None, None]},
        },
        "outputs": {"scores": {"dtype": "float32", "shape": [None, None]}},
    }
    sample = manifest["parity"]
    ranked = cascade.rank(sample["user_id"], sample["item_ids"])
    np.testing.assert_allclose(sample["rank_scores"], ranked, atol=1e-5)


def test_the_ranker_adds_its_weights_to_the_export_and_no_more(tiny, tmp_path):
    with_ranker = export(tiny, tmp_path / "with")
    assert json.loads((with_ranker / "manifest.json").read_text())["settings"]["verified_users"] == 60
    without = export(tiny.with_ranker(None), tmp_path / "without", verify=False)

    def size(folder):
        return sum(file.stat().st_size for file in (folder / "variables").iterdir())

    # 50 numbers of four bytes, and what names them.
    assert 200 <= size(with_ranker) - size(without) < 600


def test_an_export_that_ranks_otherwise_is_refused(tiny, tmp_path, monkeypatch):
    right = Recommender.rank

    def wrong(self, users, items):
        scores = right(self, users, items)
        scores[2, 1] += 0.01
        return scores

    monkeypatch.setattr(Recommender, "rank", wrong)
    with pytest.raises(RuntimeError, match="ranks otherwise for 1 of 60 users"):
        export(tiny, tmp_path / "shop")
    assert not list((tmp_path / "shop").iterdir())
