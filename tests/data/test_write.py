"""A dataset that is written reads back equal."""

from __future__ import annotations

import os

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrec_div.data import from_frames, load_folder, write_folder
from tfrec_div.data.catalog import Catalog

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ID = TEXT.filter(lambda text: text.strip())


@st.composite
def datasets(draw):
    items = draw(st.lists(ID, min_size=1, max_size=6, unique=True))
    users = draw(st.lists(ID, min_size=1, max_size=4, unique=True))
    n = draw(st.integers(1, 8))

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    log = {"user_id": column(st.sampled_from(users)), "item_id": column(st.sampled_from(items))}
    optional = {
        "rating": st.one_of(st.none(), st.floats(-10, 10, width=32)),
        "timestamp": st.integers(-(10**9), 10**10),
        "event": st.sampled_from(["view", "purchase", "yes", "1", ""]),
        "dwell": st.one_of(st.none(), st.floats(0, 1e6, width=32)),
        "weight": st.floats(0, 10, width=32),
        "review": TEXT,
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            log[name] = column(values)
    frames = {"interactions": pd.DataFrame(log, dtype=object)}
    if draw(st.booleans()):
        m = len(items)
        number = st.one_of(st.none(), st.floats(-1e9, 1e9))
        frames["items"] = pd.DataFrame(
            {
                "item_id": items,
                "title": draw(st.lists(TEXT, min_size=m, max_size=m)),
                "price": draw(st.lists(number, min_size=m, max_size=m)),
                "categories": draw(st.lists(TEXT, min_size=m, max_size=m)),
                "release_date": draw(
                    st.lists(st.sampled_from(["", "1995", "03-Feb-2001 12:00:01"]), min_size=m, max_size=m)
                ),
                "tags": draw(st.lists(TEXT, min_size=m, max_size=m)),
            },
            dtype=object,
        )
    if draw(st.booleans()):
        ages = draw(st.lists(st.sampled_from(["", "1", "02", "x"]), min_size=len(users), max_size=len(users)))
        frames["users"] = pd.DataFrame({"user_id": users, "age": ages}, dtype=object)
    features = {"items": {"tags": {"type": "category", "separator": ";"}}}
    return from_frames(**frames, features=features)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(datasets())
def test_any_dataset_reads_back_equal(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("write") / "shop"
    write_folder(dataset, folder)
    assert load_folder(folder).equals(dataset)


def make_dataset(**options):
    log = pd.DataFrame(
        {"user_id": list("uuuv"), "item_id": list("abca"), "rating": [1, 4, 5, 3], "timestamp": [1, 2, 3, 4]}
    )
    return from_frames(log, name="My shop", **options)


def test_the_files_are_what_a_person_expects(tmp_path):
    shown = pd.DataFrame(
        {"user_id": ["u"], "item_id": ["a"], "timestamp": [1], "position": [1], "clicked": [True]}
    )
    items = pd.DataFrame({"item_id": list("abc"), "title": ["A", "", "C"], "price": [1.5, 2, None]})
    folder = write_folder(make_dataset(items=items, impressions=shown), tmp_path / "shop")
    assert {path.name for path in folder.iterdir()} == {
        *("interactions.csv", "items.csv", "users.csv", "impressions.csv", "dataset.yaml")
    }
    assert (folder / "interactions.csv").read_text() == (
        "user_id,item_id,rating,timestamp\nu,a,1,1\nu,b,4,2\nu,c,5,3\nv,a,3,4\n"
    )
    assert (folder / "items.csv").read_text() == "item_id,title,price\na,A,1.5\nb,,2\nc,C,\n"
    assert (
        folder / "impressions.csv"
    ).read_text() == "user_id,item_id,timestamp,position,clicked\nu,a,1,1,1\n"
    assert load_folder(folder).name == "My shop"


def test_a_part_of_a_split_keeps_scale_users_and_items(tmp_path):
    train, _ = make_dataset().split("temporal", test=0.7)
    assert train.interactions.rating.tolist() == [1, 3]
    again = load_folder(write_folder(train, tmp_path / "train"))
    assert again.equals(train)
    assert again.interactions.rating_scale == (1.0, 5.0)
    assert again.schema.item_ids == ("a", "b", "c")


def test_pictures_are_copied_and_bytes_become_files(tmp_path, make_picture):
    (tmp_path / "posters").mkdir()
    (tmp_path / "posters" / "a.png").write_bytes(make_picture("red"))
    items = pd.DataFrame(
        {"item_id": list("abc"), "image": ["posters/a.png", make_picture("blue", "JPEG"), None]}
    )
    data = make_dataset(items=items, image_root=tmp_path)
    folder = write_folder(data, tmp_path / "shop")
    again = load_folder(folder)
    assert again.equals(data)
    assert (folder / "posters" / "a.png").read_bytes() == make_picture("red")
    assert again.catalog.columns["image"][1].endswith(".jpg")
    assert again.catalog.image_bytes(1) == make_picture("blue", "JPEG")
    assert again.catalog.has_image.tolist() == [True, True, False]


def test_bytes_do_not_overwrite_a_file_of_the_same_name(tmp_path, make_picture):
    items = {"item_id": list("abc"), "image": [make_picture("blue"), "", ""]}
    first = write_folder(make_dataset(items=pd.DataFrame(items)), tmp_path / "one")
    name = load_folder(first).catalog.columns["image"][0]
    items["image"] = [make_picture("green"), name, ""]
    data = make_dataset(items=pd.DataFrame(items), image_root=first)
    again = load_folder(write_folder(data, tmp_path / "two"))
    assert again.catalog.image_bytes(0) == make_picture("green")
    assert again.catalog.image_bytes(1) == make_picture("blue")


def test_an_empty_folder_is_used_and_a_full_one_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    write_folder(make_dataset(), tmp_path / "empty")
    with pytest.raises(FileExistsError, match="empty"):
        write_folder(make_dataset(), tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        write_folder(make_dataset(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_parents_are_made_and_others_can_read(tmp_path):
    folder = write_folder(make_dataset(), tmp_path / "a" / "b")
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, make_picture):
    items = pd.DataFrame({"item_id": list("abc"), "image": [make_picture(), "", ""]})
    data = make_dataset(items=items)
    monkeypatch.setattr(Catalog, "picture", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_folder(data, tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


def test_movielens_reads_back_equal(movielens, tmp_path):
    data = load_folder(movielens, check_images=False)
    assert load_folder(write_folder(data, tmp_path / "ml"), check_images=False).equals(data)
