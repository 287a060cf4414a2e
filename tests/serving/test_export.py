"""The export, asked in a process that knows TensorFlow and tensorflow_text only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import tf
from tfrec_div.data.frames import from_frames
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR
from tfrec_div.serving.export import export
from tfrec_div.towers.raw_features import RawItemFeatures

ASK = """
import pickle, sys
import tensorflow as tf, tensorflow_text
folder, asked, answered = sys.argv[1:]
model = tf.saved_model.load(folder)
answers = []
for name, inputs in pickle.load(open(asked, "rb")):
    outputs = model.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
    answers.append({key: value.numpy() for key, value in outputs.items()})
assert not [m for m in sys.modules if m.startswith("tfrec_div") or m == "transformers"]
pickle.dump(answers, open(answered, "wb"))
"""


@pytest.fixture(scope="module")
def recommender(model, parts):
    return Recommender(model, parts[0], reranker=MMR(k=5, diversity=0.4), num_candidates=20)


@pytest.fixture(scope="module")
def plain(parts):
    """Without text and picture towers, whose export is quick."""
    model = TwoTower(parts[0].schema, embedding_dim=8)
    model.compile()
    model.fit(parts[0].batches(64), verbose=0)
    return model.recommender(parts[0])


@pytest.fixture(scope="module")
def version(recommender, tmp_path_factory):
    return export(recommender, tmp_path_factory.mktemp("models") / "shop")


@pytest.fixture(scope="module")
def ask(version, tmp_path_factory):
    """Asks the export several requests in one fresh process."""
    import pickle

    folder = tmp_path_factory.mktemp("asked")

    def run(*requests):
        (folder / "asked").write_bytes(pickle.dumps(requests))
        command = [sys.executable, "-c", ASK, str(version), str(folder / "asked"), str(folder / "answered")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return pickle.loads((folder / "answered").read_bytes())

    return run


def request(users, **changes):
    count = len(users)
    empty = np.full((count, 1), "")
    names = ("history", "exclude", "include_categories", "exclude_categories")
    strings = dict.fromkeys(names, empty)
    numbers = {"k": np.full(count, 5, np.int32), "diversity": np.full(count, np.nan, np.float32)}
    return "recommend", {"user_id": np.array(users), **strings, **numbers, **changes}


def decoded(answer):
    return np.array([[item.decode() for item in row] for row in answer["item_ids"]])


def test_every_signature_answers_in_a_fresh_process(recommender, ask, shop):
    users = [*recommender.schema.user_ids, "nobody"]
    levels = np.linspace(0, 1, len(users)).astype(np.float32)
    sizes = np.arange(len(users), dtype=np.int32) % 7
    ids = recommender.catalog.ids
    history = np.array([["i1", "no such item", ""]] * len(users))
    category = recommender.schema.vocabularies["item/categories"][0]
    wanted = np.array([[category, ""]] * len(users))
    picture = shop.catalog.image_bytes(int(np.flatnonzero(shop.catalog.has_image)[0]))
    cold = {
        "text": np.array(["", "A blue mug. Made of glass.", ""]),
        "image": np.array([picture, b"", b""], object),
        "k": np.array([3, 3, 3], np.int32),
        "diversity": np.zeros(3, np.float32),
    }
    answers = ask(
        ("serving_default", {"user_id": np.array(users)}),
        request(users),
        request(users, diversity=levels),
        request(users, k=sizes),
        request(users, history=history),
        request(users, include_categories=wanted),
        request(users, exclude_categories=wanted),
        request(users, k=np.full(len(users), 1000, np.int32)),
        ("recommend_cold", cold),
        ("similar_items", {"item_id": np.array([ids[0], "no such item"]), "k": np.array([4, 2], np.int32)}),
    )
    default, plain, level, size, session, include, exclude, whole, described, similar = answers
    expected = recommender.recommend(users)
    for answer in (default, plain):
        np.testing.assert_array_equal(decoded(answer), expected.item_ids)
        np.testing.assert_allclose(answer["scores"], expected.scores, rtol=1e-4, atol=1e-4)
        assert answer["valid"].all()
    np.testing.assert_array_equal(decoded(level), recommender.recommend(users, diversity=levels).item_ids)
    # A request for fewer items is the beginning of a page, and the rest is padding that JSON can hold.
    assert size["valid"].sum(axis=1).tolist() == sizes.tolist()
    assert (decoded(size)[~size["valid"]] == "").all()
    assert (size["scores"][~size["valid"]] == 0).all()
    sessions = {user: ["i1"] for user in users}
    np.testing.assert_array_equal(decoded(session), recommender.recommend(users, histories=sessions).item_ids)
    has = recommender.catalog.category_matrix()[:, 0] > 0
    assert has[recommender.schema.item_rows(decoded(include)[include["valid"]])].all()
    assert not has[recommender.schema.item_rows(decoded(exclude)[exclude["valid"]])].any()
    assert whole["item_ids"].shape[1] == 50
    assert np.isfinite(whole["scores"]).all()
    assert described["valid"].all()
    nobody = recommender.recommend(["nobody"], k=3, diversity=0.0)
    np.testing.assert_array_equal(decoded(described)[2], nobody.item_ids[0])
    assert similar["valid"].tolist() == [[True] * 4, [False] * 4]
    assert ids[0] not in decoded(similar)[0]


def test_an_item_is_most_similar_to_its_own_description_and_picture(recommender, ask, shop):
    catalog = shop.catalog
    rows = np.flatnonzero(catalog.has_image & catalog.has_text)[:8]
    texts = [catalog.texts()[row] for row in rows]
    pictures = [catalog.image_bytes(int(row)) for row in rows]
    one = np.ones(len(rows), np.int32)
    (answer,) = ask(
        (
            "recommend_cold",
            {
                "text": np.array(texts),
                "image": np.array(pictures, object),
                "k": one,
                "diversity": np.zeros(len(rows), np.float32),
            },
        )
    )
    np.testing.assert_array_equal(decoded(answer)[:, 0], catalog.ids[rows])


def raw_columns(catalog):
    columns = {"item_id": catalog.ids.astype(str)}
    for feature in catalog.schema.item_features:
        if feature.kind == "image":
            columns[feature.name] = np.array([catalog.image_bytes(r) for r in range(len(catalog))], object)
        elif feature.serving_dtype == "float32":
            columns[feature.name] = catalog.columns[feature.name].astype(np.float32)
        else:
            columns[feature.name] = catalog.columns[feature.name].astype(str)
    return columns


def test_embedded_items_are_those_of_the_index(recommender, ask, shop):
    columns = raw_columns(shop.catalog)
    new = {name: values[:1].copy() for name, values in columns.items()}
    new["item_id"] = np.array(["brand new"])
    known, unknown = ask(("embed_items", columns), ("embed_items", new))
    vectors = recommender.retriever.index.vectors.numpy()[:, :-1]
    np.testing.assert_allclose(known["embeddings"], vectors, rtol=1e-3, atol=1e-4)
    # A new item with the first one's content is like it, but for what its id has learned.
    assert np.abs(unknown["embeddings"][0] - vectors[0]).max() > 1e-4


def test_raw_features_equal_what_training_read(model, shop):
    raw = RawItemFeatures(shop.schema, model.text_encoder, model.image_encoder)
    encoded = raw({name: tf.constant(values) for name, values in raw_columns(shop.catalog).items()})
    table = model.item_table(tf.range(len(shop.catalog)))
    for name, expected in table.items():
        if name != "item_id":
            np.testing.assert_allclose(encoded[name], expected, rtol=1e-3, atol=2e-4, err_msg=name)


def test_a_value_that_a_cell_repeats_counts_once(model, shop):
    raw = RawItemFeatures(shop.schema, model.text_encoder, model.image_encoder)
    columns = {name: values[:1].copy() for name, values in raw_columns(shop.catalog).items()}
    first, second = shop.schema.vocabularies["item/categories"][:2]
    columns["categories"] = np.array([f"{second}| {first} |{second}|no such category"])
    codes = raw({name: tf.constant(values) for name, values in columns.items()})["categories"]
    assert codes.numpy().tolist() == [[2, 1, 0, 0, 0, 0, 0, 0]]


def test_the_manifest_lists_what_a_server_needs_to_know(version, recommender):
    manifest = json.loads((version / "manifest.json").read_text())
    assert set(manifest["signatures"]) == {
        "serving_default",
        "recommend",
        "recommend_cold",
        "similar_items",
        "rank",
        "embed_items",
    }
    inputs = manifest["signatures"]["recommend"]["inputs"]
    assert inputs["diversity"] == {"dtype": "float32", "shape": [None]}
    assert inputs["exclude"] == {"dtype": "string", "shape": [None, None]}
    assert set(manifest["signatures"]["serving_default"]["outputs"]) == {"item_ids", "scores", "valid"}
    assert "FastBertNormalize" in manifest["operations_of_tensorflow_text"]
    assert "DecodeImage" in manifest["operations"]
    assert not {"PyFunc", "EagerPyFunc"} & set(manifest["operations"])
    assert manifest["settings"]["verified_users"] == 60
    assert (
        manifest["parity"]["item_ids"]
        == recommender.recommend(manifest["parity"]["user_id"]).item_ids.tolist()
    )
    assert len(manifest["sha256"]) == 64


def test_no_function_is_compiled_by_xla(version):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        assert not function.attr["_XlaMustCompile"].b


def test_warm_up_requests_name_every_signature(version):
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request for record in records
    ]
    model = tf.saved_model.load(str(version))
    assert {log.model_spec.signature_name for log in logs} == set(model.signatures)
    for log in logs:
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in log.inputs.items()}
        assert model.signatures[log.model_spec.signature_name](**inputs)


def test_versions_count_up_and_a_failure_leaves_no_folder(plain, tmp_path, monkeypatch):
    first = export(plain, tmp_path / "shop", verify=False)
    second = export(plain, tmp_path / "shop", verify=False)
    assert [first.name, second.name] == ["1", "2"]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfrec_div.serving.export.write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        export(plain, tmp_path / "shop", verify=False)
    assert sorted(p.name for p in (tmp_path / "shop").iterdir()) == ["1", "2"]


def test_an_export_that_answers_otherwise_is_refused(plain, tmp_path, monkeypatch):
    wrong = plain.recommend(list(plain.schema.user_ids))
    wrong.item_ids[3, 0] = "another"
    wrong.scores[3, 0] += 0.01
    monkeypatch.setattr(Recommender, "recommend", lambda *_, **__: wrong)
    with pytest.raises(RuntimeError, match="answers otherwise for 1 of 60 users"):
        export(plain, tmp_path / "shop")
    assert not list((tmp_path / "shop").iterdir())


def test_without_text_and_picture_towers_there_is_no_cold_signature(plain, tmp_path):
    version = export(plain, tmp_path / "ids", verify=False)
    assert "recommend_cold" not in json.loads((version / "manifest.json").read_text())["signatures"]


def test_a_catalogue_smaller_than_a_page_is_served_as_many_as_there_are(tmp_path):
    log = pd.DataFrame({"user_id": list("uvwuvw"), "item_id": list("abcbca"), "timestamp": range(6)})
    data = from_frames(log, pd.DataFrame({"item_id": list("abc"), "categories": ["x", "y", "x|y"]}))
    model = TwoTower(data.schema, embedding_dim=4)
    model.compile()
    model.fit(data.batches(8), verbose=0)
    version = export(Recommender(model, data, reranker=MMR(k=10)), tmp_path / "tiny")
    assert json.loads((version / "manifest.json").read_text())["settings"]["verified_users"] == 3


def test_ids_of_any_length_and_content_are_served_as_they_are(tmp_path):
    items = ["x" * 3000, 'a,"b"\n\u2603', "ends with a zero\0"]
    log = pd.DataFrame({"user_id": list("uvwuvw"), "item_id": items * 2, "timestamp": range(6)})
    data = from_frames(log)
    model = TwoTower(data.schema, embedding_dim=4)
    model.compile()
    model.fit(data.batches(8), verbose=0)
    version = export(Recommender(model, data, k=3), tmp_path / "odd", verify=False)
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    page = served(user_id=tf.constant(["nobody"]))["item_ids"].numpy()[0]
    assert sorted(item.decode() for item in page) == sorted(items)


def test_a_full_disk_is_told_as_pythons_own_error_and_leaves_no_version(recommender, tmp_path, monkeypatch):
    def no_space(_, folder, **__):
        Path(folder, "saved_model.pb").write_text("half")
        raise tf.errors.ResourceExhaustedError(None, None, f"{folder}/variables; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", no_space)
    with pytest.raises(OSError, match="No space left on device") as caught:
        export(recommender, tmp_path / "shop")
    assert caught.value.filename == str(tmp_path / "shop" / "1")
    assert not list((tmp_path / "shop").iterdir())
