"""What an encoder-decoder reads of the data before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.models.user_histories import users_to_learn_from
from tfrec_div.towers.item_tower import encode_contents

if TYPE_CHECKING:
    from tfrec_div.models.encoder_decoder import EncoderDecoder


def adapt_encoder_decoder(
    model: EncoderDecoder, data: Dataset, cache_dir: str | Path | None, progress: bool
) -> None:
    """Reads what training needs besides the batches; see `EncoderDecoder.adapt`."""
    if data.schema != model.schema:
        raise ValueError("data: its schema is not the one that the model was made with")
    users_to_learn_from(data, ahead=True)
    counts = data.interactions.item_counts()
    if model.texts is not None:
        found = encode_contents(model.text_encoder, data.catalog.texts(), cache_dir, progress)
        model.texts.fill(found, counts > 0)
    smoothed = (counts + 1.0) / (counts.sum() + len(counts))
    logs = np.log(smoothed)
    # A yes or no for each item starts as likely as it is; a softmax goes by differences alone.
    model.item_bias.assign(logs if model.is_binary else logs - logs.mean())
    model.item_probability.assign(smoothed)
    model.met.assign(counts > 0)
    model.ordered.assign(float(data.interactions.timestamp is not None))
