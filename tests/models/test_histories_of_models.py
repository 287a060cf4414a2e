"""Models with each encoder of histories: what they learn, and that no target leaks into a history."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.models.planted import two_interests
from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.frames import from_frames
from tfrec_div.models.multi_interest import MultiInterest
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.towers.history import HISTORY_ENCODERS, SelfAttentionHistoryEncoder
from tfrec_div.towers.interests import EXTRACTORS
from tfrec_div.training.config import HISTORY_ENCODERS as CONFIG_ENCODERS

MODELS = {
    **{
        name: lambda schema, name=name: TwoTower(
            schema, ["id", "history"], history_encoder=name, embedding_dim=8
        )
        for name in HISTORY_ENCODERS
    },
    **{
        name: lambda schema, name=name: MultiInterest(schema, extractor=name, embedding_dim=8)
        for name in EXTRACTORS
    },
}

# Rate and epochs: transformers want small steps, and more of them.
SLOWER = {"self_attention": (0.005, 20)}


def held_out_recall(name: str, shuffled: bool) -> float:
    """Trains on all but each user's last item, and tells how often that one is among the best ten."""
    keras.utils.set_random_seed(0)
    train, test = two_interests(shuffled).split("leave_one_out")
    model = MODELS[name](train.schema)
    rate, epochs = SLOWER.get(name, (0.02, 10))
    model.compile(keras.optimizers.legacy.Adam(rate))
    model.fit(train.batches(256), epochs=epochs, verbose=0)
    batches = test.batches(240, context=train, shuffle=False)
    return model.evaluate(batches, verbose=0, return_dict=True)["recall_at_10"]


# Ten of the 69 items that a user does not know.
CHANCE = 10 / 69
DEVIATION = np.sqrt(CHANCE * (1 - CHANCE) / 240)


@pytest.mark.parametrize("name", MODELS)
def test_shuffled_labels_cannot_be_found_and_planted_ones_can(name):
    # Held-out items have histories of their own; whether targets leak in training is told below.
    assert held_out_recall(name, shuffled=True) < CHANCE + 3 * DEVIATION
    assert held_out_recall(name, shuffled=False) > CHANCE + 8 * DEVIATION


# ---------------------------------------------------------------------- no target in its own history


@pytest.mark.parametrize("options", [{}, {"horizon": 0}, {"horizon": 0.9, "max_history": 3}])
def test_no_row_has_its_target_in_its_history(options):
    # Each item comes once for a user, so that it stands in a history only if it leaked.
    data = two_interests()
    rows = 0
    for batch in data.batches(256, **options).as_dataset(epochs=3):
        target = batch["item_id"].numpy()
        assert not (batch["history"].numpy() == target[:, np.newaxis]).any()
        rows += len(target)
    assert rows == 3 * len(data.interactions)


NOISE_ITEMS, NOISE_STEPS = 40, 8
# What is left to guess among the items that a user has not met: popularity says nothing, all are as popular.
ENTROPY = np.mean(np.log(NOISE_ITEMS - np.arange(NOISE_STEPS)))


@pytest.fixture(scope="module")
def noise():
    """A thousand users who each met eight items of forty in turn, all of them by chance."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item:02d}", time)
        for user in range(1000)
        for time, item in enumerate(random.permutation(NOISE_ITEMS)[:NOISE_STEPS])
    ]
    items = pd.DataFrame({"item_id": [f"i{item:02d}" for item in range(NOISE_ITEMS)]})
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items=items)


def with_target(with_history):
    """Makes histories whose latest item is the target itself."""

    def leaky(self, batch, known, epoch, step):
        batch = with_history(self, batch, known, epoch, step)
        target = batch["item_id"][:, tf.newaxis]
        batch["history"] = tf.concat([target, batch["history"]], axis=1)
        strength = tf.ones_like(target, tf.float32)
        batch["history_weight"] = tf.concat([strength, batch["history_weight"]], axis=1)
        return batch

    return leaky


@pytest.mark.parametrize("name", MODELS)
def test_training_on_noise_stays_at_the_entropy_unless_targets_leak(name, noise, monkeypatch):
    keras.utils.set_random_seed(0)
    # With one interest: where targets choose among several, the loss may be less.
    one = {"extractor": name, "interests": 1} if name in EXTRACTORS else None
    model = MultiInterest(noise.schema, embedding_dim=8, **one) if one else MODELS[name](noise.schema)
    model.compile(keras.optimizers.legacy.Adam(0.01))
    # A single epoch: the loss of a row is taken before it is learned, so that nothing is known by heart.
    honest = model.fit(noise.batches(128, horizon=0), verbose=0).history["loss"][0]
    assert honest > ENTROPY - 0.02
    monkeypatch.setattr(Batches, "_with_history", with_target(Batches._with_history))
    leaked = model.fit(noise.batches(128, horizon=0), epochs=2, verbose=0).history["loss"][-1]
    assert leaked < ENTROPY - 0.5


# ---------------------------------------------------------------------- configuration


@pytest.mark.parametrize("name", HISTORY_ENCODERS)
def test_a_two_tower_model_round_trips(name, shop):
    model = TwoTower(shop.schema, embedding_dim=8, history_encoder=name)
    model.compile()
    model.fit(shop.batches(256), verbose=0)
    assert type(model.query_tower.encoders["history"]) is HISTORY_ENCODERS[name]
    again = TwoTower.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    query = model.query_of(shop, range(10))
    np.testing.assert_array_equal(again.scores(query), model.scores(query))
    empty = {"user_id": tf.constant([-1]), "history": tf.fill([1, 2], -1), "history_weight": tf.zeros([1, 2])}
    assert np.isfinite(model.scores(empty)).all()


def test_a_layer_with_its_own_settings_round_trips(shop):
    layer = SelfAttentionHistoryEncoder(8, num_blocks=1, num_heads=2, max_steps=7)
    model = TwoTower(shop.schema, embedding_dim=8, history_encoder=layer)
    again = TwoTower.from_config(model.get_config()).query_tower.encoders["history"]
    assert again.get_config() == layer.get_config()


def test_the_settings_of_a_training_name_all_encoders():
    assert tuple(HISTORY_ENCODERS) == CONFIG_ENCODERS


def test_an_unknown_encoder_is_refused(shop):
    with pytest.raises(ValueError, match=r"history_encoder: expected one of pools, .* got 'lstm'"):
        TwoTower(shop.schema, history_encoder="lstm")


def test_heads_that_do_not_divide_the_vectors_are_refused_before_a_call(shop):
    layer = SelfAttentionHistoryEncoder(8, num_heads=3)
    with pytest.raises(ValueError, match=r"^num_heads: expected a divisor of .* length 8, got 3$"):
        TwoTower(shop.schema, history_encoder=layer, embedding_dim=8)
    with pytest.raises(ValueError, match=r"^features: expected a list of names, got 'id'$"):
        TwoTower(shop.schema, features="id")
