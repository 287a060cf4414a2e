"""Interests along several dimensions: which there are, what a user wants in each, and what they count for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.frames import from_frames
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.towers.dimensions import interests as module
from tfrec_div.towers.dimensions.attention import DimensionAttention
from tfrec_div.towers.dimensions.features import (
    dimension_features,
    dimension_spec,
    dimension_views,
    first_seen,
)
from tfrec_div.towers.dimensions.interests import DimensionInterests
from tfrec_div.towers.dimensions.opinions import ratings_of_items, reviews_of_items
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.views import CodeView

# ---------------------------------------------------------------- attention


def test_attention_is_the_softmax_of_gain_and_statistic_by_hand():
    attention = DimensionAttention(3)
    attention.prior.assign([0.0, np.log(2.0), 0.0])
    attention.slope.assign([1.0, 0.5, 0.0])
    statistics = tf.constant([[np.log(3.0), 2 * np.log(2.0), 9.0]], tf.float32)
    # exp of the logits: 3, 2 x 2, 1.
    weights = attention(statistics, tf.constant([[True, True, True]]))
    np.testing.assert_allclose(weights, [[3 / 8, 4 / 8, 1 / 8]], rtol=1e-5)


def test_what_is_missing_has_no_weight_and_the_rest_add_up_to_one():
    attention = DimensionAttention(3)
    attention.prior.assign([0.0, np.log(2.0), np.log(5.0)])
    present = tf.constant([[True, True, False], [False, False, True], [False, False, False]])
    weights = attention(tf.zeros([3, 3]), present)
    np.testing.assert_allclose(weights, [[1 / 3, 2 / 3, 0], [0, 0, 1], [0, 0, 0]], rtol=1e-5)


def test_gradients_of_attention_are_finite_for_users_without_any_dimension():
    attention = DimensionAttention(2)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(attention(tf.constant([[99.0, -99.0]]), tf.constant([[False, False]])))
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(value, attention.weights))


def test_attention_over_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^num_dimensions: expected at least 1, got 0$"):
        DimensionAttention(0)


# ---------------------------------------------------------------- interests

BRANDS = np.array([[1], [2], [1], [0]])
PLACES = np.array([[1], [1], [2], [2]])


def brand_and_place(half_lives=None) -> DimensionInterests:
    """Items 0 to 3 of brands a, b, a and none, at places x, x, y and y."""
    views = {"brand": {"brand": CodeView(2, 8)}, "place": {"place": CodeView(2, 8)}}
    layer = DimensionInterests(views, 4, half_lives)
    layer.encode_items({"brand": BRANDS, "place": PLACES}, met=np.ones(4, bool))
    return layer


def test_interests_by_hand():
    layer = brand_and_place()
    # Views of the place: (1, 0) or (0, 1), less the mean (.5, .5), to a mean square length of one.
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        layer.views_of(tf.constant([0, 3]))[:, 2:], [[half, -half], [-half, half]], atol=1e-6
    )
    user = layer(tf.constant([[0, 2, 3, -1]]), tf.constant([[1.0, 1.0, 0.5, 0.0]]))
    # Strengths 1 for x and 1.5 for y: the direction is y's; the length is the root of 2.5 in all.
    np.testing.assert_allclose(user.vectors[0, 2:], np.sqrt(2.5) * np.array([-half, half]), rtol=1e-5)
    assert float(tf.norm(user.vectors[0, :2])) == pytest.approx(np.sqrt(2.5), rel=1e-5)
    # Pairs of different items: x with y: -1 (strengths 1 x 1 and 1 x .5), y with y: +1 (1 x .5), each both ways.
    # All items together cancel out, so that nothing is usual. Added to the number of pairs are 20.
    expected = 2 * (-1.0 - 0.5 + 0.5) / (2 * (1.0 + 0.5 + 0.5) + 20)
    assert float(user.concentration[0, 1]) == pytest.approx(expected, rel=1e-4)


def test_an_item_without_a_dimension_counts_in_the_others_only():
    layer = brand_and_place()
    user = layer(tf.constant([[3, -1]]), tf.constant([[1.0, 0.0]]))
    assert user.present.numpy().tolist() == [[False, True]]
    assert not user.vectors.numpy()[0, :2].any()
    assert user.vectors.numpy()[0, 2:].any()
    nobody = layer(tf.constant([[-1, -1]]), tf.zeros([1, 2]))
    assert nobody.present.numpy().tolist() == [[False, False]]
    assert not nobody.vectors.numpy().any()


def test_a_dimension_that_forgets_goes_by_the_latest():
    # The latest item is at x, two before it at y: without forgetting y wins.
    history, strength = tf.constant([[0, 2, 3]]), tf.ones([1, 3])
    faithful, forgetful = (
        brand_and_place(lives)(history, strength).vectors[0, 2:].numpy() for lives in (None, {"place": 0.5})
    )
    assert faithful[0] < 0 < faithful[1]
    assert forgetful[1] < 0 < forgetful[0]


def test_many_items_are_looked_up_with_the_same_result(monkeypatch):
    layer = brand_and_place({"place": 2.0})
    history, strength = tf.constant([[0, 2, 3], [1, 1, -1]]), tf.constant([[1.0, 0.5, 0.3], [1.0, 0.2, 0.0]])
    by_products = layer(history, strength)
    monkeypatch.setattr(module, "MANY_ITEMS", 0)
    for one, other in zip(by_products, layer(history, strength), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_concentration_is_standard_over_the_users():
    shop = make_synthetic(200, 60, 15, images=False)
    layer = DimensionInterests(dimension_views(shop.schema, 8), 60)
    features = {**shop.catalog.encoded(), "items/first_seen": np.zeros((60, 2), np.float32)}
    layer.fill(features, shop.interactions)
    user = layer(*map(tf.constant, shop.interactions.latest(np.arange(200), 300)))
    np.testing.assert_allclose(user.concentration.numpy().mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(user.concentration.numpy().std(axis=0), 1, atol=0.05)


def test_what_is_usual_is_read_from_a_sample_of_many_users(monkeypatch):
    shop = make_synthetic(200, 60, 15, images=False)
    features = {**shop.catalog.encoded(), "items/first_seen": np.zeros((60, 2), np.float32)}
    read = []
    latest = Interactions.latest
    monkeypatch.setattr(module, "SAMPLE", 120)
    monkeypatch.setattr(Interactions, "latest", lambda log, u, n: read.append(len(u)) or latest(log, u, n))
    layers = [DimensionInterests(dimension_views(shop.schema, 8), 60) for _ in range(2)]
    for layer in layers:
        layer.fill(features, shop.interactions)
    assert sum(read) == 2 * 120
    np.testing.assert_array_equal(layers[0].mean, layers[1].mean)
    # The sample stands for all: means of 120 of 200 users, within some four of their standard errors.
    user = layers[0](*map(tf.constant, latest(shop.interactions, np.arange(200), 300)))
    np.testing.assert_allclose(user.concentration.numpy().mean(axis=0), 0, atol=0.25)
    np.testing.assert_allclose(user.concentration.numpy().std(axis=0), 1, atol=0.3)


def test_interests_are_made_again_of_their_configuration():
    layer = brand_and_place({"place": 2.0})
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again.set_weights(layer.get_weights())
    query = tf.constant([[0, 2, 3]]), tf.ones([1, 3])
    np.testing.assert_array_equal(again(*query).vectors, layer(*query).vectors)


# ---------------------------------------------------------------- what dimensions are read from


def test_dimensions_are_those_that_the_schema_has(shop):
    names = dimension_views(shop.schema, 8, TextEncoder.from_pretrained("tiny"))
    assert list(names) == ["content", "sentiment", "recency", "categories", "price", "brand"]
    assert list(names["recency"]) == ["release_date"]
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [1], "rating": [3]})
    bare = dimension_views(from_frames(log).schema, 8)
    assert {name: list(views) for name, views in bare.items()} == {
        "sentiment": ["ratings/liked"],
        "recency": ["items/first_seen"],
    }


@pytest.mark.parametrize("name", ["content", "look", "sentiment", "recency", "collaborative"])
@pytest.mark.parametrize("kind", ["category", "number"])
def test_columns_that_are_named_like_a_dimension_are_refused(name, kind):
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    items = pd.DataFrame({"item_id": ["a"], name: [1]})
    schema = from_frames(log, items, features={"items": {name: kind}}).schema
    with pytest.raises(ValueError, match=rf"no {kind} of the items .* got '{name}'; rename the column$"):
        dimension_views(schema, 8)


def test_a_date_may_be_called_recency():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    items = pd.DataFrame({"item_id": ["a"], "recency": ["2020-01-01"]})
    schema = from_frames(log, items, features={"items": {"recency": "timestamp"}}).schema
    assert {name: list(views) for name, views in dimension_views(schema, 8).items()} == {
        "recency": ["recency"]
    }


def test_columns_named_like_what_is_made_keep_their_values():
    log = [(f"u{n}", item, day + n) for item, day in (("a", 0), ("b", 4)) for n in range(5)]
    items = pd.DataFrame(
        {
            "item_id": ["a", "b"],
            "title": ["one", "two"],
            "first_seen": [3.0, 1.0],
            "text": ["x", ""],
            "image": ["p", "q"],
        }
    )
    kinds = {"first_seen": "number", "text": "category", "image": "category"}
    data = from_frames(
        pd.DataFrame(log, columns=["user_id", "item_id", "timestamp"]), items, features={"items": kinds}
    )
    encoder, pictures = TextEncoder.from_pretrained("tiny"), ImageEncoder(32, weights=None)
    features = dimension_features(data, encoder, pictures, progress=False)
    rows = data.schema.item_rows(["a", "b"])
    assert features["first_seen"][rows].tolist() == [[1.0, 1.0], [-1.0, 1.0]]
    assert features["text"][rows].tolist() == [[1], [0]]
    assert features["image"][rows].tolist() == [[1], [2]]
    spec = dimension_spec(data.schema, encoder, pictures)
    assert {name: (values.shape[1:], values.dtype) for name, values in features.items()} == spec
    views = dimension_views(data.schema, 8, encoder, pictures)
    assert set(views) == {"content", "look", "recency", "first_seen", "text", "image"}
    read = [name for parts in views.values() for name in parts]
    assert len(set(read)) == len(read) == 6


def test_a_text_tower_reads_reviews_alone_where_items_have_no_text():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "review": ["fine"]})
    views = dimension_views(from_frames(log).schema, 8, TextEncoder.from_pretrained("tiny"))
    assert list(views) == ["sentiment"]


def test_few_interactions_do_not_tell_when_an_item_appeared():
    log = [(f"u{n}", "a", 10 + n) for n in range(5)] + [(f"u{n}", "b", n) for n in range(4)]
    data = from_frames(pd.DataFrame(log, columns=["user_id", "item_id", "timestamp"]))
    assert first_seen(data)[:, 1].tolist() == [1.0, 0.0]


def test_ratings_of_items_are_less_their_users_means_by_hand():
    rating = [5.0, 3.0, 2.0, 4.0, np.nan]
    log = Interactions.from_rows([0, 0, 1, 1, 1], [0, 1, 0, 1, 2], ["u", "v"], list("abc"), rating=rating)
    # u: +1, -1; v: -1, +1: both items are at their users' means.
    np.testing.assert_allclose(ratings_of_items(log), [[0, 1], [0, 1], [0, 0]], atol=1e-6)


def test_what_is_said_of_an_item_is_less_what_its_writer_always_says():
    class Letters:
        dim = 2
        fingerprint = "letters"

    vectors = {(0, 0): [4.0, 0.0], (0, 1): [0.0, 2.0], (1, 0): [1.0, 1.0]}

    def encode(data, encoder, cache_dir, progress):
        users, items = np.array(list(vectors)).T
        return users, items, np.array(list(vectors.values()), np.float32)

    log = pd.DataFrame({"user_id": list("uuv"), "item_id": list("aba"), "review": ["x", "y", "z"]})
    data = from_frames(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfrec_div.towers.dimensions.opinions.encode_reviews", encode)
        said = reviews_of_items(data, Letters())
    # u's mean is (2, 1) and v's only review is v's mean: a: ((2, -1) + (0, 0)) / 2, b: (-2, 1).
    np.testing.assert_allclose(said, [[1.0, -0.5], [-2.0, 1.0]])
