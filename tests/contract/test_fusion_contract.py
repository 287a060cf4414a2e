"""What every fusion must satisfy, whatever its method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion import FUSIONS, GatedFusion, ProjectedConcatFusion, fusion_layer

MODALITIES, DIM = 3, 8

MAKERS = {
    **{name: cls for name, cls in FUSIONS.items() if name != "projected"},
    "projected": lambda dim: ProjectedConcatFusion(dim, units=16),
    "gated, sigmoid": lambda dim: GatedFusion(dim, gate="sigmoid", activation="tanh"),
}
every_fusion = pytest.mark.parametrize("name", sorted(MAKERS))


def some_vectors(batch: int, seed: int = 0, modalities: int = MODALITIES) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(batch, modalities, DIM)).astype(np.float32)


def trained(name: str, seed: int = 0, modalities: int = MODALITIES):
    """A fusion with random weights throughout, since several start as zeros or identities."""
    layer = MAKERS[name](DIM)
    layer(some_vectors(1, modalities=modalities))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in layer.get_weights()])
    return layer


LAYERS = {name: trained(name) for name in MAKERS}


@every_fusion
@settings(max_examples=25, deadline=None)
@given(
    mask=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4),
    rubbish=st.sampled_from([0.0, -1.0, 1e30, np.nan, np.inf, -np.inf]),
    seed=st.integers(0, 1000),
)
def test_a_masked_modality_has_exactly_no_influence(name, mask, rubbish, seed):
    mask = np.array(mask)
    vectors = some_vectors(len(mask), seed)
    expected = LAYERS[name](vectors, modality_mask=mask).numpy()
    spoilt = np.where(mask[..., None], vectors, np.float32(rubbish))
    np.testing.assert_array_equal(LAYERS[name](spoilt, modality_mask=mask), expected)
    np.testing.assert_array_equal(
        LAYERS[name].modality_weights(spoilt, mask), LAYERS[name].modality_weights(vectors, mask)
    )
    assert (expected[~mask.any(axis=1)] == 0).all()


@every_fusion
def test_what_is_there_does_have_an_influence(name):
    vectors = some_vectors(1)
    whole = LAYERS[name](vectors).numpy()
    for modality in range(MODALITIES):
        moved = vectors.copy()
        moved[:, modality] += 0.5
        assert not np.allclose(LAYERS[name](moved), whole, atol=1e-4)


@every_fusion
def test_without_a_mask_everything_is_there(name):
    vectors = some_vectors(4)
    mask = np.ones((4, MODALITIES), bool)
    np.testing.assert_array_equal(LAYERS[name](vectors), LAYERS[name](vectors, modality_mask=mask))


@every_fusion
def test_gradients_are_finite_and_none_reaches_a_masked_modality(name):
    mask = np.array([[True, True, True], [True, False, True], [False, True, False], [False] * 3])
    vectors = tf.constant(np.where(mask[..., None], some_vectors(4), np.nan).astype(np.float32))
    layer = trained(name, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss = tf.reduce_sum(layer(vectors, modality_mask=mask) ** 2)
    to_vectors, *to_weights = tape.gradient(loss, [vectors, *layer.trainable_weights])
    assert (to_vectors.numpy()[~mask] == 0).all()
    assert (to_vectors.numpy()[mask] != 0).any(axis=-1).all() or name == "cross_modal"
    for weight, gradient in zip(layer.trainable_weights, to_weights, strict=True):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), weight.name
        assert np.any(tf.convert_to_tensor(gradient) != 0), weight.name


@every_fusion
def test_a_new_layer_can_learn_with_all_of_its_weights(name):
    """Weights that start as zero must not block each other: after a few steps all have moved."""
    layer = MAKERS[name](DIM)
    vectors = some_vectors(16)
    layer(vectors)
    before = layer.get_weights()
    optimizer = keras.optimizers.legacy.SGD(0.05)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(vectors) - vectors[:, 0] * vectors[:, 1]) ** 2)
        variables = layer.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    for weight, old in zip(layer.weights, before, strict=True):
        assert np.abs(weight.numpy() - old).max() > 0, weight.name


@every_fusion
@pytest.mark.parametrize("fresh", [True, False], ids=["new", "trained"])
def test_weights_are_shares_of_what_is_there(name, fresh):
    layer = MAKERS[name](DIM) if fresh else LAYERS[name]
    mask = np.array([[True, True, True], [True, False, True], [False, True, False], [False] * 3])
    weights = layer.modality_weights(some_vectors(4), mask).numpy()
    assert weights.shape == (4, MODALITIES)
    assert (weights >= 0).all()
    assert (weights[~mask] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 1, 0], rtol=1e-5)


@every_fusion
def test_a_batch_is_its_rows_one_by_one(name):
    vectors = some_vectors(5)
    mask = np.random.default_rng(1).random((5, MODALITIES)) < 0.7
    together = LAYERS[name](vectors, modality_mask=mask)
    alone = [LAYERS[name](vectors[[n]], modality_mask=mask[[n]])[0] for n in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert LAYERS[name](vectors[:0], modality_mask=mask[:0]).shape == (0, DIM)


@every_fusion
def test_works_in_a_graph_with_an_unknown_batch_and_in_a_saved_model(name, tmp_path):
    vectors = keras.Input([MODALITIES, DIM], name="vectors")
    mask = keras.Input([MODALITIES], dtype="bool", name="mask")
    model = keras.Model([vectors, mask], MAKERS[name](DIM)(vectors, modality_mask=mask))
    model.layers[-1].set_weights(LAYERS[name].get_weights())
    inputs = [some_vectors(6), np.random.default_rng(2).random((6, MODALITIES)) < 0.6]
    expected = LAYERS[name](inputs[0], modality_mask=inputs[1])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), expected, rtol=1e-4, atol=1e-5)
    graph = tf.function(
        lambda v, m: LAYERS[name](v, modality_mask=m),
        input_signature=[tf.TensorSpec([None, MODALITIES, DIM]), tf.TensorSpec([None, MODALITIES], tf.bool)],
    )
    np.testing.assert_allclose(graph(*inputs), expected, rtol=1e-4, atol=1e-5)


@every_fusion
def test_config_round_trip(name):
    layer = LAYERS[name]
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    again(some_vectors(1))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(some_vectors(3)), layer(some_vectors(3)))


@every_fusion
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_the_full_one(name, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        layer = MAKERS[name](DIM)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    mask = np.array([[True, True, True], [True, False, True]])
    vectors = np.where(mask[..., None], some_vectors(2), np.nan)
    assert layer(vectors, modality_mask=mask).dtype == policy.removeprefix("mixed_")
    layer.set_weights([w * 0.2 for w in LAYERS[name].get_weights()])
    exact = trained(name)
    exact.set_weights([w * 0.2 for w in LAYERS[name].get_weights()])
    got = tf.cast(layer(vectors, modality_mask=mask), tf.float32)
    np.testing.assert_allclose(got, exact(vectors, modality_mask=mask), rtol=0.1, atol=0.1)
    assert layer.modality_weights(vectors, mask).dtype == tf.float32


@every_fusion
def test_trains_under_a_strategy(name):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        layer = MAKERS[name](DIM)
        inputs = keras.Input([MODALITIES, DIM])
        model = keras.Model(inputs, layer(inputs))
        model.compile(keras.optimizers.legacy.SGD(0.01), "mse")
    history = model.fit(some_vectors(8), np.zeros((8, DIM)), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("name", ["concat", "cross_modal", "bilinear"])
def test_some_start_as_the_sum(name):
    vectors = some_vectors(3)
    np.testing.assert_allclose(MAKERS[name](DIM)(vectors), vectors.sum(axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gated", "attention"])
def test_some_start_as_the_mean_of_what_is_there(name):
    vectors = some_vectors(2)
    mask = np.array([[True, True, True], [True, False, True]])
    layer = MAKERS[name](DIM)
    expected = [vectors[0].mean(axis=0), vectors[1, [0, 2]].mean(axis=0)]
    np.testing.assert_allclose(layer(vectors, modality_mask=mask), expected, rtol=1e-5, atol=1e-6)
    weights = [[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, 1 / 2]]
    np.testing.assert_allclose(layer.modality_weights(vectors, mask), weights, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"cross_modal"}))
def test_others_pass_over_sequences(name):
    vectors = some_vectors(2)
    sequence = tf.ones([2, 4, DIM]), tf.ones([2, 4], tf.bool)
    np.testing.assert_array_equal(
        LAYERS[name](vectors, sequences=[sequence, None, None]), LAYERS[name](vectors)
    )


def test_a_fusion_is_found_by_its_name_or_is_the_layer_itself():
    for name, cls in FUSIONS.items():
        assert type(fusion_layer(name, 4)) is cls
    layer = GatedFusion(4)
    assert fusion_layer(layer, 4) is layer
    with pytest.raises(
        ValueError, match="concat, projected, gated, attention, cross_modal, bilinear, or a layer"
    ):
        fusion_layer("sum", 4)
    with pytest.raises(ValueError, match="a layer whose dim is 8, the embedding_dim, got 4"):
        fusion_layer(layer, 8)
