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
from tfrec_div.towers.history import HistoryEncoder
from tfrec_div.towers.item_tower import column_encoders, column_spec, encode_columns, known_codes
from tfrec_div.towers.tower import Tower


def user_spec(schema: Schema) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of each encoded user feature, by name."""
    return {"user_id": ((), "int32"), **column_spec(schema.user_features)}


def encode_users(data: Dataset) -> dict[str, np.ndarray]:
    """Encodes the users of a data set for `FeatureTable`; one without an interaction has no id for the tower."""
    interactions = np.bincount(data.interactions.user, minlength=data.schema.num_users)
    return {"user_id": known_codes(interactions > 0), **encode_columns(data.users)}


def build_query_tower(
    schema: Schema,
    dim: int,
    features: Sequence[str],
    hidden_units: Sequence[int] = (),
    normalize: bool = False,
    half_lives: Sequence[float] = (4.0, 16.0),
    dropout: float = 0.0,
    id_dropout: float = 0.0,
) -> Tower:
    """Makes the query tower, which reads user features and "history" (`vectors` and `weights`).

    Args:
        schema: Describes the users.
        dim: Length of the vectors.
        features: Which of "id", "users" (columns) and "history" to use.
        hidden_units: Layers after the fusion.
        normalize: Whether vectors have length 1.
        half_lives: Of the history's pools.
        dropout: Share of the fused vector's entries that training drops.
        id_dropout: Share of the users that training takes for unknown ones.
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
        encoders["history"] = HistoryEncoder(dim, half_lives, name="history")
    if not encoders:
        raise ValueError(
            f"features: {list(features)} leaves the query tower without any feature of the schema"
        )
    fusion = ConcatFusion(dim)
    return Tower(encoders, fusion, hidden_units, dropout=dropout, normalize=normalize, name="query_tower")
