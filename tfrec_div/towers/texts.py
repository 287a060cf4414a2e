"""What there is to read about items and users: which texts, joined in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema

REVIEWS = "reviews"
# A tower reads a few hundred tokens: more reviews than these would be cut anyhow.
MAX_REVIEWS = 10
TEXT = "text"
TextFields = Sequence[str] | Mapping[str, Sequence[str]]


def text_fields(schema: Schema, side: str = "item", fields: Sequence[str] | None = None) -> list[str]:
    """Returns the text columns of one side in the order in which they are joined.

    Args:
        schema: Describes users and items.
        side: "item" or "user".
        fields: Names in the order wanted; None is all text features, the title first. "reviews" of an item, where
            no column has this name, are those of the training interactions, the latest first.

    Raises:
        ValueError: If a name is no text feature of that side.
    """
    names = [feature.name for feature in schema.features_of(side, "text")]
    if fields is None:
        return sorted(names, key=lambda name: name != "title")
    also = [REVIEWS] if side == "item" and "review" in schema.interaction_columns else []
    unknown = [name for name in fields if name not in [*names, *also]]
    if unknown or not fields:
        raise ValueError(f"text_fields: expected some of {[*names, *also]}, got {list(fields)}")
    return list(fields)


def text_parts(schema: Schema, fields: TextFields | None = None) -> dict[str, list[str]]:
    """Returns the texts that an item tower tells apart, by the name of the feature, and the columns of each.

    Args:
        schema: Describes the items.
        fields: Columns as for `text_fields`, which make one text, "text"; or by name the columns of each of several
            texts, which are then called "text/title" and so on.

    Raises:
        ValueError: If there is no text, a name is no text feature, or several texts have one name.
    """
    if not isinstance(fields, Mapping):
        return {TEXT: text_fields(schema, "item", fields)}
    if not fields:
        raise ValueError("text_fields: expected at least one text, got {}")
    return {
        f"{TEXT}/{name}": text_fields(schema, "item", [part] if isinstance(part, str) else part)
        for name, part in fields.items()
    }


def mean_of_parts(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the mean of an item's texts [items, dim] over those that it has; zero where it has none."""
    there = sum(part.any(axis=1, keepdims=True).astype(np.float32) for part in parts)
    return np.sum(parts, axis=0) / np.maximum(there, 1)


def item_texts(data: Dataset, fields: Sequence[str] | None = None) -> list[str]:
    """Returns the text of each item: its fields joined by ". ", empty ones left out."""
    columns = data.catalog.columns
    parts = [
        columns[name].tolist() if name in columns else reviews_of_items(data)
        for name in text_fields(data.schema, "item", fields)
    ]
    return _joined(parts, len(data.catalog))


def user_texts(data: Dataset) -> list[str]:
    """Returns the text of each user: the text features joined by ". ", empty ones left out."""
    columns = data.users.columns
    return _joined([columns[name].tolist() for name in text_fields(data.schema, "user")], len(data.users))


def reviews_of_items(data: Dataset) -> list[str]:
    """Returns each item's reviews among the interactions, the latest ones first."""
    events = data.interactions
    reviews: list[list[str]] = [[] for _ in range(len(data.catalog))]
    if events.review is None:
        return [""] * len(reviews)
    order = (
        np.arange(len(events)) if events.timestamp is None else np.argsort(events.timestamp, kind="stable")
    )
    for row in order[::-1]:
        text = str(events.review[row] or "").strip()
        if text and len(reviews[events.item[row]]) < MAX_REVIEWS:
            reviews[events.item[row]].append(text)
    return _joined([[". ".join(texts) for texts in reviews]], len(reviews))


def _joined(parts: Sequence[Sequence], count: int) -> list[str]:
    if not parts:
        return [""] * count
    stripped = [[str(value).strip() for value in part] for part in parts]
    return [". ".join(filter(None, texts)) for texts in zip(*stripped, strict=True)]
