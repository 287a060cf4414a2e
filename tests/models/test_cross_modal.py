"""The two-tower model whose item tower lets tokens and regions attend each other."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.serving.export import export
from tfrec_div.serving.signatures import ServingModule
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.towers.fusion import CrossModalFusion
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.text import TextEncoder

# Regions of 64 pixels: 2 by 2.
KINDS = {"frozen": ("none", None), "trained": (1, "block_16"), "mixed": (1, None)}


def settled(image, data):
    """Gives the batch normalisation of random weights the statistics of the pictures, as published weights have."""
    if image.trained:
        pictures = [data.catalog.image_bytes(row) for row in np.flatnonzero(data.catalog.has_image)]
        norms = [one for one in image.network.layers if isinstance(one, keras.layers.BatchNormalization)]
        before = [one.momentum for one in norms]
        for one in norms:
            one.momentum = 0.0
        image.encode_rows(image.to_rows(tf.constant(pictures)), training=True)
        for one, momentum in zip(norms, before, strict=True):
            one.momentum = momentum
    return image


def fitted(data, cache_dir, kind="frozen", epochs=2, **options):
    keras.utils.set_random_seed(0)
    layers, stage = KINDS[kind]
    text = TextEncoder.from_pretrained("tiny", max_tokens=12, trainable_layers=layers)
    image = settled(ImageEncoder(64, None, "mobilenet_v2", trainable_from=stage), data)
    model = TwoTower(
        data.schema,
        **{
            "text": text,
            "image": image,
            "embedding_dim": 8,
            "max_history": 10,
            "fusion": "cross_modal",
            **options,
        },
    )
    model.compile()
    model.adapt(data, cache_dir=cache_dir, progress=False)
    history = model.fit(data.batches(128, max_history=10), epochs=epochs, verbose=0)
    return model, history.history["loss"]


@pytest.fixture(scope="module", params=["frozen", "mixed", pytest.param("trained", marks=pytest.mark.slow)])
def model(request, shop, cache_dir):
    # A network of random weights is no more than finite when its batch normalisation is trained.
    learns = request.param != "trained"
    found, losses = fitted(shop, cache_dir, request.param, epochs=3 if learns else 1)
    assert np.isfinite(losses).all()
    assert not learns or losses[-1] < losses[0] - 0.02
    return found


def test_frozen_towers_keep_their_parts_and_trained_ones_make_them_in_the_step(model):
    kept = {n: (v.shape[1:], v.dtype) for n, v in model.item_table.values.items() if n.endswith("_parts")}
    text, image = model.text_encoder.trained, model.image_encoder.trained
    expected = {} if text else {"text_parts": ((10, 64), tf.float16)}
    assert kept == expected | ({} if image else {"image_parts": ((4, 1280), tf.float16)})
    # A catalogue of tokens and regions is too much for each step.
    assert isinstance(model.task, InBatchSoftmax)


def test_other_fusions_and_other_encoders_keep_none(shop, cache_dir):
    plain, _ = fitted(shop, cache_dir, fusion="attention", epochs=1)
    assert not [name for name in plain.item_table.values if name.endswith("_parts")]
    assert isinstance(plain.task, FullSoftmax)
    without = TwoTower(shop.schema, embedding_dim=8, fusion="cross_modal")
    assert not without.costly_items
    layer = TwoTower(shop.schema, text="tiny", embedding_dim=8, fusion=CrossModalFusion(8, num_heads=2))
    assert layer.item_table.values["text_parts"].shape == (51, 32, 64)


def test_vectors_depend_on_tokens_and_regions_of_what_an_item_has(shop, cache_dir):
    model, _ = fitted(shop, cache_dir)
    before, catalog = model.item_vectors().numpy(), shop.catalog
    both = catalog.has_image & catalog.has_text
    for name in ("text_parts", "image_parts"):
        kept = model.item_table.values[name].numpy()
        model.item_table.values[name].assign(
            kept[:, ::-1] * np.array([1, -1] * (kept.shape[2] // 2), np.float16)
        )
        moved = np.abs(model.item_vectors() - before).max(axis=1)
        assert (moved[both] > 1e-4).all()
        model.item_table.values[name].assign(kept)
    # What lies where there is no picture has no influence.
    assert (~catalog.has_image).any()
    kept = model.item_table.values["image_parts"].numpy()
    rubbish = kept.copy()
    rubbish[1:][~catalog.has_image] = 7
    model.item_table.values["image_parts"].assign(rubbish)
    np.testing.assert_array_equal(model.item_vectors(), before)


def test_weights_are_readable_and_those_of_missing_modalities_are_zero(model, shop):
    names, weights = model.fusion_weights(range(50))
    assert set(names) >= {"item_id", "text", "image"}
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert ((weights[:, names.index("image")] > 0) == shop.catalog.has_image).all()


def test_a_file_gives_the_model_back(model, shop, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), rtol=1e-5, atol=1e-6)
    model.recommender(shop).save(tmp_path / "recommender")
    import tfrec_div as td

    users = list(shop.schema.user_ids)
    expected = model.recommender(shop).recommend(users).item_ids
    assert (td.load(tmp_path / "recommender").recommend(users).item_ids == expected).all()


def test_requests_are_embedded_as_the_index_is(model, shop):
    serving = ServingModule(model.recommender(shop))
    request = {"item_id": tf.constant(shop.catalog.ids.tolist())}
    for feature in shop.schema.item_features:
        values = list(shop.catalog.columns[feature.name])
        if feature.kind == "image":
            values = [shop.catalog.image_bytes(row) for row in range(len(shop.catalog))]
        request[feature.name] = tf.constant(values, feature.serving_dtype)
    served = serving.functions["embed_items"](**request)["embeddings"]
    np.testing.assert_allclose(served, model.index.vectors[:, :-1], rtol=1e-3, atol=2e-4)
    has = np.flatnonzero(shop.catalog.has_image & shop.catalog.has_text)[:5]
    answer = serving.functions["recommend_cold"](
        text=tf.constant([shop.catalog.texts()[row] for row in has]),
        image=tf.constant([shop.catalog.image_bytes(int(row)) for row in has]),
        k=tf.fill([5], 3),
        diversity=tf.zeros([5]),
    )
    assert [ids[0].decode() for ids in answer["item_ids"].numpy()] == shop.catalog.ids[has].tolist()


@pytest.mark.slow
def test_an_export_is_answered_by_a_process_that_has_tensorflow_only(model, shop, tmp_path):
    version = export(model.recommender(shop), tmp_path / "shop")
    assert (version / "manifest.json").is_file()


def test_modality_dropout_and_half_precision_train_too(shop, cache_dir):
    model, losses = fitted(shop, cache_dir, modality_dropout=0.3, precision="mixed_bfloat16")
    assert np.isfinite(losses).all()
    assert all(v.dtype == tf.float32 for v in model.trainable_variables)
    assert model.item_vectors().dtype == tf.float32
