from __future__ import annotations

import numpy as np
import pytest

from tests.models.planted import GROUPS, USERS, group_of, two_interests
from tfrec_div import load
from tfrec_div._keras import keras, tf
from tfrec_div.models.multi_interest import MultiInterest
from tfrec_div.serving.export import export
from tfrec_div.tasks.negatives import MemoryNegatives, MinedNegatives, UniformNegatives
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.towers.interests import CapsuleInterests

every_extractor = pytest.mark.parametrize("extractor", ["capsules", "attention"])


def fitted(data, epochs=2, **options):
    keras.utils.set_random_seed(0)
    model = MultiInterest(data.schema, **{"embedding_dim": 8, **options})
    model.compile()
    model.fit(data.batches(64), epochs=epochs, verbose=0)
    return model


# ---------------------------------------------------------------------- planted interests


@pytest.fixture(scope="module")
def data():
    return two_interests()


@pytest.fixture(scope="module")
def planted(data):
    """Models in three dimensions, where eight groups are too many for the sum of two to tell which two."""

    def make(interests, extractor):
        keras.utils.set_random_seed(0)
        model = MultiInterest(
            data.schema, interests=interests, extractor=extractor, embedding_dim=3, dropout=0.0
        )
        model.compile(keras.optimizers.legacy.Adam(0.03))
        model.fit(data.batches(256), epochs=40, verbose=0)
        return model

    return {
        "one": make(1, "attention"),
        "attention": make(2, "attention"),
        "capsules": make(2, "capsules"),
    }


def seen_by(data):
    """Items of each user; all have twelve."""
    return data.interactions.item.reshape(USERS, 12)


def recommended(model, data):
    seen = seen_by(data)
    query = model.query_of(data, range(USERS))
    return query, model.retrieve(query, k=8, exclude=tf.constant(seen))[0]


def test_max_scoring_covers_both_interests_where_one_vector_does_not(planted, data):
    groups = group_of(seen_by(data))
    likes = (groups[:, :, None] == np.arange(GROUPS)).any(axis=1)
    right, both = {}, {}
    for name, model in planted.items():
        found = group_of(recommended(model, data)[1].numpy())
        # Each user has eight unknown items in the two groups, of 68 unknown ones in all.
        right[name] = likes[np.arange(USERS)[:, None], found].mean()
        both[name] = np.mean([len(np.unique(row[likes[user, row]])) == 2 for user, row in enumerate(found)])
    assert right["attention"] > right["one"] + 0.2
    assert right["capsules"] > right["one"] + 0.15
    assert both["attention"] > both["one"] + 0.25
    assert both["capsules"] > both["one"] + 0.2
    assert right["attention"] > 0.95


@pytest.mark.parametrize(("extractor", "share"), [("attention", 0.8), ("capsules", 0.6)])
def test_why_names_the_items_of_the_history_that_are_like_what_is_recommended(
    extractor, share, planted, data
):
    model = planted[extractor]
    query, rows = recommended(model, data)
    interest, made_of = (values.numpy() for values in model.why(query, rows))
    history = group_of(query["history"].numpy())
    alike = history[:, None, :] == group_of(rows.numpy())[:, :, None]
    # Half of a history is of the item's group, if it is of any.
    of_known = alike.any(axis=2)
    assert (made_of * alike).sum(axis=2)[of_known].mean() > share
    # Users hear from both of their interests.
    assert np.mean([len(set(row)) == 2 for row in interest]) > 0.8
    np.testing.assert_allclose(made_of.sum(axis=2), 1.0, rtol=1e-4)


# ---------------------------------------------------------------------- scores


@every_extractor
def test_scores_are_the_greatest_product_plus_the_bias(extractor, shop):
    model = fitted(shop, extractor=extractor, interests=3)
    query = model.query_of(shop, range(7))
    interests = model.interests_of(query)[0].numpy()
    assert interests.shape == (7, 3, 8)
    items = model.index.vectors.numpy()
    products = np.einsum("bkd,nd->bkn", interests, items[:, :-1])
    expected = products.max(axis=1) + items[:, -1]
    np.testing.assert_allclose(model.scores(query), expected, rtol=1e-4, atol=1e-5)
    # Interests differ, so that it matters which one speaks.
    assert (products.argmax(axis=1) != products[:, :, :1].argmax(axis=1)).any()
    pairs = model({**query, "item_id": tf.constant([3, 1, 4, 1, 5, 9, 2])})
    np.testing.assert_allclose(pairs, expected[np.arange(7), [3, 1, 4, 1, 5, 9, 2]], rtol=1e-4, atol=1e-5)


