"""Users who walk along a ring of items, and small encoder-decoders that learn from them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec_div._keras import keras
from tfrec_div.data.frames import from_frames
from tfrec_div.models.encoder_decoder import EncoderDecoder

RING, WALK = 20, 10
# Histories as long as those that training sees, which end before the last item.
SMALL = {"mode": "next", "embedding_dim": 16, "num_blocks": 1, "hidden_units": (16,), "max_history": 8}


def walks(users: int = 200):
    """Users who go along a ring of items, each from a place of its own; one more item is never met."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(users):
        start = random.integers(RING)
        rows += [(f"u{user}", f"i{(start + step) % RING:02d}", step) for step in range(WALK)]
    items = pd.DataFrame({"item_id": [f"i{item:02d}" for item in range(RING + 1)]})
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items=items)


def walks_both_ways(users: int = 400, steps: int = 5):
    """Users who go along the ring, half of them forwards and half backwards: the order alone tells where to."""
    rows = []
    for user in range(users):
        start, way = user % RING, (1, -1)[user // RING % 2]
        rows += [(f"u{user}", f"i{(start + way * step) % RING:02d}", step) for step in range(steps)]
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def made(data, **options) -> EncoderDecoder:
    """A model that has read the data and is not trained."""
    keras.utils.set_random_seed(0)
    model = EncoderDecoder(data.schema, **{**SMALL, **options})
    model.adapt(data, progress=False)
    model.refresh_index()
    return model


def train(model, data, epochs: int, rate: float = 0.01) -> EncoderDecoder:
    """The same model after so many epochs of `len(data.batches(64))` steps."""
    model.compile(keras.optimizers.legacy.Adam(rate))
    model.fit(data.batches(64), epochs=epochs, verbose=0)
    return model
