"""Items and users in columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data import Category, Entities, Schema, from_frames

LOG = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})


def make_catalog(items, **options):
    return from_frames(LOG, pd.DataFrame(items), **options).catalog


def test_texts_join_what_is_there_with_the_title_first():
    items = {
        "item_id": list("abcd"),
        "description": ["Hot.", "", "Cold", " "],
        "title": ["Tea", "Cup", " ", ""],
    }
    catalog = make_catalog(items)
    assert catalog.texts() == ["Tea. Hot.", "Cup", "Cold", ""]
    assert catalog.texts(["description"]) == ["Hot.", "", "Cold", ""]
    assert catalog.has_text.tolist() == [True, True, True, False]
    assert catalog.titles() == ["Tea", "Cup", "c", "d"]


def test_an_unknown_text_column_is_named():
    with pytest.raises(KeyError, match="'titel'"):
        make_catalog({"item_id": ["a"], "title": ["Tea"]}).texts(["titel"])


def test_items_without_any_feature():
    catalog = make_catalog({"item_id": ["a", "b"]})
    assert catalog.texts() == ["", ""]
    assert catalog.titles() == ["a", "b"]
    assert catalog.has_text.tolist() == catalog.has_image.tolist() == [False, False]
    assert catalog.image_bytes(0) == b""
    assert catalog.category_matrix().shape == (2, 0)
    assert catalog.encoded() == {}


def test_rows_of_ids():
    assert make_catalog({"item_id": ["a", "007"]}).rows(["007", "7", "a"]).tolist() == [1, -1, 0]


def test_category_matrix_holds_all_values_however_many():
    tags = ["|".join("abcdefghij"), "j", ""]
    matrix = make_catalog({"item_id": list("abc"), "categories": tags}).category_matrix()
    assert matrix.dtype == np.float32
    assert matrix.sum(axis=1).tolist() == [10, 1, 0]
    assert matrix[1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]  # "j" is the most frequent value


def test_category_matrix_takes_the_multivalued_category_first():
    items = {"item_id": list("ab"), "brand": ["x", "y"], "categories": ["p|q", "p"]}
    catalog = make_catalog(items)
    assert catalog.category_matrix().tolist() == [[1, 1], [1, 0]]
    assert catalog.category_matrix("brand").tolist() == [[1, 0], [0, 1]]
    assert make_catalog({"item_id": list("ab"), "brand": ["x", "y"]}).category_matrix().tolist() == [
        [1, 0],
        [0, 1],
    ]


def test_category_matrix_wants_a_category():
    with pytest.raises(ValueError, match="'title'"):
        make_catalog({"item_id": ["a"], "title": ["Tea"]}).category_matrix("title")


def test_pictures_are_read_from_the_folder_or_taken_as_bytes(tmp_path, make_picture):
    red, blue = make_picture("red"), make_picture("blue", "JPEG")
    (tmp_path / "red.png").write_bytes(red)
    items = {"item_id": list("abc"), "image": ["red.png", blue, None]}
    catalog = make_catalog(items, image_root=tmp_path)
    assert [catalog.image_bytes(row) for row in range(3)] == [red, blue, b""]
    assert catalog.has_image.tolist() == [True, True, False]


def test_encodings_by_kind():
    items = {
        "item_id": list("abc"),
        "categories": ["x|y", "y", ""],
        "price": [1, 3, None],
        "release_date": ["01-Jan-1970", "03-Jan-1970", ""],
        "title": list("abc"),
    }
    encoded = make_catalog(items).encoded()
    assert set(encoded) == {"categories", "price", "release_date"}
    assert encoded["categories"].tolist() == [[2, 1], [1, 0], [0, 0]]
    assert encoded["price"].tolist() == encoded["release_date"].tolist() == [[-1, 1], [1, 1], [0, 0]]


def test_columns_must_be_those_of_the_schema():
    schema = Schema((), (Category("brand"),), (), ("a",))
    with pytest.raises(ValueError, match="brand"):
        Entities(schema, "item", np.array(["a"], dtype=object), {})
    with pytest.raises(ValueError, match="1 values in column brand, got 2"):
        Entities(schema, "item", np.array(["a"], dtype=object), {"brand": np.array(["x", "y"], dtype=object)})


@pytest.mark.parametrize("change", [{"price": [1, 2]}, {"title": ["A", "c"]}, {"item_id": ["a", "c"]}])
def test_equality_sees_every_value(change):
    items = {"item_id": ["a", "b"], "price": [1, None], "title": ["A", "b"]}
    assert make_catalog(items).equals(make_catalog(items))
    assert not make_catalog(items).equals(make_catalog({**items, **change}))