def test_retrieval_leaves_out_and_keeps_to_what_it_is_told(shop):
    model = fitted(shop)
    query = model.query_of(shop, range(5))
    scores = model.scores(query).numpy()
    best = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    rows, found = model.retrieve(query, k=4)
    np.testing.assert_array_equal(rows, best[:, :4])
    np.testing.assert_allclose(found, np.take_along_axis(scores, best[:, :4], 1), rtol=1e-6)
    rows, _ = model.retrieve(query, k=4, exclude=tf.constant(best[:, :2]))
    np.testing.assert_array_equal(rows, best[:, 2:6])
    allowed = np.zeros(50, bool)
    allowed[[7, 8]] = True
    rows, found = model.retrieve(query, k=3, include=tf.constant(allowed))
    assert {tuple(sorted(row)) for row in rows.numpy()} == {(-1, 7, 8)}
    assert np.isneginf(found[:, 2]).all()


def test_who_has_no_history_gets_what_is_popular(shop):
    model = fitted(shop)
    query = {"history": tf.fill([1, 3], -1), "history_weight": tf.zeros([1, 3])}
    np.testing.assert_allclose(model.scores(query)[0], model.item_bias, rtol=1e-5, atol=1e-6)
    nothing = {"history": tf.zeros([2, 0], tf.int32), "history_weight": tf.zeros([2, 0])}
    np.testing.assert_allclose(model.scores(nothing)[1], model.item_bias, rtol=1e-5, atol=1e-6)


def test_ranks_go_by_the_best_interest(parts):
    train, test = parts
    model = fitted(train)
    batches = test.batches(500, context=train, shuffle=False)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    batch = next(iter(batches))
    scores = model.scores(batch).numpy()
    ranks = []
    for user, (target, known) in enumerate(
        zip(batch["item_id"].numpy(), batch["exclude"].numpy(), strict=True)
    ):
        others = np.setdiff1d(np.arange(50), [target, *known])
        ranks.append(1 + (scores[user, others] >= scores[user, target]).sum())
    assert found["mrr"] == pytest.approx(np.mean(1 / np.array(ranks)), rel=1e-5)


# ---------------------------------------------------------------------- training


def test_the_target_chooses_by_hand(shop):
    interests = tf.constant([[[1.0, 0.0], [0.0, 2.0]]])
    target = tf.constant([[0.5, 1.0]])
    hard = MultiInterest(shop.schema, embedding_dim=2, interests=2, label_attention="hard")
    assert hard.choose(interests, target).numpy().tolist() == [[0.0, 2.0]]
    # Products 0.5 and 2; softmax of twice these.
    soft = MultiInterest(shop.schema, embedding_dim=2, interests=2, label_attention="soft", sharpness=2.0)
    share = 1 / (1 + np.exp(3.0))
    np.testing.assert_allclose(soft.choose(interests, target), [[share, 2 * (1 - share)]], rtol=1e-5)


