"""The user side: which features a user has, how users are encoded, and the tower that reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.features import Category, Number, Timestamp
from tfrec_div.data.schema import Schema
from tfrec_div.towers.encoders import CodeEncoder
from tfrec_div.towers.fusion import ConcatFusion
from tfrec_div.towers.history import history_layer
from tfrec_div.towers.item_tower import (
    column_encoders,
    column_spec,
    content_encoder,
    content_spec,
    encode_columns,
    encode_contents,
    is_trained,
    known_codes,
)
from tfrec_div.towers.model_encoder import ModelEncoder
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.texts import user_texts
from tfrec_div.towers.tower import Tower

USER_TEXTS = ("features", "history_titles", "reviews")
# Of a history's titles: how many items, and how many pieces of each.
TITLES, TITLE_PIECES = 8, 12


def check_user_text(schema: Schema, user_text: str | None, text=None) -> None:
    """Refuses a text of the users that cannot be made."""
    if user_text is None:
        return
    if user_text not in USER_TEXTS:
        raise ValueError(f"user_text: expected None or one of {list(USER_TEXTS)}, got {user_text!r}")
    if text is None:
        raise ValueError(f"user_text: {user_text!r} needs a text tower; give `text`")
    if user_text == "reviews":
        if "review" not in schema.interaction_columns:
            raise ValueError(
                "user_text: 'reviews' needs a column review of the interactions, and there is none"
            )
        if is_trained(text):
            raise ValueError(
                "user_text: 'reviews' needs a frozen text tower, whose vectors of the reviews can be kept; "
                "got one that is trained"
            )
        return
    side = "user" if user_text == "features" else "item"
    if not schema.features_of(side, "text"):
        raise ValueError(
            f"user_text: {user_text!r} needs a text feature of the {side}s, and the schema has none"
        )
    if user_text == "history_titles" and not isinstance(text, TextEncoder):
        raise ValueError(f"user_text: 'history_titles' needs a TextEncoder, got {type(text).__name__}")


def user_spec(
    schema: Schema, text=None, user_text: str | None = None
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of each encoded user feature, by name.

    Args:
        schema: Describes the users.
        text: Text encoder or None.
        user_text: "features" adds "text".
    """
    spec = {"user_id": ((), "int32"), **column_spec(schema.user_features)}
    return spec | {"text": content_spec(text)} if user_text == "features" else spec


def encode_users(
    data: Dataset, text=None, user_text: str | None = None, cache_dir=None, progress: bool = True
) -> dict[str, np.ndarray]:
    """Encodes the users of a data set for `FeatureTable`; one without an interaction has no id for the tower.

    Args:
        data: Whose users.
        text: Text encoder or None.
        user_text: "features" has it read the text features of the users.
        cache_dir: Where a frozen tower's vectors are kept.
        progress: Whether to show progress bars.
    """
    interactions = np.bincount(data.interactions.user, minlength=data.schema.num_users)
    features = {"user_id": known_codes(interactions > 0), **encode_columns(data.users)}
    if user_text == "features":
        features["text"] = encode_contents(text, user_texts(data), cache_dir, progress)
    return features


def build_query_tower(
    schema: Schema,
    dim: int,
    features: Sequence[str],
    hidden_units: Sequence[int] = (),
    normalize: bool = False,
    half_lives: Sequence[float] = (4.0, 16.0),
    dropout: float = 0.0,
    id_dropout: float = 0.0,
    text=None,
    user_text: str | None = None,
    history_encoder: str | keras.layers.Layer = "pools",
) -> Tower:
    """Makes the query tower, which reads user features, "history" (`vectors` and `weights`) and perhaps "text".

    Args:
        schema: Describes the users.
        dim: Length of the vectors.
        features: Which of "id", "users" (columns) and "history" to use.
        hidden_units: Layers after the fusion.
        normalize: Whether vectors have length 1.
        half_lives: Of the history's pools.
        dropout: Share of the fused vector's entries that training drops.
        id_dropout: Share of the users that training takes for unknown ones.
        text: Text encoder or None.
        user_text: What "text" is: the users' text "features", the "history_titles" as rows of the text encoder, or
            the pooled vectors of the "reviews" that they wrote.
        history_encoder: Name of an encoder of the history, or a layer.
    """
    encoders: dict[str, keras.layers.Layer] = {}
    if "id" in features:
        # Zero at the start: a user whom training has not met adds nothing.
        encoders["user_id"] = CodeEncoder(
            schema.num_users, dim, dropout=id_dropout, initial_scale=0.0, name="user_id"
        )
    if "users" in features:
        encoders |= column_encoders(schema, "user", dim, (Category, Number, Timestamp))
    if "history" in features:
        encoders["history"] = history_layer(history_encoder, dim, half_lives)
    if user_text in ("features", "reviews"):
        encoders["text"] = content_encoder(text, dim, "user_text")
    elif user_text == "history_titles":
        # A history changes from one example to the next, so that not even a frozen tower's vector can be kept.
        encoders["text"] = ModelEncoder(text, dim, name="user_text")
    if not encoders:
        raise ValueError(
            f"features: {list(features)} leaves the query tower without any feature of the schema"
        )
    fusion = ConcatFusion(dim)
    return Tower(encoders, fusion, hidden_units, dropout=dropout, normalize=normalize, name="query_tower")
