"""Models with each encoder of histories: what they learn, and that no target leaks into a history."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.planted import two_interests
from tfrec_div._keras import keras, tf
from tfrec_div.models.multi_interest import MultiInterest
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.towers.history import HISTORY_ENCODERS, SelfAttentionHistoryEncoder
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
        for name in ("capsules", "attention")
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
    # If a target leaked into its own history, the score on noise would be far above chance.
    assert held_out_recall(name, shuffled=True) < CHANCE + 3 * DEVIATION
    assert held_out_recall(name, shuffled=False) > CHANCE + 8 * DEVIATION


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
