"""Interests fused by attention: scores, weights that can be read, missing dimensions, new items, and no leak."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tfrec_div._keras import keras, tf
from tfrec_div.data.frames import from_frames
from tfrec_div.models.interest_fusion import InterestFusion
from tfrec_div.serving.signatures import ServingModule


def fitted(data, epochs=2, **options):
    keras.utils.set_random_seed(0)
    model = InterestFusion(data.schema, **{"embedding_dim": 8, **options})
    model.compile()
    model.fit(data.batches(64, max_history=30), epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def model(shop):
    return fitted(shop)


def groups_of_taste(seed=0):
    """Three groups of users, each keeping to one brand, one category or one price whatever the rest may be."""
    random = np.random.default_rng(seed)
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(240)],
            "brand": random.choice([f"b{n}" for n in range(6)], 240),
            "kind": random.choice([f"k{n}" for n in range(6)], 240),
            "price": random.choice([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 240),
        }
    )
    rows = []
    for user in range(180):
        column = ("brand", "kind", "price")[user % 3]
        liked = items[column] == random.choice(items[column].unique())
        odds = np.where(liked, 1.0, 0.02)
        for time, item in enumerate(random.choice(240, 20, replace=False, p=odds / odds.sum())):
            rows.append((f"u{user}", f"i{item}", time))
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return from_frames(log, items, features={"items": {"kind": "category"}})


def test_users_who_care_for_one_dimension_get_its_weight_highest():
    data = groups_of_taste()
    keras.utils.set_random_seed(0)
    model = InterestFusion(data.schema, ["brand", "kind", "price"], embedding_dim=8)
    model.compile()
    model.fit(data.batches(256), epochs=6, verbose=0)
    names, weights = model.dimension_weights(data, range(180))
    for group, name in enumerate(("brand", "kind", "price")):
        users = data.schema.user_rows([f"u{user}" for user in range(180) if user % 3 == group])
        place = names.index(name)
        # Where a third would be chance.
        assert weights[users, place].mean() > 0.7, name
        assert (weights[users].argmax(axis=1) == place).mean() > 0.9, name
    # Training has found that it pays to go by who keeps to what.
    assert (model.attention.slope.numpy() > 0.5).all()


def test_scores_are_the_sum_of_what_the_dimensions_add_and_the_bias(shop, model):
    users, items = [0, 3, 7], [1, 2, 30, 49]
    names, parts = model.contributions(shop, users, items)
    assert names == ("recency", "categories", "price", "brand", "collaborative")
    expected = parts.sum(axis=2) + model.item_bias.numpy()[items]
    np.testing.assert_allclose(
        model.scores(model.query_of(shop, users)).numpy()[:, items], expected, atol=1e-4
    )
    # The call of the model scores pairs alike.
    query = model.query_of(shop, users)
    pairs = model({**query, "item_id": tf.constant([1, 30, 49])})
    np.testing.assert_allclose(pairs, expected[[0, 1, 2], [0, 2, 3]], atol=1e-4)


def test_a_score_is_attention_times_interest_times_view_by_hand(shop):
    model = fitted(shop, dimensions=["brand", "price"])
    query = model.query_of(shop, [4])
    user = model.interests(query["history"], query["history_weight"])
    _, (weights,) = model.dimension_weights(shop, [4])
    views, vectors = model.interests.views_of(tf.constant([9])).numpy()[0], user.vectors.numpy()[0]
    # The views of nine places of a price come first in the schema of the shop.
    price, brand = ((views * vectors)[part].sum() for part in (slice(0, 9), slice(9, None)))
    assert model.dimensions == ("price", "brand")
    score = np.exp(float(model.log_scale)) * (weights[0] * price + weights[1] * brand) + float(
        model.item_bias[9]
    )
    assert float(model.scores(query)[0, 9]) == pytest.approx(score, rel=1e-4)


def test_weights_add_up_to_one_over_what_a_user_has(shop, model):
    _, weights = model.dimension_weights(shop, range(60))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    _, shares = model.dimension_shares(shop, range(60))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    # The deviation over the items of what each adds, from all that it adds.
    moved = model.contributions(shop, range(60), range(50))[1].std(axis=1)
    np.testing.assert_allclose(shares, moved / moved.sum(axis=1, keepdims=True), atol=1e-4)
    assert not model.dimension_shares(shop, [-1])[1].any()
    # Nobody has interests in nothing.
    assert not model.dimension_weights(shop, [-1])[1].any()


def test_shares_of_many_users_need_no_table_of_users_and_items(shop, model):
    users = np.tile(np.arange(60), 50)
    tracemalloc.start()
    try:
        _, shares = model.dimension_shares(shop, users)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(shares[-60:], model.dimension_shares(shop, range(60))[1], atol=1e-5)
    # 3,000 users, 50 items, 5 dimensions of 4 bytes.
    assert peak < 3000 * 50 * 5 * 4


def test_a_dimension_that_a_users_items_lack_is_left_out():
    items = pd.DataFrame({"item_id": list("abcde"), "brand": ["x", "x", "", "", "y"], "kind": list("kkllk")})
    log = pd.DataFrame({"user_id": list("uuuvvww"), "item_id": list("abccdec"), "timestamp": range(7)})
    data = from_frames(log, items, features={"items": {"kind": "category"}})
    model = fitted(data, epochs=1, dimensions=["brand", "kind"])
    _, weights = model.dimension_weights(data, data.schema.user_rows(["u", "v"]))
    assert (weights[0] > 0).all()
    np.testing.assert_allclose(weights[1], [0, 1])
    # What an item lacks adds nothing to its score.
    _, parts = model.contributions(data, [0], data.schema.item_rows(["a", "c"]))
    assert parts[0, 0, 0] != 0
    assert parts[0, 1, 0] == 0


def test_dimensions_can_be_left_out(shop):
    model = fitted(shop, epochs=1, dimensions=["brand", "recency"])
    assert model.dimensions == ("recency", "brand")
    assert model.dimension_weights(shop, [0])[1].shape == (1, 2)
    ids = fitted(shop, epochs=1, dimensions=["collaborative"], embedding_dim=1)
    assert ids.dimension_shares(shop, [0, -1])[1].tolist() == [[1.0], [0.0]]
    assert ids.dimension_weights(shop, [0, -1])[1].tolist() == [[1.0], [0.0]]
    with pytest.raises(ValueError, match=r"dimensions: expected some of \['recency', .*got \['colour'\]"):
        InterestFusion(shop.schema, ["colour"])
    with pytest.raises(ValueError, match="dimensions: expected some of"):
        InterestFusion(shop.schema, [])


def test_new_items_go_by_all_but_the_collaborative_dimension(shop):
    train, _ = shop.split("cold_items")
    cold = np.flatnonzero(train.interactions.item_counts() == 0)
    model = fitted(train)
    names, parts = model.contributions(train, range(20), cold)
    assert not parts[:, :, names.index("collaborative")].any()
    assert parts[:, :, names.index("categories")].any()
    # A new item in a history is no reason to hear less of the others.
    warm = int(np.setdiff1d(np.arange(50), cold)[0])
    own = slice(model.interests.dim, -1)

    def interest(history, weight):
        query = {"history": tf.constant([history]), "history_weight": tf.constant([weight])}
        return model.query_vectors({**query, "user_id": tf.constant([-1])}).numpy()[0, own]

    np.testing.assert_allclose(
        interest([warm, int(cold[0])], [1.0, 1.0]), interest([warm, -1], [1.0, 0.0]), rtol=1e-5
    )


@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_training_lowers_the_loss_and_finds_more_than_chance(loss, parts):
    train, test = parts
    keras.utils.set_random_seed(0)
    model = InterestFusion(train.schema, embedding_dim=16, loss=loss)
    model.compile()
    losses = model.fit(train.batches(64), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.01
    found = model.evaluate(test.batches(64, context=train, shuffle=False), verbose=0, return_dict=True)
    # By chance ten of about forty hold the target a quarter of the time.
    assert found["recall_at_10"] > 0.33


def test_dimensions_learn_as_if_alone_beside_ids(shop, model):
    batch = next(iter(shop.batches(64, shuffle=False)))
    plain = InterestFusion.from_config({**model.get_config(), "dropout": 0.0})
    plain.set_weights(model.get_weights())
    without = InterestFusion.from_config({**plain.get_config(), "dimensions": plain.dimensions[:-1]})
    without.item_table.set_weights(plain.item_table.get_weights())
    without.interests.set_weights(plain.interests.get_weights())
    without.attention.set_weights(plain.attention.get_weights())
    without.log_scale.assign(plain.log_scale)
    without.item_bias.assign(plain.item_bias)
    gradients = []
    for one in (plain, without):
        with tf.GradientTape() as tape:
            loss = one.compute_loss(batch, training=True)
        gradients.append(tape.gradient(loss, [*one.attention.weights, one.log_scale]))
    for beside, alone in zip(*gradients, strict=True):
        np.testing.assert_allclose(beside, alone, rtol=1e-3, atol=1e-6)


def loss_by_popularity(data):
    """The mean loss over a data set's examples of going by how often items are taken, the history left out."""
    counts = np.bincount(data.interactions.item, minlength=len(data.catalog)) + 1.0
    total = rows = 0
    for batch in data.batches(128, shuffle=False):
        target, history = batch["item_id"].numpy(), batch["history"].numpy()
        left = np.tile(counts, (len(target), 1))
        user, step = np.nonzero((history >= 0) & (history != target[:, np.newaxis]))
        left[user, history[user, step]] = 0
        losses = np.log(left.sum(axis=1) / counts[target])
        total, rows = total + float(losses @ batch["weight"].numpy()), rows + len(target)
    return total / rows


