"""Loading folders: what is accepted, what is dropped, and what is refused."""

from __future__ import annotations

import csv
import time

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data import Category, DataError, Image, Number, Text, Timestamp, load_folder

ODD_IDS = ["a,b", 'say "hi"', "two\nlines", "🎈", "007", "7", " padded ", "NA", "nan", "None", "1e5", "c\rd"]


def test_users_and_items_keep_the_order_of_their_files(make_folder):
    data = load_folder(
        make_folder(
            interactions="user_id,item_id\nzoe,b\nann,a\nu2,a\n",
            items="item_id\nb\nunused\na\n",
            users="user_id,age\nu2,30\nidle,\n",
        )
    )
    assert data.schema.item_ids == ("b", "unused", "a")
    assert data.schema.user_ids == ("u2", "idle", "ann", "zoe")
    assert data.interactions.item_counts().tolist() == [1, 0, 2]
    np.testing.assert_array_equal(data.users.columns["age"], [30, np.nan, np.nan, np.nan])


def test_without_an_items_file_the_items_are_those_of_the_log(make_folder):
    data = load_folder(make_folder(interactions="user_id,item_id\nu,b\nv,a\nv,b\n"))
    assert data.schema.item_ids == ("a", "b")
    assert data.schema.item_features == ()
    assert data.name == "shop"


def test_odd_ids_arrive_as_they_are(make_folder):
    frame = pd.DataFrame({"user_id": ODD_IDS, "item_id": ODD_IDS[::-1]})
    items = pd.DataFrame({"item_id": ODD_IDS, "title": ODD_IDS})
    quoted = {"index": False, "quoting": csv.QUOTE_ALL}
    data = load_folder(make_folder(interactions=frame.to_csv(**quoted), items=items.to_csv(**quoted)))
    assert data.schema.item_ids == tuple(ODD_IDS)
    assert data.catalog.columns["title"].tolist() == ODD_IDS
    assert set(data.schema.user_ids) == set(ODD_IDS)


def test_a_very_long_text_is_one_text(make_folder):
    text = 'ab, "c"\n' * 40_000
    items = pd.DataFrame({"item_id": ["a"], "description": [text]})
    data = load_folder(make_folder(interactions="user_id,item_id\nu,a\n", items=items.to_csv(index=False)))
    assert data.catalog.columns["description"][0] == text


def test_types_of_the_known_item_columns(make_folder, make_picture):
    items = (
        "release_date,brand,price,image,categories,description,title,item_id\n"
        "01-Jan-1995,Acme,9.5,a.png,x|y,Nice,A,a\n"
        ",,,,,,,b\n"
    )
    data = load_folder(
        make_folder(interactions="user_id,item_id\nu,a\n", items=items, files={"a.png": make_picture()})
    )
    assert data.schema.item_features == (
        Text("title"),
        Text("description"),
        Category("categories", multivalued=True),
        Image("image"),
        Number("price"),
        Category("brand"),
        Timestamp("release_date"),
    )
    assert data.schema.vocabularies == {"item/categories": ("x", "y"), "item/brand": ("Acme",)}
    assert data.schema.statistics["item/price"] == {"mean": 9.5, "std": 1.0}
    assert data.catalog.columns["release_date"][0] == 788918400.0
    assert data.catalog.image_bytes(0) == make_picture()
    assert data.catalog.has_image.tolist() == [True, False]


def test_user_columns_are_numbers_where_all_is_numeric(make_folder):
    users = "user_id,age,zip,job,code,empty\nu,20,1234,cook,01,\nv,,T8H,,02,\n"
    data = load_folder(make_folder(interactions="user_id,item_id\nu,a\n", users=users))
    assert data.schema.user_features == (Number("age"), Category("zip"), Category("job"), Category("code"))
    assert [(warning.file, warning.column) for warning in data.warnings] == [("users.csv", "empty")]


