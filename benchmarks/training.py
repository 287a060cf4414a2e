"""Examples per second against the model of the TFRS retrieval tutorial, and the rate of the input pipeline.

Both sides learn the same interactions (ids alone, drawn at random with Zipf popularity), in one process and in turn.

- tutorial: two Keras `Embedding` layers, `tfrs.tasks.Retrieval`, Keras' Adagrad(0.1), `tf.data`
  batches of 8,192 cached in memory, as in TFRS' basic retrieval tutorial; the string look-ups are left out
  on both sides (ids are rows already) and so is the FactorizedTopK metric, which would slow the tutorial further.
- ours: `TwoTower(features=["id"])` with its defaults (LazyAdam, in-batch softmax with logQ correction and known items
  masked, batch 1,024), fed by `Dataset.batches`.
- tutorial at our batch: the tutorial's model with 1,024 a batch, to tell what the smaller batch alone gains (in-batch
  softmax costs the square of the batch). No figure is wanted of it.

The input is measured from a Parquet file on disk, with 8,192 interactions a batch, shuffled:

- reading: `load_folder`, once a training: integer ids become strings, every row is checked, all is sorted.
- once read: from `Dataset.batches` on, interactions that came out as batches a second; without histories, and with up
  to 100 items of them, as `TwoTower` takes them by default. The goal is for these, without histories.
- from file: the same with the reading counted in, for a training of one epoch and of ten.

Times are medians of rounds that take turns, so that what else the machine does falls on all alike.

    python benchmarks/training.py [--users 1000000] [--items 100000] [--interactions 3000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
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
INPUT_BATCH, MAX_HISTORY, EPOCHS = 8192, 100, 10
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


def go_through(data: Dataset, epochs: int, max_history: int = 0) -> None:
    """Prepares batches and goes through some epochs of them, without a training to feed."""
    for _ in data.batches(INPUT_BATCH, max_history=max_history).as_dataset(epochs=epochs):
        pass


def print_input(data: Dataset, rounds: int) -> float:
    """Writes the interactions as Parquet, prints the rates of the input, and returns that of batches once read."""
    log, rows = data.interactions, len(data.interactions)
    ids = pd.DataFrame({"user_id": log.user, "item_id": log.item, "timestamp": log.timestamp})
    with tempfile.TemporaryDirectory() as folder:
        ids.to_parquet(Path(folder, "interactions.parquet"))
        loaded = load_folder(folder)
        seconds = medians(
            {
                "reading": lambda: load_folder(folder),
                "one": lambda: go_through(loaded, 1),
                "many": lambda: go_through(loaded, EPOCHS),
                "histories": lambda: go_through(loaded, 1, MAX_HISTORY),
            },
            rounds,
        )
    rates = {
        "reading": rows / seconds["reading"],
        "once read, 1 epoch": rows / seconds["one"],
        f"once read, {EPOCHS} epochs": EPOCHS * rows / seconds["many"],
        "1 epoch with histories": rows / seconds["histories"],
        "from file, 1 epoch": rows / (seconds["reading"] + seconds["one"]),
        f"from file, {EPOCHS} epochs": EPOCHS * rows / (seconds["reading"] + seconds["many"]),
    }
    print(f"\ninput from Parquet, {rows:,} interactions")
    wanted = f"once read, {EPOCHS} epochs"
    for name, rate in rates.items():
        goal = f" (wanted >= {LEAST_ROWS:,})" if name == wanted else ""
        print(f"{name:>26} {rate:12,.0f} interactions/s{goal}", flush=True)
    return rates[wanted]


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
    print(f"training, {arguments.users:,} users, {arguments.items:,} items, dim {DIM}")
    for name, value in rates.items():
        batch = TUTORIAL_BATCH if name == "tutorial" else BATCH
        print(
            f"{name:>26} {value:12,.0f} examples/s at batch {batch:,}; ours / it {rates['ours'] / value:.2f}"
        )
    ratio = rates["ours"] / rates["tutorial"]
    print(f"{'ours / tutorial':>26} {ratio:12.2f} (wanted >= {LEAST_RATIO})", flush=True)

    rate = print_input(data, arguments.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{'peak memory':>26} {peak:12.2f} GiB")
    return 0 if ratio >= LEAST_RATIO and rate >= LEAST_ROWS else 1


if __name__ == "__main__":
    sys.exit(main())