def test_where_users_choose_by_chance_it_finds_no_more_than_chance():
    random = np.random.default_rng(0)
    # Every user takes items at random: whatever the model says of the last one, it cannot know it.
    rows = [
        (f"u{u}", f"i{i}", t) for u in range(150) for t, i in enumerate(random.choice(60, 12, replace=False))
    ]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(60)], "brand": random.choice(list("abcd"), 60)})
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    log["rating"] = random.integers(1, 6, len(log))
    log["review"] = random.choice(["lovely", "bad", "fine"], len(log))
    data = from_frames(log, items)
    train, test = data.split("leave_one_out")
    keras.utils.set_random_seed(0)
    model = InterestFusion(train.schema, text="tiny", embedding_dim=8)
    assert "sentiment" in model.dimensions
    model.compile()
    losses = model.fit(train.batches(128), epochs=3, verbose=0).history["loss"]
    found = model.evaluate(test.batches(64, context=train, shuffle=False), verbose=0, return_dict=True)
    # 10 of the 49 that are left: .204, with a standard error of .033 over 150 users.
    assert found["recall_at_10"] < 0.204 + 3 * 0.033
    # What training reports of the last epoch is no better than a ranking by popularity, which is all there is to know:
    # a target that reached its own query would lower it, by .48 where it stands in its own history.
    assert losses[-1] > loss_by_popularity(train) - 0.02