def test_declared_columns_and_renames(make_folder):
    data = load_folder(
        make_folder(
            interactions="viewer,movie,stars\nu,a,4\n",
            items="movie,name,mood,runtime\na,Alien,dark;cold,117\n",
            users="user_id,age\nu,20\n",
            yaml="""
                name: Films
                columns:
                  interactions: {viewer: user_id, movie: item_id, stars: rating}
                  items: {movie: item_id, name: title}
                features:
                  items: {mood: {type: category, separator: ";"}, runtime: number}
                  users: {age: category}
                rating_scale: [1, 5]
            """,
        )
    )
    assert data.name == "Films"
    assert data.catalog.titles() == ["Alien"]
    assert data.schema.vocabularies == {"item/mood": ("cold", "dark"), "user/age": ("20",)}
    assert data.catalog.columns["runtime"].tolist() == [117.0]
    assert data.interactions.rating_scale == (1.0, 5.0)
    assert data.schema.interaction_columns == ("rating",)


def test_all_optional_columns_of_interactions(make_folder):
    header = "user_id,item_id,rating,timestamp,event,dwell,weight,review\n"
    log = header + "u,a,4,10.0,view,2.5,2,Good\nu,b,,11,,,,\n"
    rows = load_folder(make_folder(interactions=log)).interactions
    assert rows.columns == ("rating", "timestamp", "event", "dwell", "weight", "review")
    np.testing.assert_array_equal(rows.rating, [4, np.nan])
    np.testing.assert_array_equal(rows.dwell, [2.5, np.nan])
    assert rows.timestamp.tolist() == [10, 11]
    assert rows.event.tolist() == ["view", ""]
    assert rows.weight.tolist() == [2, 1]
    assert rows.review.tolist() == ["Good", ""]


def test_a_column_without_any_value_is_as_good_as_absent(make_folder):
    data = load_folder(make_folder(interactions="user_id,item_id,rating,timestamp\nu,a,,\nu,b,,\n"))
    assert data.schema.interaction_columns == ()
    assert data.interactions.timestamp is None


def test_impressions(make_folder):
    header = "user_id,item_id,timestamp,position,clicked,propensity\n"
    shown = header + "u,b,20,2,false,\nu,a,20,1,1,0.5\nnew,a,5,1,0,1\n"
    data = load_folder(make_folder(interactions="user_id,item_id\nu,a\nu,b\n", impressions=shown))
    assert data.schema.user_ids == ("new", "u")
    assert data.impressions.user.tolist() == [0, 1, 1]
    assert data.impressions.item.tolist() == [0, 0, 1]
    assert data.impressions.position.tolist() == [1, 1, 2]
    assert data.impressions.clicked.tolist() == [False, True, False]
    np.testing.assert_array_equal(data.impressions.propensity, [1, 0.5, np.nan])


def test_errors_are_raised_with_all_problems(make_folder):
    folder = make_folder(interactions="user_id,item_id,rating\nu,a,x\nu,b,y\nu,c,z\n")
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    assert [problem.row for problem in caught.value.problems] == [2, 3, 4]
    assert str(caught.value) == (
        'interactions.csv, row 2, column rating: expected a number, found "x"\n'
        f"and 2 more (tfrec-div validate {folder} lists all)"
    )


def test_bad_rows_are_dropped_and_counted_by_file(make_folder, make_picture):
    folder = make_folder(
        interactions="user_id,item_id,rating\nu,a,5\nu,b,bad\n,a,3\nv,zzz,3\nv,b\nv,expensive,2\nv,b,1\n",
        items="item_id,price,image\na,1,a.png\nb,,none.png\nexpensive,much,\na,2,\n",
        users="user_id,age\nu,20\nu,21\n",
        impressions="user_id,item_id,timestamp,position,clicked\nu,a,1,1,1\nu,a,1,1,maybe\nu,expensive,1,1,1\n",
        files={"a.png": make_picture()},
    )
    data = load_folder(folder, on_error="drop")
    # The item with a bad price takes its interaction and impression along; a bad picture only is missing.
    assert data.dropped == {
        "interactions.csv": 5,
        "items.csv": 2,
        "users.csv": 1,
        "impressions.csv": 2,
        "images": 1,
    }
    assert data.schema.item_ids == ("a", "b")
    assert data.schema.user_ids == ("u", "v")
    assert data.interactions.rating.tolist() == [5, 1]
    assert data.catalog.has_image.tolist() == [True, False]
    assert data.users.columns["age"].tolist()[:1] == [20.0]
    assert len(data.impressions) == 1


def test_nothing_is_dropped_from_a_good_folder(make_folder):
    assert load_folder(make_folder(interactions="user_id,item_id\nu,a\nu,a\n"), on_error="drop").dropped == {}


