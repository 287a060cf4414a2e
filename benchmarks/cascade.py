"""What a ranker adds to its retriever, and how it predicts ratings, by outside protocols.

    python benchmarks/cascade.py --data DIR --protocol-file ../shared/eval/protocol.py
        [--protocols P1 P4] [--model two_tower] [--ranker dcn] [--candidates 200] [--seeds 0 1 2] [--val] [--work DIR]

P1: `tfrec-div train --model ... --ranker ...` on the protocol's training part, all of it (`--test none`). The lists of
the run are scored by the protocol with the ranker, and without it (the same run, its ranker taken away): NDCG@10, and
the paired z over users of a mean over the seeds.

P4: a ranker of the tasks "relevance" and "rating". It learns on a random quarter of the training part what a rating
model of the other three quarters leaves to be said, and then stands beside a rating model of all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from relevance import LENGTH, export, load_protocol, paired_z, tool

import tfrec_div as td
from tfrec_div._keras import keras
from tfrec_div.data.interactions import Interactions
from tfrec_div.models.rating_model import RatingModel

# Of the ranker of ratings, chosen on a part of the training ratings.
SMALL = {
    "interaction": "wide_deep",
    "hidden_units": (16,),
    "history": None,
    "features": ("users", "categories"),
    "embedding_dim": 4,
}
EPOCHS, ASKED = 6, 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--protocol-file", type=Path, required=True, help="protocol.py")
    parser.add_argument("--protocols", nargs="*", default=["P1", "P4"], choices=["P1", "P4"])
    parser.add_argument("--model", default="two_tower")
    parser.add_argument("--ranker", default="dcn")
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--val", action="store_true", help="the inner validation split, to tune on")
    parser.add_argument("--work", type=Path, default=Path("cascade"), help="folder for splits and runs")
    options = parser.parse_args()
    protocol = load_protocol(options.protocol_file)
    data = protocol.load(str(options.data))
    if "P1" in options.protocols:
        compare_stages(protocol, data, options)
    if "P4" in options.protocols:
        predict_ratings(protocol, data, options)


def compare_stages(protocol, data, options) -> None:
    """Prints the NDCG@10 of each seed with and without the ranker."""
    split = protocol.make_split(data, "P1", 0, options.val)
    ranked, retrieved = [], []
    for seed in options.seeds:
        folder, _ = export(options, "P1", seed)
        run = options.work / f"{folder.name}-{options.model}-{options.ranker}-{seed}"
        if not (run / "recommender").is_dir():
            given = {"--model": options.model, "--ranker": options.ranker, "--seed": seed}
            given |= {"--num-candidates": options.candidates, "--test": "none"}
            flat = [part for pair in given.items() for part in pair]
            tool("train", "--data", folder, "--out", run, *flat, "--no-ratings")
        both = td.load(run / "recommender").with_reranker(None)
        for recommender, found in ((both, ranked), (both.with_ranker(None), retrieved)):
            lists = lists_of(recommender, data)
            found.append(protocol.evaluate(data, split, lists, per_user=True, beyond=False)[1])
        a, b = (found[-1]["NDCG@10"].mean() for found in (retrieved, ranked))
        print(
            f"seed {seed}: NDCG@10 {a:.4f} -> {b:.4f}, z {paired_z(ranked[-1:], retrieved[-1:]):.1f}",
            flush=True,
        )
    a, b = (np.mean([one["NDCG@10"].mean() for one in found]) for found in (retrieved, ranked))
    print(f"mean: NDCG@10 {a:.4f} -> {b:.4f}, z {paired_z(ranked, retrieved):.1f}")


def lists_of(recommender: td.Recommender, data) -> np.ndarray:
    """Returns the best items of every user of the protocol, as its numbers, int [users, 100]."""
    found = recommender.recommend([str(user) for user in data.users], k=LENGTH).item_ids
    number = {str(item): place for place, item in enumerate(data.items)}
    return np.vectorize(lambda item: number.get(item, -1), otypes=[int])(found)


def predict_ratings(protocol, data, options) -> None:
    """Prints the error of the ratings by the rating model alone, and by a ranker that starts from it."""
    folder, rest = export(options, "P4", 0)
    train = td.load_folder(folder)
    log = train.interactions
    pairs = pd.read_csv(rest / "test.csv", dtype={"user_id": str, "item_id": str})
    test = train.subset(
        Interactions.from_rows(
            train.schema.user_rows(pairs["user_id"].to_numpy(object)),
            train.schema.item_rows(pairs["item_id"].to_numpy(object)),
            train.schema.user_ids,
            train.schema.item_ids,
            timestamp=pairs["timestamp"].to_numpy(np.int64),
            rating=pairs["rating"].to_numpy(np.float32),
        )
    )
    rater, asked_for = fitted_rater(train), test.interactions
    missed = rater.ratings(asked_for.user, asked_for.item) - asked_for.rating
    print(f"rating model alone: RMSE {np.sqrt(np.mean(missed**2)):.4f}", flush=True)
    for seed in options.seeds[:2]:
        asked = np.random.default_rng(seed).random(len(log)) < ASKED
        before, after = (train.subset(log.take(part)) for part in (~asked, asked))
        keras.utils.set_random_seed(seed)
        tasks = ("relevance", "rating")
        ranker = td.Ranker(train.schema, tasks=tasks, rater=fitted_rater(before), **SMALL)
        ranker.fit(td.rated_lists(before, after, seed=seed), epochs=EPOCHS, verbose=0)
        served = ranker.refreshed(train, rater)
        found = served.evaluate(td.rated_lists(train, test, seed=seed), verbose=0, return_dict=True)
        print(f"multi-task ranker, seed {seed}: RMSE {found['squared_error'] ** 0.5:.4f}", flush=True)


def fitted_rater(data: td.Dataset) -> RatingModel:
    """Returns a rating model of a data set, of the defaults."""
    model = RatingModel(data.schema)
    model.fit(data, verbose=0)
    return model


if __name__ == "__main__":
    main()
