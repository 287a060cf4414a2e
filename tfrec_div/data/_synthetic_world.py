"""Draws the hidden part of the synthetic shop: items with their factors, users with their tastes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div.data import _synthetic_words as words
from tfrec_div.data.truth import DAY, DIMENSIONS, Truth

START = 1_672_531_200  # 2023-01-01T00:00:00Z
LOG_DAYS = 730
LIST_LENGTH = 10

_USUAL_PATTERN = np.array([0, 1, 3, 1, 2, 4, 0, 4])  # of each style
# What a taste is made of, by dimension: (number of values, share of the match, at most so many are liked).
_TASTE_PARTS = {
    "theme": ((len(words.CATEGORIES), 0.5, 3), (len(words.STYLES), 0.3, 2), (len(words.USES), 0.2, 2)),
    "look": ((len(words.COLOURS), 0.7, 2), (len(words.PATTERNS), 0.3, 2)),
    "price": ((len(words.PRICE_LEVELS), 1.0, 1),),
    "brand": ((len(words.BRANDS), 1.0, 3),),
    "recency": ((2, 1.0, 1),),
}
_DIMENSION_ODDS = np.array([0.5, 0.2, 0.12, 0.1, 0.08])
_CIRCLES = 12  # groups of users with common tastes, which is what collaborative filtering finds
_CONFORMITY = 0.75  # probability that a taste is the circle's and not the user's own
_DRIFT = 0.5  # probability that a taste moves to that of another circle


def draw_world(
    num_users: int, num_items: int, rng: np.random.Generator
) -> tuple[Truth, dict[str, np.ndarray]]:
    """Draws the truth, and the attributes of items that texts and pictures are made from.

    Args:
        num_users: Users, 1 or more.
        num_items: Items, 1 or more.
        rng: Source of chance.

    Returns:
        The truth, and arrays `[I]` by name: category, second (a category or -1), style, use, colour, pattern,
        brand (all indices into the word lists), price (money), quality.
    """
    attributes = _draw_attributes(num_items, rng)
    rank = rng.permutation(num_items) + 1.0
    popularity = rank**-0.8 * np.exp(0.3 * attributes["quality"])
    age = rng.uniform(0, 730, num_items)
    days = np.where(rng.random(num_items) < 0.6, -age, 0.9 * LOG_DAYS * age / 730)
    days[rank.argmin()] = -1.0  # so that something can be bought from the first day on
    interests = _draw_interests(num_users, rng)
    start, end = _draw_tastes(num_users, rng)
    truth = Truth(
        dimensions=DIMENSIONS,
        interests=interests,
        factors=_factors(attributes),
        factor_names={
            "theme": words.CATEGORIES + words.STYLES + words.USES,
            "look": tuple(words.COLOURS) + words.PATTERNS,
            "price": words.PRICE_LEVELS,
            "brand": words.BRANDS,
            "recency": ("new", "established"),
        },
        taste_start=start,
        taste_end=end,
        joined=START + (rng.beta(1.0, 2.5, num_users) * 0.8 * LOG_DAYS * DAY).astype(np.int64),
        released=START + np.floor(days).astype(np.int64) * DAY,
        end=START + LOG_DAYS * DAY,
        category=attributes["category"],
        colour=attributes["colour"],
        pattern=attributes["pattern"],
        quality=attributes["quality"],
        popularity=(popularity / popularity.sum()).astype(np.float32),
        examination=(np.arange(1, LIST_LENGTH + 1) ** -0.8).astype(np.float32),
    )
    return truth, attributes


def _draw_attributes(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    category = rng.integers(0, len(words.CATEGORIES), n)
    companion = np.array([words.CATEGORIES.index(name) for name in words.COMPANION])[category]
    second = np.where(rng.random(n) < 0.15, companion, -1)
    style = rng.integers(0, len(words.STYLES), n)
    usual = rng.random(n) < 0.6
    pattern = np.where(usual, _USUAL_PATTERN[style], rng.integers(0, len(words.PATTERNS), n))
    # A brand has a home style and a price segment, so that brand, theme and price are related but not the
    # same.
    brands = np.arange(len(words.BRANDS))
    odds = np.where(brands % len(words.STYLES) == style[:, None], 4.0, 1.0)
    brand = (rng.random((n, 1)) * odds.sum(1, keepdims=True) >= odds.cumsum(1)).sum(1)
    segment = np.linspace(-0.7, 0.7, len(brands))[brands * 5 % len(brands)]
    dearness = segment[brand] + rng.normal(0, 0.5, n)
    typical = np.array(words.TYPICAL_PRICE)[category] * np.where(second >= 0, 1.5, 1.0)
    return {
        "category": category,
        "second": second,
        "style": style,
        "use": rng.integers(0, len(words.USES), n),
        "colour": rng.integers(0, len(words.COLOURS), n),
        "pattern": pattern,
        "brand": brand,
        "level": np.searchsorted([-0.85, -0.3, 0.3, 0.85], dearness),
        "price": np.round(typical * np.exp(dearness), 2),
        "quality": rng.normal(size=n).astype(np.float32),
    }


def _factors(attributes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    categories = _one_hot(attributes["category"], len(words.CATEGORIES))
    both = attributes["second"] >= 0
    categories[both] = 0.5 * (categories + _one_hot(attributes["second"], len(words.CATEGORIES)))[both]
    style = _one_hot(attributes["style"], len(words.STYLES))
    use = _one_hot(attributes["use"], len(words.USES))
    colour = _one_hot(attributes["colour"], len(words.COLOURS))
    pattern = _one_hot(attributes["pattern"], len(words.PATTERNS))
    distance = np.abs(attributes["level"][:, None] - np.arange(len(words.PRICE_LEVELS)))
    return {
        "theme": np.hstack([categories, style, use]),
        "look": np.hstack([colour, pattern]),
        "price": np.maximum(1.0 - 0.6 * distance, 0.0).astype(np.float32),
        "brand": _one_hot(attributes["brand"], len(words.BRANDS)),
    }


def _draw_interests(n: int, rng: np.random.Generator) -> np.ndarray:
    """One to four dimensions that count for each user, with their weights."""
    number = rng.choice([1, 2, 3, 4], n, p=[0.2, 0.35, 0.3, 0.15])
    keys = np.log(_DIMENSION_ODDS) + rng.gumbel(size=(n, len(DIMENSIONS)))
    place = np.argsort(np.argsort(-keys, axis=1), axis=1)
    weights = np.where(place < number[:, None], rng.gamma(3.0, size=keys.shape) + 0.2, 0.0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _draw_tastes(n: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tastes of users when they join and when the log ends, by dimension."""
    start, end = {}, {}
    circle, next_circle = rng.integers(0, _CIRCLES, (2, n))
    for dimension, parts in _TASTE_PARTS.items():
        common = _draw_taste(_CIRCLES, parts, rng)
        own = _draw_taste(n, parts, rng)
        start[dimension] = np.where(rng.random((n, 1)) < _CONFORMITY, common[circle], own)
        end[dimension] = np.where(rng.random((n, 1)) < _DRIFT, common[next_circle], start[dimension])
    return start, end


def _draw_taste(n: int, parts: Sequence[tuple[int, float, int]], rng: np.random.Generator) -> np.ndarray:
    """Likes in each part, each worth the part's share of a match."""
    columns = []
    for size, share, most in parts:
        liked = rng.integers(1, most + 1, n)
        place = np.argsort(np.argsort(rng.random((n, size)), axis=1), axis=1)
        columns.append(np.where(place < liked[:, None], share, 0.0))
    return np.hstack(columns).astype(np.float32)


def _one_hot(index: np.ndarray, size: int) -> np.ndarray:
    return (index[:, None] == np.arange(size)).astype(np.float32)
