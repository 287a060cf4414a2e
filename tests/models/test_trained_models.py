"""Towers whose text or image model is trained along."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.augment.image import ImageAugmentation
from tfrec_div.data.frames import from_frames
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.optimizers import LazyAdam
from tfrec_div.precision import precision_scope
from tfrec_div.serving.signatures import ServingModule
from tfrec_div.tasks.retrieval import InBatchSoftmax
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.texts import item_texts


def text_model(layers=1, **options):
    return TextEncoder.from_pretrained("tiny", **{"max_tokens": 24, "trainable_layers": layers, **options})


def trained(data, epochs=1, batch_size=64, eager=False, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model = TwoTower(data.schema, **{"embedding_dim": 8, "max_history": 10, **options})
    model.compile(optimizer, run_eagerly=eager)
    history = model.fit(data.batches(batch_size, max_history=10), epochs=epochs, verbose=0)
    return model, history.history["loss"]


def two_kinds():
    """Users of two kinds, each with items whose titles are of other words: knowing the kind halves the choice."""
    random = np.random.default_rng(0)
    words = [["love", "war", "old", "sea"], ["city", "girl", "night", "day"]]
    titles = [" ".join(random.permutation(words[item % 2])) for item in range(40)]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(40)], "title": titles})
    rows = [
        (f"u{user}", f"i{user % 2 + 2 * place}", time)
        for user in range(40)
        for time, place in enumerate(random.permutation(20)[:8])
    ]
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items)


@pytest.fixture(scope="module")
def planted():
    return two_kinds()


@pytest.fixture(scope="module")
def fitted(planted):
    """A model whose text tower's last layer was trained, and the losses and first weights of it."""
    encoder = text_model()
    first = [weight.numpy().copy() for weight in encoder.weights]
    # By its text alone, so that what is learned is learned there; the tiny model begins with random weights, which
    # the default rate is too careful for.
    model, loss = trained(planted, epochs=10, text=encoder, features=["history"], optimizer=LazyAdam(3e-3))
    return model, loss, first


def test_training_lowers_the_loss_by_way_of_the_last_layer_only(fitted):
    model, loss, first = fitted
    # Of ln 2 = 0.69, what those without a history leave.
    assert loss[-1] < loss[0] - 0.3
    changed = {
        weight.name.split("bert/")[-1]
        for weight, before in zip(model.text_encoder.weights, first, strict=True)
        if (weight.numpy() != before).any()
    }
    assert {name.split("/")[1] for name in changed} == {"layer_._1"}
    assert len(changed) == 16


def test_a_trained_model_reads_the_items_of_a_batch_and_no_others(shop, monkeypatch):
    reached = []
    original = TextEncoder._vectors

    def counted(self, ids, mask, training, step=None):
        if training:
            reached.append(int(ids.shape[0]))
        return original(self, ids, mask, training, step)

    monkeypatch.setattr(TextEncoder, "_vectors", counted)
    model, _ = trained(shop, text=text_model(), eager=True)
    assert isinstance(model.task, InBatchSoftmax)
    texts = np.array(shop.catalog.texts(), object)
    batches = shop.batches(64, max_history=10).as_dataset(epochs=1)
    # An item counts once, and so do items with equal texts; the histories' items are not read at all.
    assert reached == [len(set(texts[batch["item_id"].numpy()])) for batch in batches]
    assert max(reached) <= 50


def test_histories_are_made_of_the_vectors_of_the_last_refresh(fitted, planted):
    model, _, _ = fitted
    batch = next(iter(planted.batches(16, max_history=10)))
    with tf.GradientTape() as tape:
        queries = model._queries(batch, None, None)
    assert tape.gradient(queries, model.text_encoder.trainable_weights) == [None] * 16
    before = model.index.vectors.numpy()
    model.index.update(np.zeros_like(before))
    emptied = model._queries(batch, None, None)
    model.index.update(before)
    assert np.abs(queries.numpy() - emptied.numpy()).max() > 1e-3


