"""The dimensions that users may have interests in: which there are, and the features that each is read from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.features import Category, Number, Timestamp
from tfrec_div.data.schema import Schema
from tfrec_div.towers.dimensions.opinions import ratings_of_items, reviews_of_items
from tfrec_div.towers.item_tower import column_spec, encode_columns, encode_items
from tfrec_div.towers.views import CodeView, NumberView, VectorView, View

COLLABORATIVE = "collaborative"
CONTENT, LOOK, SENTIMENT, RECENCY = "content", "look", "sentiment", "recency"
OWN_NAMES = (CONTENT, LOOK, SENTIMENT, RECENCY, COLLABORATIVE)
# Features that are no columns of the items; nor is a column named like one.
TEXT, IMAGE = "items/text", "items/image"
REVIEWS, RATINGS, FIRST_SEEN = "reviews/said", "ratings/liked", "items/first_seen"
# Of an item that too few have taken, the first time says who these are.
ENOUGH = 5


def dimension_views(schema: Schema, dim: int, text=None, image=None) -> dict[str, dict[str, View]]:
    """Returns the views of each dimension that a schema has, by name, and by the feature that a view reads.

    "content" is what the text tower reads, "look" what the image tower sees, "sentiment" what is said in reviews and
    how items are rated, "recency" when items appeared: their dates, or else when they were first taken. Every other
    number or category of the items is a dimension under its own name, such as "price", "brand" and "categories".

    Args:
        schema: Describes the items.
        dim: Length that a view has at most.
        text: Frozen text encoder or None.
        image: Frozen image encoder or None.

    Raises:
        ValueError: If a number or category of the items is named like one of the dimensions above.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> list(dimension_views(make_synthetic(20, 15, images=False).schema, dim=8))
        ['recency', 'categories', 'price', 'brand']
    """
    for kind in ("number", "category"):
        for feature in schema.features_of("item", kind):
            if feature.name in OWN_NAMES:
                raise ValueError(
                    f"schema: expected no {kind} of the items to be named like a dimension "
                    f"({', '.join(OWN_NAMES)}), got {feature.name!r}; rename the column"
                )
    views: dict[str, dict[str, View]] = {CONTENT: {}, LOOK: {}, SENTIMENT: {}, RECENCY: {}}
    columns = schema.interaction_columns
    if text is not None:
        if schema.features_of("item", "text"):
            views[CONTENT][TEXT] = VectorView(text.dim, dim)
        if "review" in columns:
            views[SENTIMENT][REVIEWS] = VectorView(text.dim, dim)
    if image is not None:
        views[LOOK][IMAGE] = VectorView(image.dim, dim)
    if "rating" in columns:
        views[SENTIMENT][RATINGS] = NumberView()
    for feature in schema.item_features:
        if isinstance(feature, Timestamp):
            views[RECENCY][feature.name] = NumberView()
        elif isinstance(feature, Number):
            views[feature.name] = {feature.name: NumberView()}
        elif isinstance(feature, Category):
            codes = len(schema.vocabularies[f"item/{feature.name}"])
            views[feature.name] = {feature.name: CodeView(codes, dim)}
    if not views[RECENCY] and "timestamp" in columns:
        views[RECENCY][FIRST_SEEN] = NumberView()
    return {name: parts for name, parts in views.items() if parts}


def dimension_spec(schema: Schema, text=None, image=None) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of each feature that views may read, by name; arguments as for `dimension_views`."""
    spec = {"item_id": ((), "int32"), **column_spec(schema.item_features)}
    spec |= dict.fromkeys((RATINGS, FIRST_SEEN), ((2,), "float32"))
    if text is not None:
        spec |= dict.fromkeys((TEXT, REVIEWS), ((text.dim,), "float32"))
    if image is not None:
        spec[IMAGE] = ((image.dim,), "float32")
    return spec


def dimension_features(
    data: Dataset, text=None, image=None, cache_dir: str | Path | None = None, progress: bool = True
) -> dict[str, np.ndarray]:
    """Makes the features of all items that views may read, in the shapes of `dimension_spec`.

    Args:
        data: Training data.
        text: Frozen text encoder or None.
        image: Frozen image encoder or None.
        cache_dir: Where the vectors of the encoders are kept.
        progress: Whether to show progress bars.
    """
    met = data.interactions.item_counts() > 0
    texts = {TEXT: data.catalog.texts()}
    features = encode_items(data.catalog, met, text, image, cache_dir, progress, texts)
    if image is not None:
        features[IMAGE] = features.pop("image")
    # A column may be named "image", too.
    features |= encode_columns(data.catalog)
    features[RATINGS] = ratings_of_items(data.interactions)
    features[FIRST_SEEN] = first_seen(data)
    if text is not None:
        features[REVIEWS] = reviews_of_items(data, text, cache_dir, progress)
    return features


def first_seen(data: Dataset) -> np.ndarray:
    """Returns when items were first taken, standardised, and whether that is known, float32 [items, 2].

    Where fewer than five have taken an item, it is not: the time would tell of these users and not of the item.

    Example:
        >>> import pandas as pd
        >>> from tfrec_div.data.frames import from_frames
        >>> log = [(f"u{n}", item, day + n) for item, day in (("a", 0), ("b", 4)) for n in range(5)]
        >>> data = from_frames(pd.DataFrame([*log, ("u1", "c", 9)], columns=["user_id", "item_id", "timestamp"]))
        >>> first_seen(data).tolist()
        [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    events, found = data.interactions, np.zeros((len(data.catalog), 2), np.float32)
    known = events.item_counts() >= ENOUGH
    if events.timestamp is None or not known.any():
        return found
    first = np.full(len(data.catalog), np.iinfo(np.int64).max)
    np.minimum.at(first, events.item, events.timestamp)
    times = first[known].astype(np.float64)
    found[known, 0] = (times - times.mean()) / (times.std() or 1.0)
    found[known, 1] = 1.0
    return found
