"""Features and their encodings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec_div.data.features import Category, Feature, Id, Image, Number, Text, Timestamp

TAGS = Category("tags", multivalued=True)


def strings(*values):
    return np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("feature", "kind", "dtype", "encoder"),
    [
        (Id("user_id"), "id", "string", "embedding"),
        (Category("brand"), "category", "string", "embedding"),
        (Number("price"), "number", "float32", "number"),
        (Timestamp("release_date"), "timestamp", "float32", "number"),
        (Text("title"), "text", "string", "text"),
        (Image("image"), "image", "string", "image"),
    ],
)
def test_what_each_feature_declares(feature, kind, dtype, encoder):
    assert (feature.kind, feature.serving_dtype, feature.default_encoder) == (kind, dtype, encoder)
    assert Feature.from_dict(json.loads(json.dumps(feature.to_dict()))) == feature


def test_options_survive_json():
    feature = Category("tags", multivalued=True, separator=";")
    assert feature.to_dict() == {"kind": "category", "name": "tags", "multivalued": True, "separator": ";"}
    assert Feature.from_dict(feature.to_dict()) == feature


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"category.*image.*'colour'"):
        Feature.from_dict({"kind": "colour", "name": "x"})


def test_values_of_a_cell_are_split_stripped_and_counted_once():
    cell, values = TAGS.values(strings("a|b", "", " b | |b", "c"))
    assert cell.tolist() == [0, 0, 2, 3]
    assert values.tolist() == ["a", "b", "b", "c"]


def test_a_category_of_one_value_is_not_split():
    assert Category("brand").values(strings("a|b"))[1].tolist() == ["a|b"]


def test_a_column_without_any_value():
    cell, values = TAGS.values(strings("", ""))
    assert len(cell) == len(values) == 0
    assert TAGS.vocabulary(strings("", "")) == ()
    assert TAGS.encode(strings("", ""), ()).tolist() == [[0], [0]]


def test_the_vocabulary_is_by_count_then_by_name():
    assert TAGS.vocabulary(strings("b|c", "c|z", "a|b", "c")) == ("c", "b", "a", "z")


def test_the_vocabulary_keeps_the_ten_thousand_most_frequent():
    column = strings(*[f"v{number:05d}" for number in range(10_050)], "v10049", "v10049")
    vocabulary = Category("brand").vocabulary(column)
    assert len(vocabulary) == 10_000
    assert vocabulary[:2] == ("v10049", "v00000")


def test_codes_start_at_one_and_zero_is_missing_or_unknown():
    assert Category("brand").encode(strings("x", "", "new", "y"), ("y", "x")).tolist() == [[2], [0], [0], [1]]


def test_multivalued_codes_are_as_wide_as_the_longest_cell():
    encoded = TAGS.encode(strings("a|b|c", "c", "new|b"), ("a", "b", "c"))
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [[1, 2, 3], [3, 0, 0], [2, 0, 0]]


def test_at_most_eight_values_are_encoded():
    encoded = TAGS.encode(strings("|".join("abcdefghij")), tuple("abcdefghij"))
    assert encoded.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6, unique=True)))
def test_codes_say_what_the_cells_said(cells):
    column = np.empty(len(cells), dtype=object)
    column[:] = ["|".join(cell) for cell in cells]
    vocabulary = TAGS.vocabulary(column)
    encoded = TAGS.encode(column, vocabulary)
    assert [[vocabulary[code - 1] for code in row if code] for row in encoded] == cells


def test_numbers_are_standardised_by_the_known_ones():
    column = np.array([1.0, 3.0, np.nan, 5.0])
    statistics = Number("price").statistics(column)
    assert statistics["mean"] == 3.0
    assert statistics["std"] == pytest.approx((8 / 3) ** 0.5)
    encoded = Number("price").encode(column, statistics)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, [[-1.2247449, 1], [0, 1], [0, 0], [1.2247449, 1]], rtol=1e-6)


def test_equal_numbers_do_not_divide_by_zero():
    column = np.array([7.0, 7.0])
    assert Number("price").encode(column, Number("price").statistics(column)).tolist() == [[0, 1], [0, 1]]


def test_a_column_of_missing_numbers():
    column = np.array([np.nan])
    assert Number("price").encode(column, Number("price").statistics(column)).tolist() == [[0, 0]]