def test_config_and_weights_round_trip(fitted, planted):
    model, _, _ = fitted
    again = TwoTower.from_config(model.get_config())
    assert again.text_encoder.trainable_layers == 1
    assert [w.name for w in again.text_encoder.trainable_weights] == [
        w.name for w in model.text_encoder.trainable_weights
    ]
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-6)
    query = model.query_of(planted, range(10))
    np.testing.assert_array_equal(again.retrieve(query, 5)[0], model.retrieve(query, 5)[0])


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_is_trained_in_mixed_precision(precision, planted, tmp_path):
    keras.utils.set_random_seed(0)
    with precision_scope(precision):
        encoder = text_model()
    model, loss = trained(
        planted, epochs=6, text=encoder, features=["history"], optimizer=LazyAdam(3e-3), precision=precision
    )
    assert encoder.layer.encoder.layer[1].compute_dtype == precision.removeprefix("mixed_")
    assert np.isfinite(loss).all()
    assert loss[-1] < loss[0] - 0.2
    assert {v.dtype for v in model.trainable_variables} == {tf.float32}
    assert model.content("text").dtype == np.float32
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.text_encoder.layer.encoder.layer[1].compute_dtype == precision.removeprefix("mixed_")
    assert again.query_tower.compute_dtype == precision.removeprefix("mixed_")
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), rtol=1e-2, atol=1e-2)
    query = model.query_of(planted, range(10))
    np.testing.assert_allclose(again.retrieve(query, 5)[1], model.retrieve(query, 5)[1], rtol=1e-3)


def test_a_training_is_repeated_exactly(shop):
    runs = [trained(shop, text=text_model("all")) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    np.testing.assert_array_equal(runs[0][0].item_vectors(), runs[1][0].item_vectors())


def test_content_is_what_the_model_makes_of_the_strings(fitted, planted):
    model, _, _ = fitted
    expected = model.text_encoder.encode(planted.catalog.texts(), progress=False)
    np.testing.assert_allclose(model.content("text"), expected, atol=1e-5)


def test_an_export_embeds_strings_and_pictures_as_the_index_does(shop):
    image = ImageEncoder(32, None, "mobilenet_v2", trainable_from="block_16")
    model, _ = trained(shop, text=text_model(), image=image)
    recommender = model.recommender(shop)
    serving = ServingModule(recommender)
    request = {"item_id": tf.constant(shop.catalog.ids.tolist())}
    for feature in shop.schema.item_features:
        values = list(shop.catalog.columns[feature.name])
        if feature.kind == "image":
            values = [shop.catalog.image_bytes(row) for row in range(len(shop.catalog))]
        request[feature.name] = tf.constant(values, feature.serving_dtype)
    served = serving.functions["embed_items"](**request)["embeddings"]
    np.testing.assert_allclose(served, model.index.vectors[:, :-1], atol=1e-4)
    # A cold request that is an item's own text and picture is most like that item.
    has = np.flatnonzero(shop.catalog.has_image & shop.catalog.has_text)[:5]
    answer = serving.functions["recommend_cold"](
        text=tf.constant([shop.catalog.texts()[row] for row in has]),
        image=tf.constant([shop.catalog.image_bytes(int(row)) for row in has]),
        k=tf.fill([5], 3),
        diversity=tf.zeros([5]),
    )
    assert [ids[0].decode() for ids in answer["item_ids"].numpy()] == shop.catalog.ids[has].tolist()


def test_a_trained_image_model_learns_and_augments_in_training_only(shop):
    image = ImageEncoder(
        32, None, "mobilenet_v2", trainable_from="block_15", augment=ImageAugmentation(rotate=10, crop=0.1)
    )
    before = {weight.name: weight.numpy().copy() for weight in image.weights}
    model, loss = trained(shop, epochs=2, image=image)
    assert np.isfinite(loss).all()
    changed = {w.name for w in image.weights if (w.numpy() != before[w.name]).any()}
    stages = {name.split("_")[1] for name in changed if name.startswith("block_")}
    assert stages == {"15", "16"}
    steps = 2 * len(shop.batches(64))
    assert int(image.augment.step) == steps
    model.item_vectors()
    assert int(image.augment.step) == steps
    again = TwoTower.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-5)


