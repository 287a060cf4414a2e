"""Datasets from data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data import Category, DataError, Text, from_frames, load_folder


def test_ids_of_any_type_become_strings():
    log = pd.DataFrame({"user_id": [1, 2], "item_id": [10.0, 20.0]}, index=[5, 5])
    data = from_frames(log, pd.DataFrame({"item_id": ["10", "20"]}))
    assert data.schema.user_ids == ("1", "2")
    assert data.interactions.item.tolist() == [0, 1]


def test_frames_say_the_same_as_a_folder(make_folder):
    text = {
        "interactions": "user_id,item_id,rating,timestamp\nu,a,4,10\nv,b,,20\n",
        "items": "item_id,title,price,release_date\na,A,1.5,1995-01-01\nb,,,\n",
        "users": "user_id,age,job\nv,20,cook\n",
        "impressions": "user_id,item_id,timestamp,position,clicked\nu,a,10,1,1\n",
    }
    folder = make_folder(**text)
    frames = {table: pd.read_csv(folder / f"{table}.csv") for table in text}
    assert from_frames(**frames).equals(load_folder(folder))


def test_dates_become_seconds():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": pd.to_datetime(["1970-01-02"])})
    items = pd.DataFrame({"item_id": ["a"], "release_date": pd.to_datetime(["1970-01-03"])})
    data = from_frames(log, items)
    assert data.interactions.timestamp.tolist() == [86400]
    assert data.catalog.columns["release_date"].tolist() == [172800.0]


def test_the_frames_are_left_as_they_are():
    log = pd.DataFrame({"user_id": ["v", "u"], "item_id": ["a", "b"]})
    items = pd.DataFrame({"item_id": ["a", "b"], "image": ["none.png", ""]}, dtype=object)
    before = log.copy(), items.copy()
    from_frames(log, items, on_error="drop")
    pd.testing.assert_frame_equal(log, before[0])
    pd.testing.assert_frame_equal(items, before[1])


def test_problems_are_named_by_table_and_row():
    log = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "zzz"], "rating": [1, np.inf]})
    with pytest.raises(DataError) as caught:
        from_frames(log, pd.DataFrame({"item_id": ["a"]}))
    assert [str(problem) for problem in caught.value.problems] == [
        'interactions, row 3, column item_id: expected the id of an item in items, found "zzz"',
        'interactions, row 3, column rating: expected a number, found "inf"',
    ]
    assert str(caught.value).endswith("and 1 more (.problems lists all)")
    assert from_frames(log, pd.DataFrame({"item_id": ["a"]}), on_error="drop").dropped == {"interactions": 1}


def test_missing_ids_are_problems():
    log = pd.DataFrame({"user_id": ["u", None, np.nan], "item_id": ["a", "a", "a"]})
    with pytest.raises(DataError) as caught:
        from_frames(log)
    assert [problem.row for problem in caught.value.problems] == [3, 4]


def test_declared_features_and_settings():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "rating": [3], "event": ["view"]})
    items = pd.DataFrame({"item_id": ["a"], "mood": ["x;y"], "blurb": ["Nice"]})
    data = from_frames(
        log,
        items,
        features={"items": {"mood": Category("mood", multivalued=True, separator=";"), "blurb": "text"}},
        rating_scale=(1, 5),
        event_names=("view", "purchase"),
        name="shop",
    )
    assert data.schema.item_features == (Category("mood", multivalued=True, separator=";"), Text("blurb"))
    assert data.interactions.rating_scale == (1.0, 5.0)
    assert data.interactions.event_names == ("view", "purchase")
    assert data.name == "shop"


def test_a_feature_takes_the_name_of_its_column():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    items = pd.DataFrame({"item_id": ["a"], "mood": ["sad"]})
    data = from_frames(log, items, features={"items": {"mood": Category("feeling")}})
    assert data.schema.vocabularies == {"item/mood": ("sad",)}


def test_unknown_declarations_are_refused():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    with pytest.raises(DataError, match="feelings"):
        from_frames(log, features={"items": {"mood": "feelings"}})


def test_missing_columns_of_all_frames_are_named():
    with pytest.raises(DataError) as caught:
        from_frames(pd.DataFrame({"user_id": ["u"]}), pd.DataFrame({"id": ["a"]}))
    assert [(problem.file, problem.column) for problem in caught.value.problems] == [
        ("interactions", "item_id"),
        ("items", "item_id"),
    ]


def test_columns_that_are_there_twice_are_refused():
    with pytest.raises(DataError, match="one column of this name"):
        from_frames(pd.DataFrame([["u", "a", "b"]], columns=["user_id", "item_id", "item_id"]))


def test_something_else_than_a_frame_is_refused():
    with pytest.raises(TypeError, match="DataFrame for interactions, got list"):
        from_frames([("u", "a")])


def test_a_picture_folder_that_is_not_there(tmp_path):
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    with pytest.raises(DataError, match="image_root: expected a folder"):
        from_frames(log, image_root=tmp_path / "none")


def test_text_that_utf8_cannot_hold_is_a_problem():
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    items = pd.DataFrame({"item_id": ["a"], "title": np.array(["half \ud800"], dtype=object)}, dtype=object)
    with pytest.raises(DataError, match="items, row 2, column title: expected UTF-8 text"):
        from_frames(log, items)