def test_a_dataset_with_nothing_left_is_refused(make_folder):
    with pytest.raises(DataError, match=r"interactions\.csv: expected at least one row without an error"):
        load_folder(make_folder(interactions="user_id,item_id,rating\nu,a,bad\n"), on_error="drop")


@pytest.mark.parametrize(
    "tables",
    [
        {"items": "item_id\na\n"},
        {"interactions": "user,item_id\nu,a\n"},
        {"interactions": ""},
        {"interactions": "user_id,item_id\nu,a\n", "items": "id\na\n"},
        {"interactions": "user_id,item_id,item_id\nu,a,a\n"},
        {"interactions": "user_id,item_id\nu,a\n", "yaml": "colums: {}"},
    ],
)
def test_what_no_dropping_cures_is_refused(make_folder, tables):
    with pytest.raises(DataError):
        load_folder(make_folder(**tables), on_error="drop")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a dataset folder, found nothing"):
        load_folder(tmp_path / "none", on_error="drop")


def test_an_unknown_way_with_errors_is_refused(tmp_path):
    with pytest.raises(ValueError, match='"raise" or "drop", got \'skip\''):
        load_folder(tmp_path, on_error="skip")


def test_warnings_do_not_stop_loading(make_folder):
    data = load_folder(make_folder(interactions="user_id,item_id,page\nu,a,1\nu,a,1\n"))
    assert len(data.interactions) == 2
    assert [warning.severity for warning in data.warnings] == ["warning", "warning"]


def test_picture_checks_can_be_left_out(make_folder):
    folder = make_folder(
        interactions="user_id,item_id\nu,a\n", items="item_id,image\na,a.png\n", files={"a.png": "text"}
    )
    with pytest.raises(DataError, match="decodes"):
        load_folder(folder)
    assert load_folder(folder, check_images=False).catalog.has_image.tolist() == [True]


def test_parquet_says_the_same_as_csv(make_folder, tmp_path):
    log = pd.DataFrame(
        {
            "user_id": [7, 8, 7],
            "item_id": ["a", "b", "b"],
            "rating": [4.0, np.nan, 2.5],
            "timestamp": [10, 11, 12],
        }
    )
    items = pd.DataFrame(
        {"item_id": ["b", "a"], "price": [1.5, 2.0], "release_date": pd.to_datetime(["1995-01-01", None])}
    )
    parquet = make_folder("parquet")
    log.to_parquet(parquet / "interactions.parquet")
    items.to_parquet(parquet / "items.parquet")
    csv = make_folder("csv", interactions=log.to_csv(index=False), items=items.to_csv(index=False))
    assert load_folder(parquet).equals(load_folder(csv))
    assert load_folder(parquet).schema.user_ids == ("7", "8")


def test_parquet_with_typed_columns(make_folder, make_picture):
    folder = make_folder()
    pd.DataFrame(
        {
            "user_id": pd.array([2**60 + 1, 2**60 + 2], dtype="Int64"),
            "item_id": pd.Categorical(["x", "y"]),
            "timestamp": pd.to_datetime(["1970-01-02", "1970-01-03T00:00:01Z"], format="mixed", utc=True),
        }
    ).to_parquet(folder / "interactions.parquet")
    pd.DataFrame(
        {"item_id": [b"x", b"y"], "categories": [["p", "q"], []], "image": [make_picture(), None]}
    ).to_parquet(folder / "items.parquet")
    data = load_folder(folder)
    assert data.schema.user_ids == ("1152921504606846977", "1152921504606846978")
    assert data.schema.item_ids == ("x", "y")
    assert data.interactions.timestamp.tolist() == [86400, 172801]
    assert data.catalog.category_matrix().tolist() == [[1, 1], [0, 0]]
    assert data.catalog.image_bytes(0) == make_picture()


def test_integers_with_gaps_in_parquet_keep_their_digits(make_folder):
    folder = make_folder()
    frame = pd.DataFrame({"user_id": ["u"] * 2, "item_id": pd.array([2**60 + 1, None], dtype="Int64")})
    frame.to_parquet(folder / "interactions.parquet")
    data = load_folder(folder, on_error="drop")
    assert data.schema.item_ids == ("1152921504606846977",)
    assert data.dropped == {"interactions.parquet": 1}


def test_movielens_loads_in_three_seconds(movielens):
    start = time.perf_counter()
    load_folder(movielens, check_images=False)
    assert time.perf_counter() - start < 3