def test_config_and_files_round_trip(shop, model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    query = model.query_of(shop, range(5))
    np.testing.assert_array_equal(again.retrieve(query, 5)[0], model.retrieve(query, 5)[0])
    np.testing.assert_array_equal(
        again.dimension_weights(shop, [0])[1], model.dimension_weights(shop, [0])[1]
    )


def test_a_recommender_serves_it_from_disk_and_as_an_export(shop, tmp_path):
    model = fitted(shop, epochs=1, text="tiny")
    recommender = model.recommender(shop, k=4)
    recommender.save(tmp_path / "saved")
    loaded = td.load(tmp_path / "saved")
    users = list(shop.schema.user_ids[:6])
    expected = recommender.recommend(users).item_ids.tolist()
    assert loaded.recommend(users).item_ids.tolist() == expected
    answer = ServingModule(loaded).functions["serving_default"](tf.constant(users))
    assert [[item.decode() for item in row] for row in answer["item_ids"].numpy()] == expected


def test_towers_that_are_trained_are_refused(shop):
    trained = td.TextEncoder.from_pretrained("tiny", trainable_layers=1)
    with pytest.raises(ValueError, match="text: expected a frozen tower"):
        InterestFusion(shop.schema, text=trained)
    with pytest.raises(ValueError, match="loss: expected 'auto', 'full' or 'in_batch', got 'pairs'"):
        InterestFusion(shop.schema, loss="pairs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": "price"}, "dimensions: expected a list of names, got 'price'"),
        ({"embedding_dim": 0}, "embedding_dim: expected at least 1, got 0"),
        ({"recency_half_life": 0}, "recency_half_life: expected above 0, got 0"),
        ({"recency_half_life": float("nan")}, "recency_half_life: expected above 0, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(shop, options, message):
    with pytest.raises(ValueError, match=message):
        InterestFusion(shop.schema, **options)


def test_a_text_tower_with_nothing_to_read_is_refused():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [1]})
    with pytest.raises(
        ValueError, match=r"text: expected a schema whose items have a text or .*, got one without"
    ):
        InterestFusion(from_frames(log).schema, text="tiny")
    reviewed = from_frames(log.assign(review="fine")).schema
    assert InterestFusion(reviewed, text="tiny", embedding_dim=4).dimensions[0] == "sentiment"


def test_columns_named_like_what_is_made_are_dimensions_of_their_own():
    data = groups_of_taste()
    names = {"brand": "text", "price": "first_seen", "kind": "image"}
    items = pd.DataFrame(data.catalog.columns).rename(columns=names).assign(item_id=data.catalog.ids)
    log = pd.DataFrame({"user_id": data.users.ids[data.interactions.user]})
    log = log.assign(item_id=data.catalog.ids[data.interactions.item], timestamp=data.interactions.timestamp)
    kinds = {"text": "category", "first_seen": "number", "image": "category"}
    data = from_frames(log, items.assign(title="a thing"), features={"items": kinds})
    model = fitted(data, epochs=1, text="tiny", image=td.ImageEncoder(32, weights=None))
    own = ("content", "look", "recency", "collaborative")
    assert sorted(model.dimensions) == sorted([*own, "text", "first_seen", "image"])


@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_under_a_global_mixed_policy_it_is_the_same_model(shop, loss):
    expected = fitted(shop, epochs=1, loss=loss)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = fitted(shop, epochs=1, loss=loss)
        query = model.query_of(shop, range(5))
        scores = model.scores(query)
        assert InterestFusion(shop.schema, text="tiny", embedding_dim=8).compute_dtype == "float32"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {weight.dtype.name for weight in model.trainable_weights} == {"float32"}
    np.testing.assert_allclose(scores, expected.scores(query), rtol=1e-4, atol=1e-4)
