from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.content import content_vectors
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.encoders import CodeEncoder, NumberEncoder, VectorEncoder
from tfrec_div.towers.feature_table import FeatureTable
from tfrec_div.towers.fusion import ConcatFusion
from tfrec_div.towers.tower import Tower


def test_codes_are_summed_and_unknown_ones_add_nothing():
    encoder = CodeEncoder(3, 2)
    one, two, both, none = encoder(tf.constant([[1, 0], [2, 0], [2, 1], [0, 0]])).numpy()
    np.testing.assert_allclose(both, one + two, rtol=1e-6)
    assert none.tolist() == [0, 0]
    assert encoder.present(tf.constant([[0, 3], [0, 0]])).numpy().tolist() == [True, False]


def test_id_dropout_takes_whole_rows_for_unknown_in_training_only():
    encoder = CodeEncoder(1, 4, dropout=0.5)
    codes = tf.ones([400, 1], tf.int32)
    trained = encoder(codes, training=True).numpy()
    dropped = (trained == 0).all(axis=1)
    assert 0.35 < dropped.mean() < 0.65
    np.testing.assert_array_equal(
        trained[~dropped], np.repeat(encoder(codes[:1]).numpy(), (~dropped).sum(), axis=0)
    )
    assert (encoder(codes).numpy() != 0).all()


def test_a_missing_number_is_zero_and_not_the_mean():
    encoder = NumberEncoder(3)
    mean, missing = encoder(tf.constant([[0.0, 1.0], [0.0, 0.0]])).numpy()
    assert missing.tolist() == [0, 0, 0]
    encoder.set_weights([w + 1 for w in encoder.get_weights()])
    assert (encoder(tf.constant([[0.0, 1.0]])).numpy() != 0).all()
    assert mean.shape == (3,)


def test_vectors_are_centred_on_those_that_are_there():
    encoder = VectorEncoder(2, 2)
    vectors = np.array([[5.0, 1.0], [7.0, 1.0], [0.0, 0.0]])
    encoder.adapt(vectors)
    assert encoder.mean.numpy().tolist() == [6.0, 1.0]
    assert float(encoder.scale) == pytest.approx(1.0)
    encoder._project.build([None, 2])
    encoder._project.set_weights([np.eye(2)])
    np.testing.assert_allclose(encoder(tf.constant(vectors[:2], tf.float32)), [[-1, 0], [1, 0]], atol=1e-6)


def test_fusion_masks_a_missing_modality():
    fusion = ConcatFusion(1)
    vectors = tf.constant([[[2.0], [30.0]]])
    assert fusion(vectors).numpy().tolist() == [[32]]
    assert fusion(vectors, modality_mask=tf.constant([[True, False]])).numpy().tolist() == [[2]]


def test_dropout_repeats_from_a_restored_count():
    layer = RepeatableDropout(0.5, seed=1)
    ones = tf.ones([8, 8])
    layer(ones, training=True)
    state = layer.get_weights()
    second = layer(ones, training=True).numpy()
    third = layer(ones, training=True).numpy()
    assert (second != third).any()
    layer.set_weights(state)
    np.testing.assert_array_equal(layer(ones, training=True), second)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), got 1.0"):
        RepeatableDropout(1.0)


def test_the_feature_table_answers_minus_one_with_zeros_and_refuses_other_shapes():
    table = FeatureTable(2, {"codes": ((3,), "int32")})
    table.fill({"codes": [[1, 2, 3], [4, 5, 6]]})
    assert table(tf.constant([[1], [-1]]))["codes"].numpy().tolist() == [[[4, 5, 6]], [[0, 0, 0]]]
    with pytest.raises(ValueError, match=r"'codes': expected an array of shape \(2, 3\), got \(2, 2\)"):
        table.fill({"codes": [[1, 2], [3, 4]]})
    with pytest.raises(ValueError, match="'codes': expected an array of shape"):
        table.fill({"other": [[1]]})


def test_a_tower_names_the_feature_that_is_missing():
    tower = Tower({"brand": CodeEncoder(2, 4)}, ConcatFusion(4), name="items")
    with pytest.raises(ValueError, match=r"'items' expects \['brand'\], but \['brand'\] is missing"):
        tower({"price": tf.ones([1, 2])})


def test_content_vectors_are_the_mean_of_the_cosines():
    text = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    genre = np.array([[True, False], [True, False], [False, True]])
    vectors = content_vectors({"text": text, "genre": genre})
    cosine = vectors @ vectors.T
    np.testing.assert_allclose(np.diag(cosine), 1.0, rtol=1e-6)
    assert cosine[0, 1] == pytest.approx((-1 + 1) / 2, abs=1e-6)
    assert cosine[0, 2] == pytest.approx(0.0, abs=1e-6)
    weighted = content_vectors({"text": text, "genre": genre}, {"text": 3.0})
    assert (weighted @ weighted.T)[0, 1] == pytest.approx((-3 + 1) / 4, abs=1e-6)


def test_content_vectors_are_centred_on_the_first_items_if_wanted():
    text = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 5.0], [0.0, 0.0]])
    # The mean of the first two is (2, 0).
    expected = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(content_vectors({"text": text}, centred_on=2), expected, atol=1e-6)
    # Where these have nothing, there is nothing to centre on.
    late = content_vectors({"text": text[[3, 2]]}, centred_on=1)
    np.testing.assert_allclose(late[1] * np.sqrt(29), [2, 5], rtol=1e-6)


def test_a_very_wide_view_is_projected_and_keeps_its_cosines(random):
    tags = (random.random((30, 5000)) < 0.01).astype(bool)
    vectors = content_vectors({"tags": tags})
    assert vectors.shape == (30, 2048)
    lengths = np.linalg.norm(tags, axis=1)
    cosine = (tags.astype(float) @ tags.T) / np.outer(lengths, lengths)
    np.testing.assert_allclose(vectors @ vectors.T, cosine, atol=0.12)


LAYERS = [
    (CodeEncoder(5, 3, dropout=0.1, initial_scale=0.2), tf.constant([[1, 2]])),
    (NumberEncoder(3, hidden=4), tf.constant([[0.5, 1.0]])),
    (VectorEncoder(4, 3), tf.ones([1, 4])),
    (ConcatFusion(3), tf.ones([1, 2, 3])),
    (RepeatableDropout(0.3, whole_rows=True, seed=4), tf.ones([1, 2])),
    (FeatureTable(3, {"a": ((2,), "float32")}), tf.constant([1])),
    (
        Tower({"b": CodeEncoder(2, 4)}, ConcatFusion(4), hidden_units=[8], dropout=0.1, normalize=True),
        {"b": tf.constant([1])},
    ),
]


@pytest.mark.parametrize(("layer", "inputs"), LAYERS, ids=lambda value: getattr(value, "name", ""))
def test_config_and_weights_round_trip(layer, inputs):
    expected = layer(inputs)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    again(inputs)
    again.set_weights(layer.get_weights())
    tf.nest.map_structure(np.testing.assert_allclose, again(inputs), expected)
