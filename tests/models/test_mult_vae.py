"""Claims about the variational autoencoder."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.errors import DataError
from tfrec_div.data.frames import from_frames
from tfrec_div.models.mult_vae import MultVAE
from tfrec_div.models.user_histories import UserHistories


def blocks(users: int = 200, shuffled: bool = False):
    """Two groups of 20 items, each user of one, in random order; one item is never met."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        chosen = rng.permutation(40)[:8] if shuffled else rng.permutation(20)[:8] + 20 * (user % 2)
        rows += [
            {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": t} for t, item in enumerate(chosen)
        ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(41)]})
    return from_frames(pd.DataFrame(rows), items=items)


@pytest.fixture(scope="module")
def planted():
    return blocks().split("leave_one_out")


def trained(data, epochs: int = 6, **arguments) -> tuple[MultVAE, list[float]]:
    keras.utils.set_random_seed(0)
    model = MultVAE(data.schema, **{"latent_dim": 8, "hidden_units": 32, "batch_users": 64, **arguments})
    model.compile()
    losses = model.fit(data.batches(64), epochs=epochs, verbose=0).history["loss"]
    return model, losses


@pytest.fixture(scope="module")
def model_and_losses(planted):
    return trained(planted[0])


def recall(model, train, test) -> float:
    return measured(model, train, test)["recall_at_10"]


def measured(model, train, test) -> dict[str, float]:
    return model.evaluate(test.batches(64, context=train), verbose=0, return_dict=True)


