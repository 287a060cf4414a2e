from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.item_features import ItemFeatures
from tfrec_div.metrics import long_tail

COUNTS = np.arange(50)


@pytest.fixture
def features(model, parts):
    return ItemFeatures(model, parts[0].catalog, np.eye(50, dtype=np.float32))


def made(features, name):
    features.require([name], "Probe", COUNTS)
    return features[name].numpy()


def test_aspects_are_the_categories_and_groups_the_long_tail(features, parts):
    np.testing.assert_array_equal(made(features, "aspects"), parts[0].catalog.category_matrix())
    groups = made(features, "groups")
    assert groups.dtype == np.int32
    np.testing.assert_array_equal(groups, long_tail(COUNTS))
    features.refresh(COUNTS[::-1])
    np.testing.assert_array_equal(features["groups"].numpy(), long_tail(COUNTS[::-1]))


def test_a_category_is_its_codes_or_which_values_an_item_has(features, parts):
    catalog = parts[0].catalog
    for feature in catalog.schema.features_of("item", "category"):
        table = made(features, feature.name)
        if feature.multivalued:
            np.testing.assert_array_equal(table, catalog.category_matrix(feature.name))
        else:
            names = np.array([*catalog.schema.vocabularies[f"item/{feature.name}"], ""], object)
            np.testing.assert_array_equal(names[table], catalog.columns[feature.name])
    kinds = {f.multivalued for f in catalog.schema.features_of("item", "category")}
    assert kinds == {True, False}


@pytest.mark.parametrize("tower", ["text", "image"])
def test_text_and_image_are_the_centred_vectors_of_the_towers(features, model, tower):
    vectors = model.content(tower)
    there = vectors.any(1)
    centred = vectors[there] - vectors[there].mean(0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    table = made(features, tower)
    np.testing.assert_allclose(table[there], expected, atol=1e-5)
    assert not table[~there].any()


def test_features_of_ones_own_come_first_and_strings_are_codes_by_the_alphabet(model, parts):
    brand = np.array(["b", "", "a"] + ["b"] * 47, object)
    aspects = np.ones((50, 2))
    own = {"brand": brand, "aspects": aspects, "groups": np.arange(50), "seen on": np.array(["x"] * 50)}
    features = ItemFeatures(model, parts[0].catalog, np.eye(50), own)
    assert made(features, "brand").tolist()[:4] == [1, -1, 0, 1]
    assert made(features, "seen on").tolist() == [0] * 50
    np.testing.assert_array_equal(made(features, "aspects"), aspects)
    features.refresh(COUNTS)
    assert made(features, "groups").tolist() == list(range(50))


def test_padding_of_a_context_is_missing(features):
    features.require(["aspects", "groups"], "Probe", COUNTS)
    rows = tf.constant([[3, -1]])
    codes, vectors = features.of_context("groups", rows).numpy(), features.of_context("vectors", rows).numpy()
    assert codes.tolist() == [[1, -1]]
    assert vectors[0, 0].tolist() == np.eye(50)[3].tolist()
    assert not vectors[0, 1].any()


def test_a_feature_that_is_not_there_is_named_with_who_reads_it_and_what_there_is(features):
    with pytest.raises(
        ValueError, match=r"Probe reads 'colour', a feature of the items.*there are vectors, groups, aspects"
    ) as e:
        features.require(["colour"], "Probe", COUNTS)
    assert "features={'colour': array}" in str(e.value)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.zeros((49, 2)), r"float64 \[49, 2\]"),
        (np.zeros(50), r"float64 \[50\]"),
        (np.zeros((50, 2, 2)), r"float64 \[50, 2, 2\]"),
        (np.array([["a"]] * 50), r"<U1 \[50, 1\]"),
        (3, r"int64 \[\]"),
    ],
)
def test_an_array_that_is_no_feature_is_refused(model, parts, values, found):
    with pytest.raises(
        ValueError, match=rf"features\['brand'\]: expected numbers \[50, dim\], or codes.* got {found}"
    ):
        ItemFeatures(model, parts[0].catalog, np.eye(50), {"brand": values})


def test_an_infinite_number_is_refused(model, parts):
    with pytest.raises(ValueError, match="finite numbers, got inf"):
        ItemFeatures(model, parts[0].catalog, np.eye(50), {"size": np.full((50, 1), np.inf)})


def test_whole_numbers_beyond_32_bits_are_codes_in_their_order(model, parts):
    def table(values):
        return ItemFeatures(model, parts[0].catalog, np.eye(50), {"id": values})["id"].numpy()

    # 2**32 + 7 and 7 are the same in 32 bits.
    large = np.array([2**32 + 7, 7, -5, 2**40, 7] + [2**32 + 7] * 45)
    found = table(large)
    assert found.dtype == np.int32
    assert found.tolist()[:6] == [1, 0, -1, 2, 0, 1]
    assert table(np.array([2**64 - 1] * 49 + [3], np.uint64)).tolist() == [1] * 49 + [0]
    # What fits stays as it is.
    assert table(np.array([2**31 - 1, -1] * 25)).tolist() == [2**31 - 1, -1] * 25


def test_negative_aspects_are_refused(model, parts):
    aspects = np.ones((50, 3))
    aspects[4, 1] = -0.5
    with pytest.raises(ValueError, match=r"features\['aspects'\]: expected numbers of at least 0, got -0.5"):
        ItemFeatures(model, parts[0].catalog, np.eye(50), {"aspects": aspects})
    # Other features may be negative.
    assert ItemFeatures(model, parts[0].catalog, np.eye(50), {"mood": aspects})["mood"].numpy().min() == -0.5