# ---------------------------------------------------------------- which texts


def reviewed():
    log = pd.DataFrame(
        {
            "user_id": ["u", "u", "v", "v"],
            "item_id": ["a", "b", "a", "c"],
            "timestamp": [1, 2, 3, 4],
            "review": ["Warm.", "", " Lovely toy. ", "Bad!"],
        }
    )
    items = pd.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Tea", "Toy", ""],
            "description": ["Hot.", "", "Of wood"],
        }
    )
    users = pd.DataFrame({"user_id": ["u", "v"], "bio": ["I like old toys", ""]})
    return from_frames(log, items, users, features={"users": {"bio": "text"}})


def test_the_text_tower_reads_the_fields_that_are_named_in_their_order():
    data = reviewed()
    assert item_texts(data) == ["Tea. Hot.", "Toy", "Of wood"]
    assert item_texts(data, ["description"]) == ["Hot.", "", "Of wood"]
    # The latest review first.
    assert item_texts(data, ["reviews", "title"]) == ["Lovely toy.. Warm.. Tea", "Toy", "Bad!"]
    with pytest.raises(
        ValueError, match=r"text_fields: expected some of \['title', 'description', 'reviews'\]"
    ):
        TwoTower(data.schema, text="tiny", text_fields=["plot"])


@pytest.mark.parametrize("layers", ["none", 1])
def test_a_model_with_fields_embeds_requests_with_these_fields(layers):
    data = reviewed()
    fields = ["reviews", "title"]
    model, _ = trained(data, text=text_model(layers), text_fields=fields, features=["history"], batch_size=4)
    serving = ServingModule(model.recommender(data))
    served = serving.functions["embed_items"](
        item_id=tf.constant(["a", "b", "c"]),
        title=tf.constant(["Tea", "Toy", ""]),
        reviews=tf.constant(["Lovely toy.. Warm.", "", "Bad!"]),
    )["embeddings"]
    np.testing.assert_allclose(served, model.index.vectors[:, :-1], atol=1e-5)
    assert TwoTower.from_config(model.get_config()).text_fields == fields


@pytest.mark.parametrize("layers", ["none", 1])
def test_several_texts_of_an_item_are_features_of_their_own_read_by_one_model(layers, tmp_path):
    data = reviewed()
    fields = {"title": "title", "about": ["description", "reviews"]}
    encoder = text_model(layers, normalize=False)
    model, loss = trained(data, text=encoder, text_fields=fields, features=["history"], batch_size=4)
    assert np.isfinite(loss).all()
    texts = {
        "text/title": ["Tea", "Toy", ""],
        "text/about": ["Hot.. Lovely toy.. Warm.", "", "Of wood. Bad!"],
    }
    expected = {name: encoder(tf.constant(of_items)).numpy() for name, of_items in texts.items()}
    for name, vectors in expected.items():
        np.testing.assert_allclose(model.content(name), vectors, atol=1e-5)
    # The content is their mean, of those that are there.
    title, about = expected.values()
    np.testing.assert_allclose(
        model.content("text"), [(title[0] + about[0]) / 2, title[1], about[2]], atol=1e-5
    )
    # Each has its own place and its own mask in the fusion.
    names, weights = model.fusion_weights([0, 1, 2])
    assert names == ("text/title", "text/about")
    assert (weights > 0).tolist() == [[True, True], [True, False], [False, True]]
    assert sum("word_embeddings" in weight.name for weight in model.weights) == 1
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config()["text_fields"] == {"title": ["title"], "about": ["description", "reviews"]}
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-6)
    served = ServingModule(model.recommender(data, k=2)).functions
    embedded = served["embed_items"](
        item_id=tf.constant(["a", "b", "c"]),
        title=tf.constant(["Tea", "Toy", ""]),
        description=tf.constant(["Hot.", "", "Of wood"]),
        reviews=tf.constant(["Lovely toy.. Warm.", "", "Bad!"]),
    )["embeddings"]
    np.testing.assert_allclose(embedded, model.index.vectors[:, :-1], atol=1e-5)
    # One text is asked for: it is compared with the mean of an item's texts.
    cold = served["recommend_cold"](
        text=tf.constant(["Toy", "Of wood. Bad!"]),
        image=tf.constant(["", ""]),
        k=tf.constant([1, 1]),
        diversity=tf.constant([0.0, 0.0]),
    )
    assert cold["item_ids"].numpy()[:, 0].tolist() == [b"b", b"c"]


