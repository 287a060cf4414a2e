"""A shop that never was, with planted interests: the built-in dataset."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from tfrec_div.data import _synthetic_words as words
from tfrec_div.data._synthetic_log import add_outcomes, draw_activity, draw_choices, draw_impressions
from tfrec_div.data._synthetic_pictures import draw_pictures
from tfrec_div.data._synthetic_text import write_descriptions, write_titles
from tfrec_div.data._synthetic_world import draw_world
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.frames import from_frames
from tfrec_div.data.truth import Truth


@dataclass(frozen=True, eq=False)
class SyntheticDataset(Dataset):
    """A `Dataset` that also knows the truth behind it.

    Args:
        truth: The planted interests, factors and biases; its rows are those of the users and items.
    """

    truth: Truth | None = None


def make_synthetic(
    num_users: int = 500,
    num_items: int = 400,
    interactions_per_user: float = 30,
    seed: int = 0,
    image_size: int = 64,
    images: bool = True,
    ratings: bool = False,
) -> SyntheticDataset:
    """Makes a shop with items, users, a log of two years, impressions and reviews.

    Items have titles, descriptions, one or two categories, a drawn picture, a price, a brand and a release
    date; some lack one of these. Users want things for one to four reasons (theme, look, price, brand,
    novelty), and what they want drifts. Popular items get more attention, a few users are very active, and
    what stands higher in a list is seen more often. All of it is in `truth`: a test can ask whether a model
    found what was planted.

    Args:
        num_users: Number of users, 1 or more.
        num_items: Number of items, 2 or more.
        interactions_per_user: Interactions of a user in the mean, 1 or more; nobody takes more than a third
            of the items by themselves.
        seed: The same seed and sizes give the same dataset.
        image_size: Width and height of the pictures in pixels, 8 or more.
        images: Whether to draw pictures, about one millisecond each.
        ratings: Whether every interaction has a rating from 1 to 5 besides its event.

    Returns:
        The dataset, with its truth.

    Raises:
        ValueError: If a number is too small.

    Example:
        >>> shop = make_synthetic(num_users=20, num_items=30, interactions_per_user=5, images=False)
        >>> len(shop.users), len(shop.catalog), shop.truth.interests.shape
        (20, 30, (20, 5))
    """
    least = {"num_users": 1, "num_items": 2, "interactions_per_user": 1, "image_size": 8}
    given = (num_users, num_items, interactions_per_user, image_size)
    for (name, low), value in zip(least.items(), given, strict=True):
        if not value >= low:
            raise ValueError(f"expected {name} of {low} or more, got {value}")
    # Every part has its own stream: the pictures can be left out without a change in the log.
    world, text, looks, people, log = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)
    )
    truth, attributes = draw_world(num_users, num_items, world)
    user_ids = _ids("u", num_users)
    item_ids = _ids("i", num_items)
    items = _items_frame(item_ids, truth, attributes, text)
    if images:
        drawn = np.flatnonzero(looks.random(num_items) >= 0.03)
        pictures = np.full(num_items, "", dtype=object)
        for row, picture in zip(drawn, draw_pictures(attributes, drawn, image_size, looks), strict=True):
            pictures[row] = picture
        items["image"] = pictures
    interactions, impressions = _log_frames(truth, interactions_per_user, ratings, log)
    for frame in (interactions, impressions):
        frame.insert(0, "user_id", user_ids[frame.pop("user")])
        frame.insert(1, "item_id", item_ids[frame.pop("item")])
    dataset = from_frames(
        interactions,
        items,
        _users_frame(user_ids, people),
        impressions,
        name="synthetic shop",
        check_images=False,  # they were drawn a moment ago
    )
    return SyntheticDataset(**{f.name: getattr(dataset, f.name) for f in fields(Dataset)}, truth=truth)


def _ids(letter: str, number: int) -> np.ndarray:
    width = len(str(number))
    ids = np.empty(number, dtype=object)
    ids[:] = [f"{letter}{row:0{width}d}" for row in range(1, number + 1)]
    return ids


def _items_frame(ids: np.ndarray, truth: Truth, attributes: dict, rng: np.random.Generator) -> pd.DataFrame:
    names = np.array(words.CATEGORIES, dtype=object)
    second = attributes["second"]
    description = write_descriptions(attributes, rng)
    description[rng.random(len(ids)) < 0.03] = ""
    price = np.where(rng.random(len(ids)) < 0.02, np.nan, attributes["price"])
    return pd.DataFrame(
        {
            "item_id": ids,
            "title": write_titles(attributes, rng),
            "description": description,
            "categories": names[attributes["category"]] + np.where(second >= 0, "|" + names[second], ""),
            "price": price,
            "brand": np.array(words.BRANDS, dtype=object)[attributes["brand"]],
            "release_date": pd.to_datetime(truth.released, unit="s").strftime("%Y-%m-%d"),
        }
    )


def _users_frame(ids: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    age = np.clip(np.round(rng.gamma(9.0, 4.3, len(ids))), 16, 90)
    return pd.DataFrame(
        {
            "user_id": ids,
            "age": np.where(rng.random(len(ids)) < 0.05, np.nan, age),
            "country": rng.choice(np.array(words.COUNTRIES, dtype=object), len(ids)),
        }
    )


def _log_frames(
    truth: Truth, mean: float, ratings: bool, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Interactions and impressions, with rows of users and items instead of ids."""
    num_users, num_items = len(truth.joined), len(truth.released)
    activity = draw_activity(num_users, num_items, mean, rng)
    impressions = draw_impressions(truth, activity, rng)
    clicks = impressions.loc[impressions["clicked"] == 1, ["user", "item", "timestamp"]]
    # What a user takes from lists is not taken again, so that each has the activity drawn for them.
    clicks = clicks.drop_duplicates(["user", "item"])
    by_lists = np.bincount(clicks["user"], minlength=num_users)
    chosen = draw_choices(truth, np.maximum(activity - by_lists, 0), clicks, rng)
    rows = pd.concat([clicks, chosen]).sort_values(["user", "timestamp"], kind="stable", ignore_index=True)
    return add_outcomes(rows, truth, rng, ratings), impressions
