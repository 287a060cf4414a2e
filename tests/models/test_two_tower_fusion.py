"""The two-tower model with each fusion."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.towers.fusion import FUSIONS, GatedFusion
from tfrec_div.training.config import FUSIONS as CONFIG_FUSIONS


def fitted(parts, cache_dir, epochs: int = 1, **arguments) -> TwoTower:
    keras.utils.set_random_seed(0)
    model = TwoTower(parts[0].schema, text="tiny", embedding_dim=8, max_history=10, **arguments)
    model.compile()
    model.adapt(parts[0], cache_dir=cache_dir, progress=False)
    model.fit(parts[0].batches(256, max_history=10), epochs=epochs, verbose=0)
    return model


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_trains_and_tells_what_each_feature_counts_for(name, parts, cache_dir):
    model = fitted(parts, cache_dir, fusion=name, modality_dropout=0.2)
    names, weights = model.fusion_weights(range(50))
    assert set(names) >= {"item_id", "text", "categories", "price"}
    assert weights.shape == (50, len(names))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    price = parts[0].catalog.encoded()["price"][:, 1] > 0
    assert ((weights[:, names.index("price")] > 0) == price).all()
    known = parts[0].interactions.item_counts() > 0
    assert ((weights[:, names.index("item_id")] > 0) == known).all()


@pytest.mark.parametrize("fusion", ["attention", GatedFusion(8, gate="sigmoid")], ids=["name", "layer"])
def test_config_and_weights_round_trip(fusion, parts, cache_dir):
    model = fitted(parts, cache_dir, fusion=fusion, modality_dropout=0.1)
    again = TwoTower.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.item_vectors(), model.item_vectors())


def test_the_settings_know_the_same_fusions():
    assert tuple(FUSIONS) == CONFIG_FUSIONS


def test_an_unknown_fusion_is_refused(parts):
    with pytest.raises(ValueError, match="fusion: expected one of concat"):
        TwoTower(parts[0].schema, fusion="sum")


def test_an_item_that_training_takes_for_new_has_neither_id_nor_bias(parts, cache_dir):
    model = fitted(parts, cache_dir, item_id_dropout=0.5)
    rows = np.arange(50)
    known = parts[0].interactions.item_counts() > 0
    bias = model._encode_items(rows, training=True).numpy()[:, -1]
    dropped = (bias == 0) & known
    assert 0.2 < dropped[known].mean() < 0.8
    np.testing.assert_array_equal(bias[~dropped], model.item_bias.numpy()[~dropped])
    # The vector of one that was dropped is that of its content.
    vectors = model._encode_items(rows, training=True).numpy()
    model.item_table.values["item_id"].assign(np.zeros(51))
    content = model._encode_items(rows).numpy()[:, :-1]
    dropped = (vectors[:, -1] == 0) & known
    np.testing.assert_allclose(vectors[dropped, :-1], content[dropped], rtol=1e-5, atol=1e-6)


def test_items_that_training_has_not_met_are_no_negatives(parts, cache_dir):
    train = parts[0].subset(parts[0].interactions.take(parts[0].interactions.item != 7))
    keras.utils.set_random_seed(0)
    model = TwoTower(train.schema, embedding_dim=8, max_history=10)
    model.compile()
    model.adapt(train, progress=False)
    before = model.item_bias.numpy()
    model.fit(train.batches(256, max_history=10), epochs=1, verbose=0)
    moved = model.item_bias.numpy() != before
    assert not moved[7]
    assert moved[train.interactions.item_counts() > 0].all()