def test_texts_without_a_column_are_refused():
    schema = reviewed().schema
    with pytest.raises(ValueError, match=r"text_fields: expected some of .*got \['plot'\]"):
        TwoTower(schema, text="tiny", text_fields={"title": ["title"], "more": ["plot"]})
    with pytest.raises(ValueError, match="text_fields: expected at least one text"):
        TwoTower(schema, text="tiny", text_fields={})


@pytest.mark.parametrize("layers", ["none", 1])
def test_users_have_a_text_of_their_own(layers):
    data = reviewed()
    model, _ = trained(
        data, text=text_model(layers), user_text="features", features=["history"], batch_size=4
    )
    encoder = model.query_tower.encoders["text"]
    rows = model.user_table(tf.constant([0, 1, -1]))["text"]
    # v has written nothing, and nobody is nobody.
    assert encoder.present(rows).numpy().tolist() == [True, False, False]
    if layers == "none":
        expected = model.text_encoder(tf.constant(["I like old toys"]))
        np.testing.assert_allclose(rows[:1], expected, atol=1e-6)
    again = TwoTower.from_config(model.get_config())
    again.set_weights(model.get_weights())
    query = model.query_of(data, [0, 1])
    np.testing.assert_allclose(again.query_vectors(query), model.query_vectors(query), atol=1e-6)


@pytest.mark.parametrize("layers", ["none", 1])
def test_the_titles_of_a_history_are_a_text_of_the_user(layers):
    data = reviewed()
    model, loss = trained(
        data, text=text_model(layers), user_text="history_titles", features=["history"], batch_size=4
    )
    assert np.isfinite(loss).all()
    # "Toy", then "Tea"; c has no title, but a description is no title.
    rows = model.titles_of(tf.constant([[1, 0, -1], [2, -1, -1]]))
    np.testing.assert_array_equal(rows, model.text_encoder.to_rows(tf.constant(["Toy Tea", ""])))
    # The way to the page is the same, up to the signature that a server answers.
    users = data.schema.user_ids
    answer = ServingModule(model.recommender(data, k=2)).functions["serving_default"](tf.constant(users))
    expected = model.recommender(data, k=2).recommend(users).item_ids.tolist()
    assert [[item.decode() for item in row] for row in answer["item_ids"].numpy()] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_text": "mood", "text": "tiny"}, "user_text: expected None or one of"),
        ({"user_text": "history_titles"}, "user_text: 'history_titles' needs a text tower"),
        ({"user_text": "features", "text": "tiny"}, "needs a text feature of the users"),
    ],
)
def test_a_text_of_users_that_cannot_be_made_is_refused(options, message):
    data = from_frames(
        pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}), pd.DataFrame({"item_id": ["a"], "title": ["T"]})
    )
    with pytest.raises(ValueError, match=message):
        TwoTower(data.schema, **options)