@pytest.mark.parametrize(("extractor", "choice"), [("capsules", "soft"), ("attention", "hard")])
def test_the_choice_is_that_of_the_paper(extractor, choice, shop):
    assert MultiInterest(shop.schema, extractor=extractor, embedding_dim=2).label_attention == choice


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, FullSoftmax),
        ({"loss": "in_batch"}, InBatchSoftmax),
        ({"negatives": [UniformNegatives(10), MemoryNegatives(20), MinedNegatives(2, 4)]}, InBatchSoftmax),
    ],
)
def test_the_loss_is_an_argument(options, kind, shop):
    keras.utils.set_random_seed(0)
    model = MultiInterest(shop.schema, embedding_dim=8, **options)
    assert isinstance(model.task, kind)
    model.compile()
    losses = model.fit(shop.batches(64), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.02


def test_validation_takes_batches_and_trains_as_without(parts):
    train, test = parts
    held = test.batches(500, context=train, shuffle=False)
    keras.utils.set_random_seed(0)
    model = MultiInterest(train.schema, embedding_dim=8)
    model.compile()
    history = model.fit(train.batches(64), epochs=2, validation_data=held, verbose=0).history
    expected = model.evaluate(held, verbose=0, return_dict=True)
    assert {name: history[f"val_{name}"][-1] for name in expected} == pytest.approx(expected, rel=1e-5)
    # The epoch before was another model's.
    assert history["val_mrr"][0] != history["val_mrr"][1]
    np.testing.assert_allclose(fitted(train).item_bias, model.item_bias, rtol=1e-5)


@every_extractor
def test_items_that_nobody_met_are_not_pushed_down(extractor, shop):
    data, _ = shop.split("cold_items", test=0.2)
    counts = data.interactions.item_counts()
    assert (counts == 0).any()
    keras.utils.set_random_seed(0)
    model = MultiInterest(data.schema, embedding_dim=8, extractor=extractor)
    model.compile(keras.optimizers.legacy.Adam(0.05))
    model.fit(data.batches(64), epochs=3, verbose=0)
    # What `adapt` gave them, by how often they occur; those that were met have learned.
    start = np.log(counts + 1.0) - np.log(counts + 1.0).mean()
    change = np.abs(model.item_bias.numpy() - start)
    assert change[counts == 0].max() < 1e-5
    assert change[counts > 0].mean() > 0.01


@every_extractor
def test_config_and_weights_round_trip(extractor, shop, tmp_path):
    model = fitted(shop, extractor=extractor, interests=3)
    again = MultiInterest.from_config(model.get_config())
    again.set_weights(model.get_weights())
    query = model.query_of(shop, range(10))
    for expected, found in zip(model.retrieve(query, k=5), again.retrieve(query, k=5), strict=True):
        np.testing.assert_array_equal(expected, found)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.scores(query), model.scores(query))


def test_a_layer_with_its_own_settings_round_trips(shop):
    layer = CapsuleInterests(3, 8, iterations=2, seed=4)
    model = fitted(shop, extractor=layer, interests=3)
    again = MultiInterest.from_config(model.get_config())
    assert (again.extractor.iterations, again.extractor.seed) == (2, 4)
    again.set_weights(model.get_weights())
    query = model.query_of(shop, range(4))
    np.testing.assert_array_equal(again.scores(query), model.scores(query))


def test_is_served_and_saved_as_any_retriever(shop, tmp_path):
    recommender = fitted(shop).recommender(shop, k=5)
    recommender.save(tmp_path / "saved")
    users = ["u01", "u02", "nobody"]
    page = recommender.recommend(users).item_ids
    np.testing.assert_array_equal(load(tmp_path / "saved").recommend(users).item_ids, page)


@pytest.mark.slow
@every_extractor
def test_the_export_answers_as_the_model(extractor, shop, tmp_path):
    # `export` compares the answers for all users in a process of its own.
    recommender = fitted(shop, extractor=extractor).recommender(shop, k=5)
    assert (export(recommender, tmp_path / "shop") / "manifest.json").is_file()


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@every_extractor
def test_mixed_precision_trains_with_scores_in_float32(precision, extractor, shop):
    keras.utils.set_random_seed(0)
    model = MultiInterest(shop.schema, embedding_dim=8, extractor=extractor, precision=precision)
    model.compile()
    losses = model.fit(shop.batches(64), epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.02
    assert model.extractor.compute_dtype == precision.removeprefix("mixed_")
    assert model.scores(model.query_of(shop, [0])).dtype == tf.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "id"}, "features: expected a list of names, got 'id'"),
        ({"embedding_dim": 0}, "embedding_dim: expected at least 1, got 0"),
        ({"temperature": 0}, "temperature: expected above 0, got 0"),
        ({"temperature": 0.0, "loss": "in_batch"}, "temperature: expected above 0, got 0.0"),
        ({"features": ["history"]}, r"features: expected some of .* got \['history'\]"),
        ({"loss": "hinge"}, "loss: expected 'auto', 'full' or 'in_batch', got 'hinge'"),
        ({"extractor": "lda"}, "extractor: expected one of capsules, attention, or a layer, got 'lda'"),
        ({"label_attention": "max"}, "label_attention: expected 'soft', 'hard' or None, got 'max'"),
        ({"interests": 0}, "interests: expected at least 1, got 0"),
        ({"loss": "full", "negatives": [UniformNegatives(3)]}, "negatives: the loss 'full' has all items"),
    ],
)
def test_arguments_are_refused_by_name(options, message, shop):
    with pytest.raises(ValueError, match=message):
        MultiInterest(shop.schema, **options)
