"""What `dataset.yaml` may say."""

from __future__ import annotations

import pytest
import yaml

from tfrec_div.data.errors import DataError
from tfrec_div.data.features import Category, Image, Number, Text
from tfrec_div.data.settings import Settings, parse_settings, read_settings, settings_values


def parse(text):
    return parse_settings(yaml.safe_load(text))


def messages(text):
    return [str(problem) for problem in parse(text)[1]]


def test_renames_types_scale_and_events():
    settings, problems = parse("""
        name: My shop
        columns: {interactions: {movie: item_id, 7: rating}}
        features:
          items:
            mood: category
            runtime: number
            tags: {type: category, multivalued: true, separator: ";"}
            cover: image
            brand: text
            price: ignore
          users: {zip_code: category}
        rating_scale: [1, 5]
        event_names: [view, 1]
    """)
    assert problems == []
    assert settings.name == "My shop"
    assert settings.columns == {"interactions": {"movie": "item_id", "7": "rating"}}
    assert settings.features == {
        "items": {
            "mood": Category("mood"),
            "runtime": Number("runtime"),
            "tags": Category("tags", multivalued=True, separator=";"),
            "cover": Image("cover"),
            "brand": Text("brand"),
            "price": None,
        },
        "users": {"zip_code": Category("zip_code")},
    }
    assert settings.rating_scale == (1.0, 5.0)
    assert settings.event_names == ("view", "1")


def test_a_separator_makes_a_category_multivalued():
    settings, _ = parse(
        'features: {items: {tags: {type: category, separator: ","}, categories: {separator: ","}}}'
    )
    assert settings.features["items"]["tags"] == Category("tags", multivalued=True, separator=",")
    assert settings.features["items"]["categories"] == Category("categories", multivalued=True, separator=",")


def test_a_known_multivalued_column_stays_so():
    settings, _ = parse("features: {items: {categories: category, brand: category}}")
    assert settings.features["items"]["categories"] == Category("categories", multivalued=True)
    assert settings.features["items"]["brand"] == Category("brand")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("colums: {}", ["dataset.yaml", "name, columns, features", '"colums"']),
        ("columns: {movies: {a: b}}", ["interactions, items, users, impressions", "in columns", '"movies"']),
        ("columns: [a]", ["a mapping", "in columns"]),
        ("features: {interactions: {a: text}}", ["items, users", "in features", '"interactions"']),
        ("features: {items: {mood: emotion}}", ["category, number", "features.items.mood", '"emotion"']),
        ("features: {items: {mood: {multivalued: true}}}", ["a type out of", "nothing"]),
        ("features: {items: {mood: {type: category, sep: x}}}", ["separator", '"sep"']),
        ("features: {items: {mood: {type: category, multivalued: 3}}}", ["true or false", '"3"']),
        ("features: {items: {mood: {type: category, separator: ''}}}", ["some text", "nothing"]),
        ("features: {items: {mood: {type: text, separator: x}}}", ["keys out of type in", '"separator"']),
        ("features: {items: {item_id: text}}", ["no feature type for the id", '"item_id"']),
        ("rating_scale: [5, 1]", ["lowest and the highest", "[5, 1]"]),
        ("rating_scale: [1, many]", ["lowest and the highest"]),
        ("rating_scale: 5", ["lowest and the highest", '"5"']),
        ("event_names: view", ["a list of names", '"view"']),
        ("just text", ["a mapping", '"just text"']),
    ],
)
def test_what_it_may_not_say(text, parts):
    (message,) = messages(text)
    for part in parts:
        assert part in message


def test_all_problems_are_listed():
    assert len(messages("{colums: {}, features: {items: {a: b, c: d}}}")) == 3


def test_no_file_and_an_empty_file_are_no_settings(make_folder):
    assert read_settings(make_folder("none")) == Settings()
    assert read_settings(make_folder("empty", yaml="# nothing\n")) == Settings()


def test_bad_yaml_is_named_with_its_line(make_folder):
    with pytest.raises(DataError, match=r"dataset\.yaml, row 2: expected valid YAML"):
        read_settings(make_folder(yaml="name: x\n  more: y\n"))


def test_bytes_that_are_no_text(make_folder):
    with pytest.raises(DataError, match=r"dataset\.yaml: expected a readable UTF-8 file"):
        read_settings(make_folder(files={"dataset.yaml": b"name: \xff\xfe"}))


def test_settings_survive_yaml():
    settings = Settings(
        name="no",
        columns={"items": {"1": "item_id"}},
        features={
            "items": {
                "tags": Category("tags", True, ";"),
                "mood": Category("mood"),
                "x": None,
                "t": Text("t"),
            }
        },
        rating_scale=(0.5, 5.0),
        event_names=("yes", "1"),
    )
    again, problems = parse(yaml.safe_dump(settings_values(settings)))
    assert problems == []
    assert again == settings
