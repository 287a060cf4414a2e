"""A dataset as a whole: splits that share, and its summary."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data import from_frames, load_folder

ROOT = Path(__file__).resolve().parents[2]


def make_dataset(**options):
    log = pd.DataFrame({"user_id": list("aaaab"), "item_id": list("wxyzw"), "timestamp": [1, 2, 3, 4, 9]})
    items = pd.DataFrame(
        {"item_id": list("wxyzq"), "title": ["W", "", "", "", ""], "categories": ["p|q", "p", "", "", ""]}
    )
    return from_frames(log, items, **options)


def test_the_parts_of_a_split_share_schema_items_and_users():
    dataset = make_dataset()
    train, test = dataset.split("temporal", test=0.5)
    assert train.interactions.item.tolist() == [0, 1, 0]
    assert test.interactions.item.tolist() == [2, 3]
    for part in (train, test):
        assert part.schema is dataset.schema
        assert part.catalog is dataset.catalog
        assert part.users is dataset.users
        assert (part.interactions.num_users, part.interactions.num_items) == (2, 5)


def test_impressions_are_split_along():
    shown = pd.DataFrame(
        {
            "user_id": ["a", "a"],
            "item_id": ["w", "z"],
            "timestamp": [1, 4],
            "position": [1, 1],
            "clicked": [1, 1],
        }
    )
    train, test = make_dataset(impressions=shown).split("temporal", test=0.25)
    assert train.impressions.item.tolist() == [0]
    assert test.impressions.item.tolist() == [3]


def test_an_unknown_split_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"temporal.*sparse_users, got 'random'"):
        make_dataset().split("random")


def test_the_summary_is_plain_numbers():
    assert make_dataset().summary() == {
        "users": 2,
        "items": 5,
        "interactions": 5,
        "density": 0.5,
        "first_time": 1,
        "last_time": 9,
        "with_text": 0.2,
        "with_image": 0.0,
        "categories": 2,
    }


def test_the_summary_of_a_log_without_times_and_items():
    summary = from_frames(pd.DataFrame({"user_id": ["a"], "item_id": ["x"]})).summary()
    assert summary["first_time"] is None
    assert summary["with_text"] == summary["categories"] == 0


def test_the_summary_of_an_empty_part():
    dataset = make_dataset()
    empty = dataset.subset(dataset.interactions.take(np.zeros(5, bool)))
    assert empty.summary()["interactions"] == 0
    assert empty.summary()["first_time"] is None


def test_parts_must_fit_the_schema():
    dataset = make_dataset()
    other = from_frames(pd.DataFrame({"user_id": ["a"], "item_id": ["w"]}))
    with pytest.raises(ValueError, match="2 users"):
        dataclasses.replace(dataset, interactions=other.interactions)


def test_equality_sees_interactions_and_impressions():
    shown = pd.DataFrame(
        {"user_id": ["a"], "item_id": ["w"], "timestamp": [1], "position": [1], "clicked": [1]}
    )
    dataset = make_dataset(impressions=shown)
    assert dataset.equals(make_dataset(impressions=shown))
    assert not dataset.equals(make_dataset())
    assert not dataset.equals(make_dataset(impressions=shown.assign(clicked=0)))
    assert not dataset.equals(dataset.split()[0])


def test_reading_data_does_not_import_tensorflow():
    code = (
        "import sys, pandas, tfrec_div.data as data\n"
        "data.from_frames(pandas.DataFrame({'user_id': ['u'], 'item_id': ['i']})).split()\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_movielens_has_the_numbers_that_its_authors_give(movielens):
    dataset = load_folder(movielens, check_images=False)
    summary = dataset.summary()
    assert (summary["users"], summary["items"], summary["interactions"]) == (943, 1682, 100_000)
    assert summary["density"] == pytest.approx(0.063, abs=1e-4)
    assert summary["with_image"] == pytest.approx(1663 / 1682)
    assert (dataset.dropped, dataset.warnings) == ({}, ())
    assert dataset.interactions.relevant().sum() == 55_375  # the ratings of 4 and 5 in u.data
    assert len(dataset.split("leave_one_out")[1].interactions) == 943
