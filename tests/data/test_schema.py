"""The schema: look-up of ids and the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfrec_div.data.features import Category, Number, Text
from tfrec_div.data.schema import Schema


def make_schema(**changes):
    values = {
        "user_features": (Number("age"), Category("job")),
        "item_features": (Text("title"), Category("tags", multivalued=True, separator=";")),
        "user_ids": ("ann", "bob"),
        "item_ids": ("7", "007", "a,b", "🎈"),
        "vocabularies": {"user/job": ("cook",), "item/tags": ("x", "y")},
        "statistics": {"user/age": {"mean": 0.1 + 0.2, "std": 1 / 3}},
        "interaction_columns": ("rating", "timestamp"),
    }
    return Schema(**{**values, **changes})


def test_ids_are_looked_up_and_unknown_ones_are_minus_one():
    rows = make_schema().item_rows(["🎈", "008", "007", 7, "a,b", ""])
    assert rows.tolist() == [3, -1, 1, 0, 2, -1]
    assert rows.dtype == np.int32
    assert make_schema().user_rows(np.array(["bob"])).tolist() == [1]


def test_no_ids_no_rows():
    assert make_schema().user_rows([]).tolist() == []
    assert make_schema(user_ids=()).user_rows(["ann"]).tolist() == [-1]


def test_it_goes_through_json_unchanged():
    schema = make_schema()
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema
    assert hash(again) == hash(schema)
    assert again.statistics["user/age"]["mean"] == 0.30000000000000004


@pytest.mark.parametrize(
    "changes",
    [
        {"user_ids": ("bob", "ann")},
        {"item_ids": ("7",)},
        {"vocabularies": {}},
        {"statistics": {}},
        {"interaction_columns": ()},
        {"item_features": (Text("title"),)},
    ],
)
def test_whatever_differs_makes_schemas_unequal(changes):
    assert make_schema(**changes) != make_schema()


def test_features_by_name_and_kind():
    schema = make_schema()
    assert schema.feature("user", "age") == Number("age")
    assert schema.features_of("item", "category") == (Category("tags", multivalued=True, separator=";"),)
    assert schema.features_of("item", "image") == ()
    assert (schema.num_users, schema.num_items) == (2, 4)


def test_an_unknown_feature_or_side_is_named():
    with pytest.raises(KeyError, match=r"'titel'.*title, tags"):
        make_schema().feature("item", "titel")
    with pytest.raises(ValueError, match="'items'"):
        make_schema().features("items")
