"""Training and scoring of the ranker against the same network as in TFRS' ranking tutorial.

Both sides learn from the same lists of candidates (users, items, categories and histories drawn at random), in one
process and in turn. An example is a user with one candidate.

- tutorial: one example a row, as in TFRS' tutorial on ranking: strings in, `StringLookup` and `Embedding` for user,
  candidate, category and each item of the history, layers of Keras on their vectors, `tfrs.tasks.Ranking` with a loss
  of Keras, Adagrad(0.1), rows cached in memory in batches of 8,192. Attention to the history and cross layers are
  those of the ranker, of the same sizes, and written as the papers have them. The plain numbers that the ranker works
  out (signals, ranks, popularity, shares of the history) are given to it as columns.
- tutorial on rows: the same without strings: integers in. No figure is wanted of it.
- ours: `Ranker` with its defaults on `RankingLists`, as many examples a batch.

Scores of 200 candidates for each of 256 users:

- ours: one call for all of them, in a graph.
- loop: the ranker called in Python for one user after the other.
- loop of a graph: the same with a graph traced once for one user. No figure is wanted of it.

Times are medians of rounds that take turns, so that what else the machine does falls on all alike.

    python benchmarks/ranking.py [--users 5000] [--items 5000] [--lists 1024] [--rounds 3]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
from interleaved import medians

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.frames import from_frames
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import RankingLists

DIM, UNITS, CROSSES, ATTENTION, STEPS = 16, (64, 32), 2, 8, 50
CANDIDATES, BATCH = 128, 64
SCORED_USERS, SCORED = 256, 200
LEAST_TRAINING, LEAST_SCORING = 2.0, 5.0


class Tutorial(tfrs.Model):
    """The network of the ranker on one example a row, in the manner of TFRS' ranking tutorial.

    Args:
        users: Ids of the users, strings; None: rows of users come in.
        items: Ids of the items, strings; alike.
        categories: Names of the categories; alike.
        sizes: Number of users, items and categories.
        numbers: Plain numbers that a row has.
    """

    def __init__(self, users, items, categories, sizes: tuple[int, int, int], numbers: int):
        super().__init__()

        def embedding(vocabulary, size: int) -> keras.Sequential:
            vectors = keras.layers.Embedding(size + 1, DIM)
            if vocabulary is None:
                return keras.Sequential([vectors])
            return keras.Sequential(
                [keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None), vectors]
            )

        self.user_model = embedding(users, sizes[0])
        self.item_model = embedding(items, sizes[1])
        self.category_model = embedding(categories, sizes[2])
        self.activation = keras.Sequential(
            [keras.layers.Dense(ATTENTION, activation="relu"), keras.layers.Dense(1)]
        )
        self.crosses = [tfrs.layers.dcn.Cross() for _ in range(CROSSES)]
        self.deep = keras.Sequential([keras.layers.Dense(units, activation="relu") for units in UNITS])
        self.ratings = keras.layers.Dense(1)
        self.task = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))

    def call(self, features):
        item = self.item_model(features["item_id"]) + self.category_model(features["category"])
        history = self.item_model(features["history"]) + self.category_model(features["history_category"])
        asks = tf.repeat(item[:, tf.newaxis], tf.shape(history)[1], axis=1)
        weights = self.activation(tf.concat([asks, history, asks - history, asks * history], axis=2))
        weights *= features["history_weight"][:, :, tf.newaxis]
        interest = tf.reduce_sum(weights * history, axis=1)
        inputs = tf.concat(
            [
                self.user_model(features["user_id"]),
                self.item_model(features["item_id"]),
                self.category_model(features["category"]),
                interest,
                features["numbers"],
            ],
            axis=1,
        )
        crossed = inputs
        for cross in self.crosses:
            crossed = cross(inputs, crossed)
        return self.ratings(tf.concat([crossed, self.deep(inputs)], axis=1))

    def compute_loss(self, features, training=False):
        return self.task(labels=features["label"][:, tf.newaxis], predictions=self(features))


def draw(users: int, items: int, lists: int) -> tuple[Dataset, RankingLists]:
    """Draws histories with Zipf popularity, and lists of candidates."""
    rng = np.random.default_rng(0)
    share = 1.0 / np.arange(1, items + 1)
    events = users * STEPS
    log = pd.DataFrame(
        {
            "user_id": np.char.add("u", np.repeat(np.arange(users), STEPS).astype(str)),
            "item_id": np.char.add("i", rng.choice(items, events, p=share / share.sum()).astype(str)),
            "timestamp": rng.integers(0, 10**9, events),
        }
    )
    catalogue = pd.DataFrame(
        {
            "item_id": np.char.add("i", np.arange(items).astype(str)),
            "categories": np.char.add("c", rng.integers(0, 20, items).astype(str)),
        }
    )
    data = from_frames(log, items=catalogue)
    user = rng.integers(0, users, lists).astype(np.int32)
    shape = (lists, CANDIDATES)
    made = RankingLists(
        data,
        user,
        data.interactions.latest(user, STEPS),
        rng.integers(0, items, shape).astype(np.int32),
        rng.normal(size=(*shape, 1)).astype(np.float32),
        (rng.random(shape) < 0.05).astype(np.float32),
        np.full(shape, np.nan, np.float32),
        ("score",),
        batch_size=BATCH,
    )
    return data, made


def examples_of(data: Dataset, lists: RankingLists, ranker: Ranker, strings: bool) -> tf.data.Dataset:
    """Returns the lists as rows, cached in batches."""
    category = data.catalog.encoded()["categories"][:, 0]
    times = CANDIDATES
    history, weight = lists.before
    # In the order of the lists, as the other columns are.
    batches = replace(lists, shuffle=False).as_dataset(epochs=1)
    numbers = np.concatenate([ranker._numbers(batch)[0].numpy() for batch in batches])
    rows = {
        "user_id": np.repeat(lists.user, times),
        "item_id": lists.candidates.reshape(-1),
        "category": category[lists.candidates.reshape(-1)],
        "history": np.repeat(history, times, axis=0),
        "history_category": np.repeat(np.append(category, 0)[history], times, axis=0),
        "history_weight": np.repeat(weight, times, axis=0),
        "numbers": numbers.reshape(len(lists.user) * times, -1),
        "label": lists.label.reshape(-1),
    }
    if strings:
        users, items = (np.append(ids, "") for ids in (data.users.ids, data.catalog.ids))
        names = np.array(["", *data.schema.vocabularies["item/categories"]], object)
        rows |= {"user_id": users[rows["user_id"]].astype(str)}
        rows |= {name: items[rows[name]].astype(str) for name in ("item_id", "history")}
        rows |= {name: names[rows[name]].astype(str) for name in ("category", "history_category")}
    else:
        rows |= {name: np.maximum(rows[name], 0) for name in ("history",)}
    table = tf.data.Dataset.from_tensor_slices(rows)
    return table.batch(BATCH * CANDIDATES).cache().prefetch(tf.data.AUTOTUNE)


def time_training(data: Dataset, lists: RankingLists, ranker: Ranker, rounds: int) -> dict[str, float]:
    """Returns the examples a second of each side."""
    ranker.compile(1e-3)
    ranker.fit(lists, epochs=1, verbose=0)
    schema = data.schema
    vocabularies = list(data.users.ids), list(data.catalog.ids), list(schema.vocabularies["item/categories"])
    sizes = tuple(map(len, vocabularies))
    jobs = {"ours": lambda: ranker.fit(stream, steps_per_epoch=len(lists), verbose=0)}
    stream = iter(lists.as_dataset())
    for name, given in (("tutorial", vocabularies), ("tutorial on rows", (None, None, None))):
        model = Tutorial(*given, sizes, len(ranker.cross.names))
        model.compile(optimizer=keras.optimizers.Adagrad(0.1))
        rows = examples_of(data, lists, ranker, strings=given[0] is not None)
        jobs[name] = lambda model=model, rows=rows: model.fit(rows, epochs=1, verbose=0)
    seconds = medians(jobs, rounds)
    return {name: len(lists.user) * CANDIDATES / value for name, value in seconds.items()}


def time_scoring(data: Dataset, ranker: Ranker, rounds: int) -> dict[str, float]:
    """Returns the seconds of each way to score."""
    rng = np.random.default_rng(1)
    users = rng.integers(0, data.schema.num_users, SCORED_USERS).astype(np.int32)
    history, weight = data.interactions.latest(users, STEPS)
    query = {
        "user_id": tf.constant(users),
        "history": tf.constant(history),
        "history_weight": tf.constant(weight),
    }
    shape = (SCORED_USERS, SCORED)
    rows = tf.constant(rng.integers(0, data.schema.num_items, shape), tf.int32)
    signals = tf.constant(rng.normal(size=(*shape, 1)), tf.float32)
    graph, single = (tf.function(ranker.rank) for _ in range(2))
    one_by_one = [
        ({name: values[u : u + 1] for name, values in query.items()}, rows[u : u + 1], signals[u : u + 1])
        for u in range(SCORED_USERS)
    ]
    together = graph(query, rows, signals).numpy()
    apart = np.concatenate([single(*one).numpy() for one in one_by_one])
    np.testing.assert_allclose(together, apart, atol=1e-4)
    jobs = {
        "ours": lambda: graph(query, rows, signals).numpy(),
        "loop": lambda: [ranker.rank(*one).numpy() for one in one_by_one],
        "loop of a graph": lambda: [single(*one).numpy() for one in one_by_one],
    }
    return medians(jobs, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=5000)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--lists", type=int, default=1024, help="that a round trains on")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data, lists = draw(arguments.users, arguments.items, arguments.lists)
    keras.utils.set_random_seed(0)
    ranker = Ranker(data.schema, embedding_dim=DIM, hidden_units=UNITS, dropout=0.0, max_history=STEPS)
    ranker.adapt(lists)

    rates = time_training(data, lists, ranker, arguments.rounds)
    print(f"training, {arguments.users:,} users, {arguments.items:,} items, histories of {STEPS}")
    for name, rate in rates.items():
        print(f"{name:>18} {rate:12,.0f} examples/s; ours / it {rates['ours'] / rate:.2f}")
    training = rates["ours"] / rates["tutorial"]
    print(f"{'ours / tutorial':>18} {training:12.2f} (wanted >= {LEAST_TRAINING})", flush=True)

    seconds = time_scoring(data, ranker, arguments.rounds)
    print(f"\nscoring {SCORED} candidates of {SCORED_USERS} users")
    for name, value in seconds.items():
        print(f"{name:>18} {1000 * value:12,.0f} ms; it / ours {value / seconds['ours']:.2f}")
    scoring = seconds["loop"] / seconds["ours"]
    print(f"{'loop / ours':>18} {scoring:12.2f} (wanted >= {LEAST_SCORING})")
    return 0 if training >= LEAST_TRAINING and scoring >= LEAST_SCORING else 1


if __name__ == "__main__":
    sys.exit(main())
