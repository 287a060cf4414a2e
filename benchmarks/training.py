"""Examples per second against the model of the TFRS retrieval tutorial, and the rate of the input pipeline.

Both sides learn the same interactions (ids alone, drawn at random with Zipf popularity), in one process and in turn.

- tutorial: two Keras `Embedding` layers, `tfrs.tasks.Retrieval`, Keras' Adagrad(0.1), `tf.data`
  batches of 8,192 cached in memory, as in TFRS' basic retrieval tutorial; the string look-ups are left out
  on both sides (ids are rows already) and so is the FactorizedTopK metric, which would slow the tutorial further.
- ours: `TwoTower(features=["id"])` with its defaults (LazyAdam, in-batch softmax with logQ correction and known items
  masked, batch 1,024), fed by `Dataset.batches`.
- tutorial at our batch: the tutorial's model with 1,024 a batch, to tell what the smaller batch alone gains (in-batch
  softmax costs the square of the batch). No figure is wanted of it.

The input pipeline is measured without histories at 8,192 a batch, shuffled, once `load_folder` has read the Parquet
file; reading it (ids as strings, every row checked) is a cost of its own, which is printed.

    python benchmarks/training.py [--users 1000000] [--items 100000] [--interactions 3000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from interleaved import medians

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.data.catalog import Catalog
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.entities import Entities
from tfrec_div.data.folder import load_folder
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.models.two_tower import TwoTower

DIM, BATCH, TUTORIAL_BATCH = 64, 1024, 8192
LEAST_RATIO, LEAST_ROWS = 4.0, 5_000_000


class Tutorial(tfrs.Model):
    """The model of TFRS' basic retrieval tutorial, on integer rows."""

    def __init__(self, users: int, items: int):
        super().__init__()
        self.user_model = keras.layers.Embedding(users + 1, DIM)
        self.item_model = keras.layers.Embedding(items + 1, DIM)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features, training=False):
        return self.task(
            self.user_model(features["user_id"]), self.item_model(features["item_id"]), compute_metrics=False
        )


def draw(users: int, items: int, interactions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws users with log-normal activity, items with Zipf popularity, and times."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(0, 1, users)
    user = np.searchsorted(np.cumsum(activity / activity.sum()), rng.random(interactions)).clip(max=users - 1)
    popularity = 1.0 / np.arange(1, items + 1)
    item = np.searchsorted(np.cumsum(popularity / popularity.sum()), rng.random(interactions))
    return (
        user.astype(np.int32),
        item.clip(max=items - 1).astype(np.int32),
        rng.integers(0, 10**9, interactions),
    )


def dataset_of(user, item, timestamp, users: int, items: int) -> Dataset:
    user_ids, item_ids = (tuple(map(str, range(n))) for n in (users, items))
    schema = Schema((), (), user_ids, item_ids, {}, {})
    log = Interactions.from_rows(user, item, user_ids, item_ids, timestamp=timestamp)
    catalog = Catalog(schema, "item", np.asarray(item_ids, object), {})
    return Dataset(schema, catalog, Entities(schema, "user", np.asarray(user_ids, object), {}), log)


def rows_a_second(batches) -> float:
    """Goes through an epoch, and returns interactions a second."""
    rows, start = 0, time.perf_counter()
    for batch in batches.as_dataset(epochs=1):
        rows += batch["item_id"].shape[0]
    return rows / (time.perf_counter() - start)


def from_parquet(data: Dataset, folder: Path) -> tuple[float, float]:
    """Writes the interactions, reads them by `load_folder`, and goes through an epoch; seconds and rows a second."""
    log = data.interactions
    ids = pd.DataFrame({"user_id": log.user, "item_id": log.item, "timestamp": log.timestamp})
    ids.to_parquet(folder / "interactions.parquet")
    start = time.perf_counter()
    loaded = load_folder(folder)
    seconds = time.perf_counter() - start
    batches = loaded.batches(BATCH * 8, max_history=0)
    rows_a_second(batches)
    return seconds, float(np.median([rows_a_second(batches) for _ in range(3)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=3_000_000)
    parser.add_argument("--examples", type=int, default=40 * TUTORIAL_BATCH, help="that a round trains on")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    columns = draw(arguments.users, arguments.items, arguments.interactions)
    data = dataset_of(*columns, arguments.users, arguments.items)
    keras.utils.set_random_seed(0)

    ours = TwoTower(data.schema, features=["id"], embedding_dim=DIM)
    ours.compile()
    ours.adapt(data, progress=False)
    stream = data.batches(BATCH).as_dataset().prefetch(4)
    tutorial, small = (Tutorial(arguments.users, arguments.items) for _ in range(2))
    for model in (tutorial, small):
        model.compile(optimizer=keras.optimizers.Adagrad(0.1))
    pairs = {"user_id": columns[0][: arguments.examples], "item_id": columns[1][: arguments.examples]}
    rows = tf.data.Dataset.from_tensor_slices(pairs)
    cached, cut_small = (rows.batch(size).cache() for size in (TUTORIAL_BATCH, BATCH))

    # One endless stream: what a round costs is its steps, not the shuffling of an epoch that it breaks off.
    iterator = iter(stream)
    steps = arguments.examples // BATCH
    seconds = medians(
        {
            "ours": lambda: ours.fit(iterator, steps_per_epoch=steps, verbose=0),
            "tutorial": lambda: tutorial.fit(cached, epochs=1, verbose=0),
            "tutorial at our batch": lambda: small.fit(cut_small, epochs=1, verbose=0),
        },
        arguments.rounds,
    )
    rates = {name: arguments.examples / value for name, value in seconds.items()}
    for name, value in rates.items():
        print(f"{name:>24} {value:12,.0f} examples/s")
    ratio = rates["ours"] / rates["tutorial"]
    print(f"{'ours / tutorial':>24} {ratio:12.2f} (wanted >= {LEAST_RATIO})", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        reading, rate = from_parquet(data, Path(folder))
    whole = len(data.interactions) / (reading + len(data.interactions) / rate)
    print(
        f"{'reading Parquet':>24} {len(data.interactions) / reading:12,.0f} interactions/s, once, with all checks"
    )
    print(f"{'batches of an epoch':>24} {rate:12,.0f} interactions/s (wanted >= {LEAST_ROWS:,})")
    print(f"{'reading and an epoch':>24} {whole:12,.0f} interactions/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{'peak memory':>24} {peak:12.2f} GiB")
    return 0 if ratio >= LEAST_RATIO and rate >= LEAST_ROWS else 1


if __name__ == "__main__":
    sys.exit(main())
