"""MovieLens, through TensorFlow Datasets."""

from __future__ import annotations

from os import PathLike

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.frames import from_frames
from tfrec_div.data.tfds import read_tables

VERSIONS = ("100k", "1m", "20m", "25m", "latest-small")
RATINGS = {
    "user_id": "user_id",
    "movie_id": "item_id",
    "user_rating": "rating",
    "timestamp": "timestamp",
}
MOVIES = {"movie_id": "item_id", "movie_title": "title", "movie_genres": "categories"}
USERS = {"user_id": "user_id", "user_gender": "gender", "user_occupation_text": "occupation"}
AGE = {"100k": "raw_user_age", "1m": "bucketized_user_age"}
SCALE = {"100k": (1.0, 5.0), "1m": (1.0, 5.0)}
# What stands where a movie has no genre.
NO_GENRE = ("Unknown", "(no genres listed)")


def load_movielens(
    version: str = "100k", data_dir: str | PathLike | None = None, download: bool = True
) -> Dataset:
    """Loads a MovieLens data set (Harper and Konstan, 2015), with titles and genres of all movies.

    100k and 1m have users' `gender`, `age` (in years; in 1m the beginning of a bracket) and `occupation`. Genres
    that say there is none are missing values. GroupLens' terms of use apply to the data.

    Args:
        version: "100k", "1m", "20m", "25m" or "latest-small".
        data_dir: Where TensorFlow Datasets keeps its data sets; `~/tensorflow_datasets` by default.
        download: Whether to fetch what is not there.

    Returns:
        The data set.

    Raises:
        ValueError: If there is no such version.
    """
    if version not in VERSIONS:
        raise ValueError(f"version: expected one of {', '.join(VERSIONS)}, got {version!r}")
    columns = {"interactions": RATINGS}
    if version in AGE:
        columns["users"] = {**USERS, AGE[version]: "age"}
    tables = read_tables(f"movielens/{version}-ratings", columns, data_dir=data_dir, download=download)
    movies = read_tables(
        f"movielens/{version}-movies", {"items": MOVIES}, data_dir=data_dir, download=download
    )
    items = movies["items"]
    genres = items["categories"].str.split("|")
    items["categories"] = ["|".join(name for name in names if name not in NO_GENRE) for names in genres]
    features = None
    if "users" in tables:
        tables["users"]["gender"] = tables["users"]["gender"].map({"True": "male", "False": "female"})
        features = {"users": {"gender": "category", "occupation": "category", "age": "number"}}
    return from_frames(
        **tables,
        items=items,
        features=features,
        rating_scale=SCALE.get(version, (0.5, 5.0)),
        name=f"MovieLens {version}",
    )