def test_it_learns_planted_groups_of_users_and_the_loss_falls(planted, model_and_losses):
    model, losses = model_and_losses
    # Thirteen items of the group are left: 10 / 13 = .77 is the best there is, 10 / 33 = .30 is chance.
    found = measured(model, *planted)
    assert found["recall_at_10"] > 0.65
    # Of one target: ln 13 = 2.56 at best, ln 33 = 3.50 by chance.
    assert found["loss"] < 2.9
    assert losses[-1] < losses[0]
    # A user of whom nothing is known by id, and a history that no user has.
    asked = {"history": tf.constant([[25, 21, -1]]), "history_weight": tf.constant([[1.0, 1.0, 0.0]])}
    rows = model.retrieve({**asked, "user_id": tf.constant([-1])}, k=10)[0].numpy()[0]
    names = [int(planted[0].schema.item_ids[row][1:]) // 20 for row in rows]
    group = int(planted[0].schema.item_ids[25][1:]) // 20
    assert names.count(group) >= 9


@pytest.mark.parametrize("arguments", [{"targets": "all"}, {"targets": "all", "mask_input": False}])
def test_the_objective_of_the_paper_learns_them_too(planted, arguments):
    model, losses = trained(planted[0], **arguments)
    assert recall(model, *planted) > 0.6
    assert losses[-1] < losses[0]


def test_a_shuffled_log_teaches_nothing():
    train, test = blocks(shuffled=True).split("leave_one_out")
    model, _ = trained(train, epochs=3)
    # 10 / 33 by chance, with a standard error of .032.
    assert recall(model, train, test) == pytest.approx(10 / 33, abs=0.11)


def test_items_never_met_have_the_lowest_bias_and_nothing_else(planted, model_and_losses):
    model, _ = model_and_losses
    scores = model.scores(model.query_of(planted[0], range(20))).numpy()
    counts = planted[0].interactions.item_counts()
    assert counts[40] == 0
    assert (counts[:40] > 0).all()
    assert len(np.unique(scores[:, 40])) == 1
    assert (scores.argmin(axis=1) == 40).mean() > 0.5


def test_the_loss_is_the_multinomial_one():
    data = from_frames(pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz"), "timestamp": [1, 2, 3]}))
    model = MultVAE(data.schema, latent_dim=2, hidden_units=4)
    model.adapt(data)
    model.item_outputs.assign(tf.zeros([3, 4]))
    model.item_bias.assign([math.log(1.0), math.log(2.0), math.log(5.0)])
    asked = {
        "history": tf.constant([[0]]),
        "history_weight": tf.ones([1, 1]),
        "item_id": tf.constant([[1, 2, 0, -1]]),
        "weight": tf.constant([[1.0, 0.5, 1.0, 1.0]]),
    }
    # The input is masked, and padding is nothing: shares 2/7 and 5/7, over the root of 1.5.
    expected = (math.log(7 / 2) + 0.5 * math.log(7 / 5)) / math.sqrt(1.5)
    assert float(model.compute_loss(asked)) == pytest.approx(expected, rel=1e-5)
    plain = MultVAE(data.schema, latent_dim=2, hidden_units=4, mask_input=False)
    plain.set_weights(model.get_weights())
    expected = (math.log(8 / 2) + 0.5 * math.log(8 / 5) + math.log(8)) / math.sqrt(2.5)
    assert float(plain.compute_loss(asked)) == pytest.approx(expected, rel=1e-5)


def test_the_divergence_is_annealed():
    data = from_frames(pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz"), "timestamp": [1, 2, 3]}))
    arguments = {"latent_dim": 2, "hidden_units": 4, "dropout": 0.0, "anneal_steps": 4}
    asked = {
        "history": tf.constant([[0]]),
        "history_weight": tf.ones([1, 1]),
        "item_id": tf.constant([[1]]),
        "weight": tf.constant([[1.0]]),
    }
    losses = {}
    for beta in (0.0, 1.0):
        model = MultVAE(data.schema, beta=beta, **arguments)
        model.adapt(data)
        model.item_outputs.assign(tf.zeros([3, 4]))
        # The mean is 1 and the variance 1 everywhere: a divergence of 2 · 1/2.
        model.distribution.kernel.assign(tf.zeros([4, 4]))
        model.distribution.bias.assign([1.0, 1.0, 0.0, 0.0])
        losses[beta] = [float(model.compute_loss(asked, training=True)) for _ in range(6)]
    np.testing.assert_allclose(
        np.subtract(losses[1.0], losses[0.0]), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0], rtol=1e-4
    )


def test_users_are_cut_in_two_and_no_target_is_in_its_history():
    log = pd.DataFrame({"user_id": ["u"] * 10, "item_id": list("abcdefghij"), "timestamp": range(10)})
    data = from_frames(log)
    sizes = set()
    for batch in UserHistories(data, 1, max_history=4, users=8).as_dataset(0, 1):
        for past, ahead in zip(batch["history"].numpy(), batch["item_id"].numpy(), strict=True):
            past, ahead = past[past >= 0], ahead[ahead >= 0]
            cut = past[0] + 1
            assert past.tolist() == list(range(cut - 1, max(cut - 5, -1), -1))
            assert ahead.tolist() == list(range(cut, min(cut + math.ceil(cut / 4), 10)))
            sizes.add(int(cut))
    assert sizes <= set(range(3, 10))
    assert len(sizes) > 4


def test_users_are_the_same_in_a_training_that_goes_on(planted):
    batches = UserHistories(planted[0], 500, users=4)
    whole = [batch["item_id"].numpy() for batch in batches.as_dataset(0, 2)]
    later = [batch["item_id"].numpy() for batch in batches.as_dataset(1, 1)]
    assert len(whole) == 2 * len(later) > 2
    for expected, found in zip(whole[len(later) :], later, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_files_hold_the_model(planted, model_and_losses, tmp_path):
    model, train = model_and_losses[0], planted[0]
    asked = model.query_of(train, [0, 1, -1])
    expected = model.scores(asked).numpy()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_allclose(again.scores(asked), expected, atol=1e-6)
    other = MultVAE.from_config(model.get_config())
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other.scores(asked), expected, atol=1e-6)
    recommender = model.recommender(train)
    recommender.save(tmp_path / "recommender")
    import tfrec_div

    users = [*train.schema.user_ids[:5], "nobody"]
    found = tfrec_div.load(tmp_path / "recommender").recommend(users, k=4)
    assert found.item_ids.tolist() == recommender.recommend(users, k=4).item_ids.tolist()


def test_it_is_served_as_a_graph_of_any_shape(planted, model_and_losses, tmp_path):
    model = model_and_losses[0]
    shapes = [tf.TensorSpec([None, None], dtype) for dtype in (tf.int32, tf.float32)]

    @tf.function(input_signature=shapes)
    def scores(history, weight):
        return model.scores({"history": history, "history_weight": weight})

    module = tf.Module()
    module.weights, module.scores = model.weights, scores
    tf.saved_model.save(module, str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))
    for users in ([0], [1, 2, -1]):
        asked = model.query_of(planted[0], users)
        found = served.scores(asked["history"], asked["history_weight"])
        np.testing.assert_allclose(found, model.scores(asked), atol=1e-6)


def test_wrong_arguments_are_refused(planted):
    schema = planted[0].schema
    with pytest.raises(ValueError, match=r"targets: expected one of \['next', 'all'\], got 'some'"):
        MultVAE(schema, targets="some")
    with pytest.raises(ValueError, match=r"dropout: expected a share in \[0, 1\), got 1"):
        MultVAE(schema, dropout=1)
    with pytest.raises(ValueError, match="dropout: expected a share above 0"):
        MultVAE(schema, targets="all", dropout=0)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("latent_dim", 0, "latent_dim: expected at least 1, got 0"),
        ("hidden_units", 2.5, "hidden_units: expected at least 1, got 2.5"),
        ("batch_users", 0, "batch_users: expected at least 1, got 0"),
        ("max_history", 0, "max_history: expected at least 1, got 0"),
        ("dropout", None, r"dropout: expected a share in \[0, 1\), got None"),
        ("half_life", 0, "half_life: expected above 0, or None, got 0"),
        ("half_life", -3, "half_life: expected above 0, or None, got -3"),
        ("floor", 7, r"floor: expected in \[0, 1\], got 7"),
        ("beta", -1, "beta: expected 0 or more, got -1"),
        ("anneal_steps", -1, "anneal_steps: expected 0 or more, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(planted, argument, value, message):
    with pytest.raises(ValueError, match=message):
        MultVAE(planted[0].schema, **{argument: value})


def test_users_with_one_interaction_each_are_refused():
    single = from_frames(pd.DataFrame({"user_id": list("ab"), "item_id": list("xy")}))
    message = 'interactions: expected a user with 2 interactions or more, found "users with one interaction at most"'
    with pytest.raises(DataError, match=message):
        MultVAE(single.schema).adapt(single)
    with pytest.raises(DataError, match=message):
        UserHistories(single, 2).as_dataset()
    # A history that tells itself may be of one item.
    model = MultVAE(single.schema, targets="all", latent_dim=2, hidden_units=4, batch_users=4)
    model.compile()
    assert np.isfinite(model.fit(single.batches(2), verbose=0).history["loss"]).all()


def test_the_latest_items_count_most_and_old_ones_keep_a_share():
    data = from_frames(pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz"), "timestamp": [1, 2, 3]}))
    asked = {
        "history": tf.constant([[0, 2, 1, -1, 0]]),
        "history_weight": tf.constant([[1.0, 0.5, 1.0, 1.0, 1.0]]),
    }
    arguments = {"latent_dim": 2, "hidden_units": 4, "half_life": 2.0, "floor": 0.2}
    model = MultVAE(data.schema, **arguments)
    model.adapt(data)
    # After two steps .2 + .8 / 2, after four .2 + .8 / 4, after one .2 + .8 / √2; padding is nothing.
    expected = [[1.0, 0.5 * (0.2 + 0.8 / math.sqrt(2)), 0.6, 0.0, 0.4]]
    np.testing.assert_allclose(model._weights(asked), expected, rtol=1e-6)
    # And what is read goes by them: another order of the same items is another history.
    other = {**asked, "history": tf.constant([[0, 1, 2, -1, 0]])}
    assert not np.allclose(model.query_vectors(asked), model.query_vectors(other), atol=1e-6)
    plain = MultVAE(data.schema, **{**arguments, "half_life": None})
    plain.adapt(data)
    np.testing.assert_array_equal(plain._weights(asked), [[1.0, 0.5, 1.0, 0.0, 1.0]])
    # Without times the order of a history means nothing.
    untimed = from_frames(pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz")}))
    model = MultVAE(untimed.schema, **arguments)
    model.adapt(untimed)
    np.testing.assert_array_equal(model._weights(asked), [[1.0, 0.5, 1.0, 0.0, 1.0]])


def test_training_has_no_place_for_items_never_met():
    log = pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz"), "timestamp": [1, 2, 3]})
    data = from_frames(log, items=pd.DataFrame({"item_id": list("xyzn")}))
    model = MultVAE(data.schema, latent_dim=2, hidden_units=4, dropout=0.0, beta=0.0)
    model.adapt(data)
    model.item_outputs.assign(tf.zeros([4, 4]))
    model.item_bias.assign([math.log(1.0), math.log(2.0), math.log(5.0), math.log(8.0)])
    asked = {
        "history": tf.constant([[0]]),
        "history_weight": tf.ones([1, 1]),
        "item_id": tf.constant([[1, 3]]),
        "weight": tf.ones([1, 2]),
    }
    # In training neither a rival nor a target: 2 of 2 + 5. Else both: 2 and 8 of 2 + 5 + 8, over the root of 2.
    assert float(model.compute_loss(asked, training=True)) == pytest.approx(math.log(7 / 2), rel=1e-5)
    expected = (math.log(15 / 2) + math.log(15 / 8)) / math.sqrt(2)
    assert float(model.compute_loss(asked)) == pytest.approx(expected, rel=1e-5)
