from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.frames import from_frames
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax


def fitted(data, epochs=1, **options):
    keras.utils.set_random_seed(0)
    model = TwoTower(data.schema, **{"embedding_dim": 8, **options})
    model.compile()
    model.fit(data.batches(64, max_history=20), epochs=epochs, verbose=0)
    return model


def test_training_lowers_the_loss_and_learns_what_is_planted(shop):
    keras.utils.set_random_seed(0)
    train, test = shop.split("temporal")
    model = TwoTower(train.schema, embedding_dim=16)
    model.compile()
    validation = test.batches(64, context=train, shuffle=False)
    history = model.fit(
        train.batches(64), epochs=8, validation_data=validation.as_dataset(epochs=1), verbose=0
    )
    loss, found = history.history["loss"], history.history["val_recall_at_10"][-1]
    assert loss[-1] < loss[0] - 0.1
    # By chance 10 of the items that a user does not know, about 40, hold the target a quarter of the time.
    assert found > 0.33


@pytest.mark.parametrize(
    ("loss", "kind"), [("full", FullSoftmax), ("in_batch", InBatchSoftmax), ("auto", FullSoftmax)]
)
def test_the_loss_is_an_argument(loss, kind, shop):
    model = fitted(shop, loss=loss)
    assert isinstance(model.task, kind)
    assert np.isfinite(model.index.vectors).all()


def test_evaluate_reports_the_mean_over_all_rows_whatever_the_batches(model, parts):
    train, test = parts
    losses = [
        model.evaluate(
            test.batches(size, context=train, shuffle=False, max_history=20), verbose=0, return_dict=True
        )
        for size in (7, 1000)
    ]
    # Rows of a smaller last batch must not count more; plain TFRS reports the last batch alone.
    for name, value in losses[0].items():
        assert value == pytest.approx(losses[1][name], rel=1e-5), name


def test_ranks_count_every_unseen_item_and_ties_against_the_target(shop):
    train, test = shop.split("temporal")
    model = TwoTower(train.schema, embedding_dim=8, content_profile=False)
    model.compile()
    model.adapt(train, progress=False)
    # A collapsed model: all scores equal. By scores alone every target would be first.
    model.item_bias.assign(tf.zeros_like(model.item_bias))
    for weight in model.item_tower.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    batches = test.batches(500, context=train, shuffle=False)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    unseen = 50 - np.array([len(set(row) - {-1}) for row in next(iter(batches))["exclude"].numpy()])
    assert found["recall_at_10"] == 0.0
    assert found["mrr"] == pytest.approx(np.mean(1 / unseen), rel=1e-5)


def test_a_held_out_target_drawn_at_random_cannot_be_found():
    # If a held-out target stood in its own history, validation on noise would be far above chance. That none leaks in
    # training is told by test_histories_of_models.py.
    random = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", t) for u in range(150) for t, i in enumerate(random.permutation(60)[:12])]
    data = from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    train, test = data.split("leave_one_out")
    model = fitted(train, epochs=12, user_id_dropout=0.0)
    found = model.evaluate(test.batches(150, context=train, shuffle=False), verbose=0, return_dict=True)
    chance = 10 / (60 - 11)
    assert found["recall_at_10"] < chance + 3 * np.sqrt(chance * (1 - chance) / 150)


def test_frozen_towers_encode_each_item_once(parts, cache_dir, monkeypatch):
    from tfrec_div.towers.text import TextEncoder

    train, _ = parts
    encoder = TextEncoder.from_pretrained("tiny")
    model = TwoTower(train.schema, text=encoder, embedding_dim=8)
    model.compile()
    read = []
    original = TextEncoder.encode

    def read_and_encode(self, texts, *arguments, **options):
        read.extend(texts)
        return original(self, texts, *arguments, **options)

    monkeypatch.setattr(TextEncoder, "encode", read_and_encode)
    model.adapt(train, cache_dir=cache_dir / "once", progress=False)
    model.fit(train.batches(64), epochs=3, verbose=0)
    assert sorted(read) == sorted(set(train.catalog.texts()))


def test_items_and_users_without_interactions_are_unknown_by_id(shop):
    train, _ = shop.split("cold_items", test=0.2)
    model = fitted(train)
    counts = train.interactions.item_counts()
    codes = model.item_table(tf.range(len(counts)))["item_id"].numpy()
    assert ((codes == 0) == (counts == 0)).all()
    assert (counts == 0).any()


def test_config_and_weights_round_trip_without_data_or_files(model, parts):
    again = TwoTower.from_config(model.get_config())
    again.set_weights(model.get_weights())
    query = model.query_of(parts[0], range(10))
    for expected, found in zip(model.retrieve(query, k=5), again.retrieve(query, k=5), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_normalized_vectors_have_length_one_and_no_bias(shop):
    model = fitted(shop, normalize=True, temperature=0.1)
    vectors = model.item_vectors().numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :-1], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(vectors[:, -1], 0.0)


def test_a_call_scores_pairs_as_the_index_does(model, parts):
    query = model.query_of(parts[0], range(6))
    items = tf.constant([3, 1, 4, 1, 5, 9])
    pairs = model({**query, "item_id": items})
    scores = model.index.scores(model.query_vectors(query))
    np.testing.assert_allclose(pairs, tf.gather(scores, items, batch_dims=1), rtol=1e-4, atol=1e-5)


def test_a_second_fit_starts_with_the_full_rate_again(shop):
    model = fitted(shop, epochs=1)
    before = model.item_vectors().numpy()
    model.fit(shop.batches(64), epochs=1, verbose=0)
    assert np.abs(model.item_vectors().numpy() - before).max() > 1e-3


def test_a_tf_dataset_needs_adapt_first(shop):
    model = TwoTower(shop.schema, embedding_dim=8)
    model.compile()
    batches = shop.batches(64).as_dataset(epochs=1)
    with pytest.raises(ValueError, match=r"call model.adapt\(data\) first"):
        model.fit(batches)
    model.adapt(shop, progress=False)
    assert model.fit(batches, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["looks"]}, r"features: expected some of .* got \['looks'\]"),
        ({"features": ["users"]}, "leaves the item tower without any feature"),
        ({"loss": "hinge"}, "loss: expected 'auto', 'full' or 'in_batch', got 'hinge'"),
        ({"image": "vgg"}, "image: expected 'resnet50'"),
    ],
)
def test_arguments_are_refused_by_name(options, message, shop):
    with pytest.raises(ValueError, match=message):
        TwoTower(shop.schema, **options)
