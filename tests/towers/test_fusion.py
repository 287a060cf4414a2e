"""Each fusion against its formula, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.towers.encoders import CodeEncoder, NumberEncoder
from tfrec_div.towers.fusion import (
    AttentionFusion,
    BilinearFusion,
    ConcatFusion,
    CrossModalFusion,
    GatedFusion,
    ProjectedConcatFusion,
)
from tfrec_div.towers.tower import Tower


def with_weights(layer, vectors, **weights):
    """Builds a layer and sets its weights by name."""
    layer(vectors)
    for name, value in weights.items():
        getattr(layer, name).assign(value)
    return layer


def test_the_shares_of_a_concatenation_are_those_of_the_lengths():
    vectors = tf.constant([[[3.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_allclose(ConcatFusion(2).modality_weights(vectors), [[0.75, 0.25]], rtol=1e-5)


def test_the_wide_concatenation_is_that_of_system_c():
    text, picture = [1.0, -1.0], [2.0, 5.0]
    layer = with_weights(
        ProjectedConcatFusion(1, units=2),
        tf.constant([[text, picture]]),
        hidden_kernel=[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]],
        hidden_bias=[[0.5, 0.5], [1.0, 0.0]],
        kernel=[[1.0], [10.0], [100.0], [1000.0]],
    )
    # ReLU(text + .5) = (1.5, 0); ReLU((2 + 1, -5)) = (3, 0)
    assert layer(tf.constant([[text, picture]])).numpy().tolist() == [[1.5 + 300]]
    # Without the picture its bias is not there either.
    assert layer(tf.constant([[text, picture]]), modality_mask=[[True, False]]).numpy().tolist() == [[1.5]]
    assert ProjectedConcatFusion(4).units == 1024


def test_gates_are_computed_from_all_modalities():
    # The gate of an entry opens for the second modality as much as the first one's first entry says.
    gate_kernel = np.zeros((2, 2, 2, 2), np.float32)
    gate_kernel[0, 0, 1, :] = 1.0
    vectors = tf.constant([[[np.log(3.0), 0.0], [4.0, 8.0]]], tf.float32)
    softmax = with_weights(GatedFusion(2), vectors, gate_kernel=gate_kernel)
    np.testing.assert_allclose(softmax(vectors), [[0.25 * np.log(3.0) + 0.75 * 4, 0.75 * 8]], rtol=1e-5)
    np.testing.assert_allclose(softmax.modality_weights(vectors), [[0.25, 0.75]], rtol=1e-5)
    sigmoid = with_weights(
        GatedFusion(2, gate="sigmoid", activation="tanh"), vectors, gate_kernel=gate_kernel
    )
    expected = [[0.5 * np.tanh(np.log(3.0)) + 0.75 * np.tanh(4), 0.75 * np.tanh(8)]]
    np.testing.assert_allclose(sigmoid(vectors), expected, rtol=1e-5)
    np.testing.assert_allclose(sigmoid.modality_weights(vectors), [[0.4, 0.6]], rtol=1e-5)


def test_attention_is_the_softmax_of_the_answers_to_the_query():
    vectors = tf.constant([[[0.0, 0.0], [1.0, 2.0]]])
    layer = with_weights(
        AttentionFusion(2),
        vectors,
        key_kernel=[[1.0, 0.0], [0.0, 0.0]],
        key_bias=np.zeros((2, 2)),
        query=[2.0, 0.0],
    )
    share = 1 / (1 + np.exp(-2 * np.tanh(1.0)))
    np.testing.assert_allclose(layer.modality_weights(vectors), [[1 - share, share]], rtol=1e-5)
    np.testing.assert_allclose(layer(vectors), [[share, 2 * share]], rtol=1e-5)


def test_bilinear_adds_the_products_of_all_pairs():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, 3, 4)).astype(np.float32)
    rank_kernel, pair_kernel = rng.normal(size=(3, 4, 5)), rng.normal(size=(5, 4))
    layer = with_weights(BilinearFusion(4, rank=5), vectors, rank_kernel=rank_kernel, pair_kernel=pair_kernel)
    h = np.tanh(np.einsum("bmi,mir->mbr", vectors, rank_kernel))
    pairs = h[0] * h[1] + h[0] * h[2] + h[1] * h[2]
    np.testing.assert_allclose(layer(vectors), vectors.sum(1) + pairs @ pair_kernel, rtol=1e-4, atol=1e-5)
    # A modality alone is in no pair.
    alone = layer(vectors, modality_mask=[[False, True, False]] * 2)
    np.testing.assert_allclose(alone, vectors[:, 1], rtol=1e-5)


def cross_modal(vectors):
    """One head whose value and output are the identity, so that what was found can be read."""
    layer = CrossModalFusion(2, num_heads=1)
    eye = np.eye(2, dtype=np.float32)
    return with_weights(
        layer,
        vectors,
        query_kernel=eye[:, None, :],
        key_kernel=eye[:, None, :],
        value_kernel=eye[:, None, :],
        found_kernel=eye[None],
        modality=np.zeros((2, 2)),
    )


def test_text_tokens_attend_picture_regions_and_the_other_way_round():
    vectors = tf.constant([[[0.0, 0.0], [0.0, 0.0]]])
    scale = np.sqrt(2.0) * np.log(3.0)  # a token and a region that match count three times as much as others
    tokens = np.array([[[scale, 0.0], [9.0, 9.0]]]), np.array([[True, False]])
    regions = np.array([[[1.0, 0.0], [0.0, 1.0], [7.0, 7.0]]]), np.array([[True, True, False]])
    found = cross_modal(vectors)(vectors, sequences=[tokens, regions])
    # The token finds 3/4 of the first region and 1/4 of the second; each region finds the only token.
    np.testing.assert_allclose(found, [[0.75 + scale, 0.25]], rtol=1e-5)


def test_without_sequences_the_vectors_attend_each_other():
    vectors = tf.constant([[[1.0, 2.0], [10.0, 20.0]]])
    np.testing.assert_allclose(cross_modal(vectors)(vectors), [[22.0, 44.0]], rtol=1e-5)
    alone = cross_modal(vectors)(vectors, modality_mask=[[True, False]])
    np.testing.assert_allclose(alone, [[1.0, 2.0]], rtol=1e-5)


def test_the_parts_of_a_masked_modality_are_not_attended_to():
    vectors = tf.constant([[[1.0, 2.0], [10.0, 20.0]]])
    rubbish = np.full((1, 3, 2), np.nan, np.float32), np.ones((1, 3), bool)
    layer = cross_modal(vectors)
    np.testing.assert_array_equal(
        layer(vectors, modality_mask=[[True, False]], sequences=[None, rubbish]), [[1.0, 2.0]]
    )
    # A modality that is there, but none of whose parts is, gives its vector and is not attended to.
    nothing = np.full((1, 3, 2), np.nan, np.float32), np.zeros((1, 3), bool)
    np.testing.assert_allclose(layer(vectors, sequences=[None, nothing]), [[11.0, 22.0]], rtol=1e-6)
    with pytest.raises(ValueError, match="one \\(or None\\) for each of the 2 modalities, got 1"):
        layer(vectors, sequences=[None])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConcatFusion(0), "dim: expected at least 1, got 0"),
        (lambda: ProjectedConcatFusion(4, units=0), "units: expected at least 1, got 0"),
        (lambda: GatedFusion(4, gate="max"), "gate: expected one of softmax, sigmoid, got 'max'"),
        (lambda: CrossModalFusion(4, num_heads=0), "num_heads: expected at least 1, got 0"),
        (lambda: CrossModalFusion(4, head_dim=0), "head_dim: expected at least 1, got 0"),
        (lambda: BilinearFusion(4, rank=0), "rank: expected at least 1, got 0"),
    ],
)
def test_constructors_name_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def two_features(rate: float) -> tuple[Tower, dict]:
    tower = Tower(
        {"brand": CodeEncoder(1, 4), "price": NumberEncoder(4)}, ConcatFusion(4), modality_dropout=rate
    )
    features = {"brand": tf.ones([1000], tf.int32), "price": tf.ones([1000, 2])}
    tower(features)
    tower.encoders["brand"]._embedding.set_weights([np.full((2, 4), 1.0)])
    tower.encoders["price"]._curve.set_weights([np.zeros((1, 16)), np.ones(16)])
    tower.encoders["price"]._out.set_weights([np.full((16, 4), 10 / 16 / np.tanh(1.0))])
    return tower, features


def test_modality_dropout_takes_whole_features_but_never_all_of_them():
    tower, features = two_features(0.5)
    sums = np.round(tower(features, training=True).numpy()[:, 0], 3)
    values, counts = np.unique(sums, return_counts=True)
    assert values.tolist() == [1, 10, 11]  # brand alone, price alone, both
    # A quarter each loses one; a quarter loses nothing, and one that would lose both keeps them.
    np.testing.assert_allclose(counts / 1000, [0.25, 0.25, 0.5], atol=0.05)
    assert (np.round(tower(features).numpy(), 3) == 11).all()


def test_modality_dropout_leaves_the_only_feature_that_a_row_has():
    tower, features = two_features(0.9)
    only_brand = {**features, "price": tf.zeros([1000, 2])}
    assert (np.round(tower(only_brand, training=True).numpy(), 3) == 1).all()


def test_a_tower_tells_the_weights_of_its_features_and_keeps_its_dropout():
    tower, features = two_features(0.3)
    names, weights = tower.fusion_weights({name: values[:2] for name, values in features.items()})
    assert names == ("brand", "price")
    np.testing.assert_allclose(weights, [[1 / 11, 10 / 11]] * 2, rtol=1e-4)
    assert Tower.from_config(tower.get_config()).modality_dropout.rate == 0.3
