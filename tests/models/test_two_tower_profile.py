"""The content profile inside the two-tower model: who goes by it, who learns what, and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.negatives import UniformNegatives


@pytest.fixture(scope="module")
def cold_shop():
    """A shop, a fifth of whose items has no interaction in training."""
    data = make_synthetic(150, 100, 20, images=False)
    train, test = data.split("cold_items")
    cold = np.flatnonzero(train.interactions.item_counts() == 0)
    return train, test, cold


@pytest.fixture(scope="module")
def fitted(cold_shop):
    keras.utils.set_random_seed(0)
    model = TwoTower(cold_shop[0].schema, embedding_dim=8)
    model.compile()
    model.fit(cold_shop[0].batches(256), epochs=3, verbose=0)
    return model


def test_new_items_go_by_their_content_alone(cold_shop, fitted):
    _, _, cold = cold_shop
    vectors = fitted.item_vectors().numpy()
    assert not vectors[cold, :8].any()
    warm = np.setdiff1d(np.arange(len(vectors)), cold)
    assert vectors[warm, :8].any(axis=1).all()
    views, gains = fitted.profile.items.numpy()[1:], list(fitted.profile.gains.values())
    lengths = [view.dim for view in fitted.profile.views.values()]
    np.testing.assert_allclose(vectors[:, 8:-1], views * np.sqrt(np.repeat(gains, lengths)), rtol=1e-5)


def test_scores_are_towers_and_profile_and_bias(cold_shop, fitted):
    train, _, _ = cold_shop
    query = fitted.query_of(train, [0, 1])
    vectors, items = fitted.query_vectors(query).numpy(), fitted.item_vectors().numpy()
    content = fitted.profile.query(query["history"], query["history_weight"]).numpy()
    np.testing.assert_allclose(vectors[:, 8:-1], content, rtol=1e-5)
    rows = {"user_id": query["user_id"], "item_id": tf.constant([3, 4])}
    scores = fitted({**query, **rows})
    np.testing.assert_allclose(scores, (vectors * items[[3, 4]]).sum(1), rtol=1e-4)


def test_the_loss_is_that_of_the_scores_and_the_gains_learn_from_the_profile_alone(cold_shop, fitted):
    train, _, _ = cold_shop
    batch = next(iter(train.batches(64, shuffle=False)))
    gain = fitted.profile.log_gain
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(gain)
        loss = fitted.compute_loss(batch, training=True)
    of_gains = tape.gradient(loss, gain).numpy()
    assert np.abs(of_gains).min() > 0
    # By hand: a softmax over the met items that the user does not know, of the profile's scores and the bias.
    step = 1e-2
    slopes = []
    for place in range(len(of_gains)):
        values = []
        for sign in (1, -1):
            gain.assign_add(sign * step * np.eye(len(of_gains), dtype=np.float32)[place])
            values.append(_profile_loss(fitted, batch))
            gain.assign_add(-sign * step * np.eye(len(of_gains), dtype=np.float32)[place])
        slopes.append((values[0] - values[1]) / (2 * step))
    np.testing.assert_allclose(of_gains, slopes, rtol=0.02, atol=1e-4)


def _profile_loss(model, batch) -> float:
    query = model.profile.query(batch["history"], batch["history_weight"]).numpy()
    items = model.profile(tf.range(model.schema.num_items)).numpy()
    scores = query @ items.T + model.item_bias.numpy()
    met = model.item_table(tf.range(model.schema.num_items))["item_id"].numpy() > 0
    total = 0.0
    for row, target in enumerate(batch["item_id"].numpy()):
        allowed = met.copy()
        known = batch["history"][row].numpy()
        allowed[known[known >= 0]] = False
        allowed[target] = True
        total += float(batch["weight"][row]) * (
            np.log(np.exp(scores[row, allowed]).sum()) - scores[row, target]
        )
    return total / len(batch["item_id"])


def test_raw_features_of_a_new_item_give_the_vector_of_the_index(cold_shop, fitted):
    _, _, cold = cold_shop
    features = fitted.item_table(tf.constant(cold))
    np.testing.assert_allclose(fitted.embed(features), fitted.item_vectors().numpy()[cold, :-1], atol=1e-6)


def test_config_and_files_round_trip(cold_shop, fitted, tmp_path):
    train, _, _ = cold_shop
    fitted.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.profile.gains == pytest.approx(fitted.profile.gains)
    query = fitted.query_of(train, range(5))
    np.testing.assert_array_equal(again.retrieve(query, 5)[0], fitted.retrieve(query, 5)[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"content_profile": False},
        {"normalize": True},
        {"features": ["id", "categories"]},
        {"features": ["id", "history"]},
    ],
)
def test_without_content_or_history_there_is_no_profile(arguments):
    schema = make_synthetic(20, 15, images=False).schema
    assert TwoTower(schema, embedding_dim=8, **arguments).profile is None


def test_it_ranks_new_items_better_than_towers_that_never_met_them(cold_shop, fitted):
    train, test, cold = cold_shop
    keras.utils.set_random_seed(0)
    towers = TwoTower(train.schema, embedding_dim=8, content_profile=False)
    towers.compile()
    towers.fit(train.batches(256), epochs=3, verbose=0)
    log, users = test.interactions, np.arange(train.schema.num_users)

    def auc(model):
        vectors = tf.gather(model.item_vectors(), cold)
        scores = tf.matmul(
            model.query_vectors(model.query_of(train, users)), vectors, transpose_b=True
        ).numpy()
        place = np.full(train.schema.num_items, -1)
        place[cold] = np.arange(len(cold))
        liked = log.relevant() & (place[log.item] >= 0)
        own = scores[log.user[liked], place[log.item[liked]]]
        return (scores[log.user[liked]] < own[:, None]).sum(1) / (len(cold) - 1)

    difference = auc(fitted) - auc(towers)
    assert difference.mean() / (difference.std() / np.sqrt(len(difference))) > 2


def test_a_new_item_in_a_history_does_not_silence_the_towers(cold_shop, fitted):
    _, _, cold = cold_shop
    warm = np.setdiff1d(np.arange(100), cold)
    one, padding = [[warm[0], -1, -1]], [[1.0, 0.0, 0.0]]
    with_new, weights = [[warm[0], cold[0], cold[1]]], [[1.0, 1.0, 1.0]]

    def vector(history, weight):
        query = {"user_id": tf.constant([-1]), "history": tf.constant(history, tf.int32)}
        return fitted.query_vectors({**query, "history_weight": tf.constant(weight)}).numpy()[0]

    alone, followed = vector(one, padding), vector(with_new, weights)
    np.testing.assert_allclose(followed[:8], alone[:8], rtol=1e-5)
    assert np.abs(followed[8:-1] - alone[8:-1]).max() > 1e-3


def test_gains_are_taught_by_the_negatives_too_and_nothing_else_is(cold_shop):
    train, _, _ = cold_shop
    keras.utils.set_random_seed(0)
    model = TwoTower(
        train.schema,
        embedding_dim=8,
        loss="in_batch",
        negatives=[UniformNegatives(20)],
        item_id_dropout=0.0,
        dropout=0.0,
    )
    model.compile()
    model.adapt(train, progress=False)
    plain = TwoTower.from_config({**model.get_config(), "content_profile": True})
    plain.set_weights(model.get_weights())
    batch = next(iter(train.batches(64, shuffle=False)))

    def gradients(one):
        with tf.GradientTape() as tape:
            loss = one.compute_loss(batch, training=True)
        return loss, tape.gradient(loss, [one.item_bias, one.profile.log_gain])

    loss, (of_bias, of_gains) = gradients(model)
    # Without what the profile achieves alone, the loss and the towers' gradients are the same, and gains learn nothing.
    plain._with_profile_loss = lambda loss_of, queries, items, training, **more: loss_of(
        queries, items, **more
    )
    plain_loss, (plain_of_bias, plain_of_gains) = gradients(plain)
    assert float(loss) == float(plain_loss)
    np.testing.assert_array_equal(tf.convert_to_tensor(of_bias), tf.convert_to_tensor(plain_of_bias))
    assert plain_of_gains is None
    assert np.abs(of_gains).min() > 0


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_it_trains_in_mixed_precision(cold_shop, precision, tmp_path):
    train, _, _ = cold_shop
    keras.utils.set_random_seed(0)
    model = TwoTower(train.schema, embedding_dim=8, precision=precision)
    model.compile()
    losses = model.fit(train.batches(256), epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert model.profile.items.dtype == tf.float32
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-6)
