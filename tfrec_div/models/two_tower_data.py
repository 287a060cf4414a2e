"""What a two-tower model reads of the data before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.towers.item_tower import known_codes
from tfrec_div.towers.parts import parts_name
from tfrec_div.towers.query_tower import encode_users
from tfrec_div.towers.reviews import encode_reviews

if TYPE_CHECKING:
    from tfrec_div.models.two_tower import TwoTower


def adapt_two_tower(model: TwoTower, data: Dataset, cache_dir: str | Path | None, progress: bool) -> None:
    """Reads what training needs besides the batches; see `TwoTower.adapt`."""
    if data.schema != model.schema:
        raise ValueError("data: its schema is not the one that the model was made with")
    counts = data.interactions.item_counts()
    features = model.encode_content(data, counts > 0, cache_dir, progress)
    model.item_table.fill(features)
    if model.profile is not None:
        model.profile.fill(features, counts > 0)
    users = encode_users(data, model.text_encoder, model.user_text, cache_dir, progress)
    model.user_table.fill(users)
    if model.user_text == "features":
        model.query_tower.encoders["text"].adapt(users["text"])
    elif model.user_text == "history_titles":
        some = np.linspace(0, len(data.users) - 1, min(512, len(data.users))).astype(np.int32)
        histories = model.query_of(data, some)["history"]
        model.query_tower.encoders["text"].adapt(model.titles_of(histories).numpy())
    elif model.reviews is not None:
        model.reviews.fill(*encode_reviews(data, model.text_encoder, cache_dir, progress))
        model.query_tower.encoders["text"].adapt(model.reviews.vectors)
    for name in (*model.texts, "image"):
        if name in model.item_tower.encoders:
            read = [features[n][counts > 0] for n in (name, parts_name(name)) if n in features]
            model.item_tower.encoders[name].adapt(*read)
    count_items(model, counts, np.ones(len(counts), bool))


def meet_items(model: TwoTower, data: Dataset) -> None:
    """Gives an id to the items that earlier training has not met and this one does, such as added ones."""
    # Also of data of before items were added.
    counts = np.bincount(data.interactions.item, minlength=model.schema.num_items)
    table = model.item_table.values["item_id"]
    codes = tf.convert_to_tensor(table).numpy()[1:]
    new = (counts > 0) & (codes == 0)
    if not new.any():
        return
    table.assign(np.concatenate([[0], np.where(new, known_codes(new), codes)]))
    count_items(model, counts, new)


def count_items(model: TwoTower, counts: np.ndarray, biased: np.ndarray) -> None:
    """Takes over how often items occur, and the bias that follows for some of them, boolean [items]."""
    smoothed = (counts + 1.0) / (counts.sum() + len(counts))
    model.item_probability.assign(smoothed)
    if not model.normalize:
        bias = np.log(smoothed) - np.log(smoothed).mean()
        model.item_bias.assign(np.where(biased, bias, tf.convert_to_tensor(model.item_bias).numpy()))
