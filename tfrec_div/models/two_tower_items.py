"""New items for a two-tower model that is trained already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.new_items import check_larger, only_items
from tfrec_div.models.grown_weights import copy_grown_weights

if TYPE_CHECKING:
    from tfrec_div.models.two_tower import TwoTower


def two_tower_with_items(model: TwoTower, data: Dataset, cache_dir: str | Path | None = None) -> TwoTower:
    """Returns a two-tower model for more items; see `TwoTower.with_items`."""
    check_larger(model.schema, data.schema)
    if not model.adapted:
        raise ValueError("items: the model has not seen training data yet; call fit, or adapt")
    first = model.schema.num_items
    larger = type(model).from_config({**model.get_config(), "schema": data.schema.to_json()})
    copy_grown_weights(model, larger)
    new = only_items(data, slice(first, None))
    features = model.encode_content(
        new, np.zeros(len(new.catalog), bool), cache_dir, progress=len(new.catalog) >= 100
    )
    table = {name: values.numpy()[1:] for name, values in model.item_table.values.items()}
    larger.item_table.fill({name: np.concatenate([rows, features[name]]) for name, rows in table.items()})
    if model.profile is not None and larger.profile is not None:
        views = model.profile.encode_all(features)
        larger.profile.items.assign(np.concatenate([model.profile.items.numpy(), views]))
    share, bias = model.item_probability.numpy(), model.item_bias.numpy()
    rarest = share == share.min()
    larger.item_probability[first:].assign(np.full(len(new.catalog), share.min()))
    larger.item_bias[first:].assign(np.full(len(new.catalog), bias[rarest].mean()))
    if model.reviews is not None and larger.reviews is not None:
        users, items = np.divmod(model.reviews.keys.numpy(), first)
        larger.reviews.fill(users, items, model.reviews.vectors.numpy())
    larger.index.update(tf.concat([model.index.vectors, larger.item_vectors(first=first)], axis=0))
    return larger
