"""An epoch with cached frozen towers against encoding in every batch, against arrays, and against ids alone.

All models are the same two-tower model (ids, in-batch softmax, dim 64), trained by `model.fit`:

- cached: MiniLM and ResNet50 have encoded each item once; a step gathers their vectors.
- in every batch: the towers encode the items of each batch. One step is timed and multiplied by the steps.
- arrays: the same heads as a plain Keras layer on vectors that the batches bring, computed beforehand.
- ids: no text, no pictures.

    python benchmarks/frozen_towers.py [--items 2000] [--users 2000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from interleaved import medians

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.optimizers import LazyAdam
from tfrec_div.tasks.retrieval import InBatchSoftmax
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.text import TextEncoder

BATCH, DIM = 1024, 64
EPOCHS = 3  # a round; the seconds printed are those of one epoch
LEAST_IN_BATCH, MOST_ARRAYS, MOST_IDS = 300, 1.3, 2.5


class OnArrays(keras.Model):
    """The heads of the cached model on arrays in memory, as one would write them without this package."""

    def __init__(self, model: TwoTower, arrays: dict[str, np.ndarray]):
        super().__init__()
        self._model, self._task = model, InBatchSoftmax()
        self._arrays = {name: tf.constant(array) for name, array in arrays.items()}

    def train_step(self, batch):
        model = self._model
        with tf.GradientTape() as tape:
            features = {name: tf.gather(array, batch["item_id"]) for name, array in self._arrays.items()}
            items = model.item_tower(features, training=True)
            users = model.query_tower({"user_id": batch["user_id"] + 1}, training=True)
            loss = self._task(users, items, item_ids=batch["item_id"], sample_weight=batch["weight"])
        variables = model.query_tower.trainable_variables + model.item_tower.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def fit(model, data):
    model.fit(data, epochs=EPOCHS, verbose=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    data = make_synthetic(arguments.users, arguments.items, interactions_per_user=50)
    text = TextEncoder.from_pretrained(find_text_model("minilm") or "tiny")
    image = ImageEncoder(size=64, weights=None)
    keras.utils.set_random_seed(0)
    options = {"features": ["id"], "embedding_dim": DIM, "loss": "in_batch", "max_history": 1}
    cached = TwoTower(data.schema, text=text, image=image, **options)
    ids = TwoTower(data.schema, **options)
    for model in (cached, ids):
        model.compile()
        model.adapt(data)
    batches = data.batches(BATCH, max_history=1)
    steps = len(batches)
    print(
        f"{len(data.interactions)} interactions, {steps} steps of {BATCH}, text {text.dim}, pictures {image.dim}"
    )

    heads = TwoTower(data.schema, text=text, image=image, **options)
    heads.adapt(data)
    events, whole = data.interactions, steps * BATCH
    arrays = OnArrays(heads, {name: value.numpy()[1:] for name, value in heads.item_table.values.items()})
    arrays.compile(optimizer=LazyAdam(3e-3, weight_decay=0.1, beta_2=0.99))
    order = np.resize(np.random.default_rng(0).permutation(len(events)), whole)
    columns = {"user_id": events.user, "item_id": events.item, "weight": np.ones(len(events), np.float32)}
    # Batches cut beforehand: the least that an input pipeline can cost.
    cut = {name: column[order].reshape(steps, BATCH) for name, column in columns.items()}
    on_arrays = tf.data.Dataset.from_tensor_slices(cut).prefetch(2)

    seconds = medians(
        {
            "cached": lambda: fit(cached, batches),
            "arrays": lambda: fit(arrays, on_arrays),
            "ids": lambda: fit(ids, batches),
        },
        arguments.rounds,
    )
    seconds = {name: value / EPOCHS for name, value in seconds.items()}
    encode = _in_every_batch(data, text, image)
    encode()
    start = time.perf_counter()
    encode()
    seconds["in every batch"] = (time.perf_counter() - start) * steps + seconds["cached"]

    ratios = {
        "in every batch / cached": (seconds["in every batch"] / seconds["cached"], f">= {LEAST_IN_BATCH}"),
        "cached / arrays": (seconds["cached"] / seconds["arrays"], f"<= {MOST_ARRAYS}"),
        "cached / ids": (seconds["cached"] / seconds["ids"], f"<= {MOST_IDS}"),
    }
    for name, value in seconds.items():
        print(f"{name:>24} {value:10.3f} s an epoch")
    for name, (ratio, wanted) in ratios.items():
        print(f"{name:>24} {ratio:10.2f} (wanted {wanted})")
    held = [
        ratios["in every batch / cached"][0] >= LEAST_IN_BATCH,
        ratios["cached / arrays"][0] <= MOST_ARRAYS,
        ratios["cached / ids"][0] <= MOST_IDS,
    ]
    return 0 if all(held) else 1


def _in_every_batch(data, text, image):
    """What a step pays when the towers stand inside the model: one batch of items, as it comes."""
    rows = data.interactions.item[np.random.default_rng(1).permutation(len(data.interactions))[:BATCH]]
    texts = tf.constant([data.catalog.texts()[row] for row in rows])
    pictures = tf.constant([data.catalog.image_bytes(int(row)) for row in rows])

    @tf.function
    def encode():
        return text(texts), image(pictures)

    return encode


if __name__ == "__main__":
    sys.exit(main())
