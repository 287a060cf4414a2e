"""MovieLens and other sets of TensorFlow Datasets; nothing is fetched, the examples are made here."""

from __future__ import annotations

import numpy as np
import pytest

import tfrec_div._keras  # noqa: F401  # before TensorFlow Datasets imports TensorFlow

# isort: split
import tensorflow_datasets as tfds

from tfrec_div.data.movielens import load_movielens
from tfrec_div.data.tfds import from_tfds

MOVIES = {"7": ("Café (1995)", [4, 7]), "9": ("Solo (1999)", [17]), "11": ("Noir (1950)", [])}
# user, movie, rating, second
RATINGS = [
    ("21", "7", 5.0, 881250949),
    ("3", "9", 1.0, 881250950),
    ("21", "9", 4.0, 881250951),
    ("21", "11", 3.0, 881250952),
]
PEOPLE = {
    "21": {"user_gender": True, "raw_user_age": 24.0, "user_occupation_text": "technician"},
    "3": {"user_gender": False, "raw_user_age": 53.0, "user_occupation_text": "other"},
}


def examples(builder):
    """The examples of a MovieLens set, with all its features."""

    def movie(id_):
        title, genres = MOVIES[id_]
        return {"movie_id": id_, "movie_title": title, "movie_genres": np.array(genres, np.int64)}

    if builder.builder_config.name.endswith("-movies"):
        return [movie(id_) for id_ in MOVIES]
    found = []
    for user, item, rating, second in RATINGS:
        person = {
            **PEOPLE[user],
            "bucketized_user_age": 18.0,
            "user_occupation_label": 3,
            "user_zip_code": "0",
        }
        example = {"user_id": user, "user_rating": rating, "timestamp": second, **movie(item), **person}
        found.append({name: example[name] for name in builder.info.features})
    return found


@pytest.fixture
def movielens():
    from tfrec_div._keras import tf

    def as_dataset(self, *args, decoders=None, **kwargs):
        features = decoders.extract_features(self.info.features) if decoders else self.info.features
        rows = [{name: row[name] for name in features} for row in examples(self)]
        return tf.data.Dataset.from_generator(
            lambda: iter(rows),
            output_signature={
                name: tf.TensorSpec(spec.shape, spec.dtype)
                for name, spec in features.get_tensor_info().items()
            },
        )

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        yield


def test_movielens_100k_has_ratings_titles_genres_and_people(movielens, tmp_path):
    data = load_movielens("100k", data_dir=tmp_path)
    assert data.name == "MovieLens 100k"
    # A movie that nobody rated would be there as well: the items are those of the list of movies, in its order.
    assert data.schema.item_ids == ("7", "9", "11")
    assert data.catalog.titles() == ["Café (1995)", "Solo (1999)", "Noir (1950)"]
    # Labels 4 and 7 are Comedy and Drama; 17 is 'Unknown', which is no genre.
    assert data.catalog.columns["categories"].tolist() == ["Comedy|Drama", "", ""]
    log = data.interactions
    ids = [
        (data.schema.user_ids[u], data.schema.item_ids[i]) for u, i in zip(log.user, log.item, strict=True)
    ]
    rated = {pair: (float(r), int(t)) for pair, r, t in zip(ids, log.rating, log.timestamp, strict=True)}
    assert rated == {(user, item): (rating, second) for user, item, rating, second in RATINGS}
    # 4 and more of 1 to 5, whatever ratings occur.
    assert log.rating_scale == (1.0, 5.0)
    assert {pair for pair, good in zip(ids, log.relevant(), strict=True) if good} == {
        ("21", "7"),
        ("21", "9"),
    }
    assert data.users.ids.tolist() == ["21", "3"]
    assert data.users.columns["gender"].tolist() == ["male", "female"]
    assert data.users.columns["age"].tolist() == [24.0, 53.0]
    assert data.users.columns["occupation"].tolist() == ["technician", "other"]


def test_movielens_1m_has_brackets_of_age_and_25m_no_people(movielens, tmp_path):
    assert load_movielens("1m", data_dir=tmp_path).users.columns["age"].tolist() == [18.0, 18.0]
    large = load_movielens("25m", data_dir=tmp_path)
    assert large.users.columns == {}
    assert len(large.interactions) == 4
    # Half stars.
    assert large.interactions.rating_scale == (0.5, 5.0)


def test_it_can_be_trained_on(movielens, tmp_path):
    from tfrec_div.models.two_tower import TwoTower

    data = load_movielens("100k", data_dir=tmp_path)
    model = TwoTower(data.schema, embedding_dim=4)
    model.compile()
    history = model.fit(data.batches(2), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match=r"version: expected one of 100k, 1m, .*, got '2m'"):
        load_movielens("2m")


JOINED = {
    "interactions": {"user_id": "user_id", "movie_id": "item_id", "user_rating": "rating"},
    "items": {"movie_title": "title", "movie_genres": "categories"},
}


def test_another_set_by_its_columns(movielens, tmp_path):
    data = from_tfds("movielens/latest-small-ratings", JOINED, data_dir=tmp_path, rating_scale=(0.5, 5))
    assert data.name == "movielens/latest-small-ratings"
    # Without a list of its own the items are those of the examples, in their order, each once.
    assert data.schema.item_ids == ("7", "9", "11")
    assert data.catalog.columns["categories"].tolist() == ["Comedy|Drama", "Unknown", ""]
    assert data.interactions.timestamp is None
    columns = {**JOINED, "items": {**JOINED["items"], "movie_id": "item_id"}}
    listed = from_tfds(
        "movielens/100k-ratings", columns, data_dir=tmp_path, items="movielens/100k-movies", name="movies"
    )
    assert listed.name == "movies"
    assert listed.catalog.titles() == ["Café (1995)", "Solo (1999)", "Noir (1950)"]


def test_features_inside_others_are_read(tmp_path):
    columns = {
        "interactions": {
            "data/customer_id": "user_id",
            "data/product_id": "item_id",
            "data/star_rating": "rating",
            "data/review_body": "review",
        },
        "items": {"data/product_title": "title"},
    }
    with tfds.testing.mock_data(num_examples=8):
        data = from_tfds("amazon_us_reviews/Books_v1_00", columns, data_dir=tmp_path)
    assert len(data.interactions) == 8
    assert data.interactions.review is not None
    assert set(data.catalog.columns) == {"title"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"interactions": {"user": "user_id"}}, "expected features of .*movie_id.*, got 'user'"),
        ({"films": {"user_id": "user_id"}}, "expected keys out of interactions, items, users, got 'films'"),
        ({}, "expected the features to read, got none"),
        ({"items": {"movie_title": "title"}}, "expected a feature for item_id in 'items'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message, movielens, tmp_path):
    with pytest.raises(ValueError, match=message):
        from_tfds("movielens/100k-ratings", columns, data_dir=tmp_path)
