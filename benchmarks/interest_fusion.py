"""What each dimension of interest finds by itself, and what their fusion adds to the best of them.

    python benchmarks/interest_fusion.py
    python benchmarks/interest_fusion.py --data P1/ --eval P1/test.csv --exclude P1/exclude.csv
    python benchmarks/interest_fusion.py --data P2/ --eval P2/test.csv --candidates P2/candidates.csv

Without `--data` it makes a synthetic shop whose users care for different mixtures of dimensions (theme, look, price,
brand and recency), and ranks a fifth of the items, which training has not met. With it, `--data` is a dataset folder
whose `interactions.csv` is the training part that `../shared/eval/protocol.py export` wrote, beside the items and users
of the full set; several folders, with as many other files, are several splits of one protocol.

For every dimension alone and for all of them: NDCG@10 over the users who want something of what is held out. The gain
of the fusion over the best single dimension (the best on average over the splits) is given with its paired z and a
bootstrap interval over users.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from fusion_ablation import pairs_of

from tfrec_div import Dataset, ImageEncoder, InterestFusion, TextEncoder, load_folder, make_synthetic, metrics
from tfrec_div._keras import keras
from tfrec_div.evaluation.stats import paired_test

FUSION = "fusion"


class Split(NamedTuple):
    """Training data, and what is wanted, excluded and ranked: bool [users, items], likewise, and [items]."""

    train: Dataset
    wanted: np.ndarray
    exclude: np.ndarray
    candidates: np.ndarray


def planted(num_users: int, num_items: int, seed: int = 0) -> Split:
    """Returns a shop whose users care for mixtures of dimensions, with a fifth of the items held out."""
    train, test = make_synthetic(num_users, num_items, interactions_per_user=30, seed=seed).split(
        "cold_items"
    )
    log = test.interactions
    wanted = np.zeros((num_users, num_items), bool)
    wanted[log.user[log.relevant()], log.item[log.relevant()]] = True
    cold = (train.interactions.item_counts() == 0) & (log.item_counts() > 0)
    return Split(train, wanted, np.zeros_like(wanted), cold)


def exported(data: Path, held_out: Path, exclude: Path | None, candidates: Path | None) -> Split:
    """Reads what the protocol wrote."""
    train = load_folder(data)
    allowed = np.ones(train.schema.num_items, bool)
    if candidates is not None:
        rows = train.schema.item_rows(np.loadtxt(candidates, dtype=str, skiprows=1, ndmin=1))
        allowed = np.isin(np.arange(train.schema.num_items), rows)
    return Split(train, pairs_of(held_out, train.schema), pairs_of(exclude, train.schema), allowed)


def ndcg(
    split: Split, dimensions: Sequence[str] | None, text, image, epochs, dim, seed, out=None
) -> np.ndarray:
    """Trains a model and returns NDCG@10 of each user; NaN for a user who wants nothing of what is ranked."""
    keras.utils.set_random_seed(seed)
    model = InterestFusion(split.train.schema, dimensions, text=text, image=image, embedding_dim=dim)
    model.compile()
    model.adapt(split.train, progress=False)
    model.fit(split.train.batches(1024), epochs=epochs, verbose=0)
    rows = best_rows(model, split, seed)
    wanted = split.wanted & split.candidates
    found = np.take_along_axis(wanted, np.maximum(rows, 0), axis=1) & (rows >= 0)
    values = metrics.ndcg(found, wanted.sum(axis=1))
    if dimensions is None:
        tell_weights(model, split.train)
        if out is not None:
            write(rows, split.train, out)
    return np.where(wanted.any(axis=1), values, np.nan)


def best_rows(model: InterestFusion, split: Split, seed: int) -> np.ndarray:
    """Returns the ten best rows of every user, equal scores in an order of chance, int32 [users, 10]; -1: none left."""
    order = np.random.default_rng(seed).permutation(split.train.schema.num_items)
    pages = []
    for start in range(0, split.train.schema.num_users, 256):
        users = np.arange(start, min(start + 256, split.train.schema.num_users))
        scores = model.scores(model.query_of(split.train, users)).numpy()
        scores = np.where(~split.exclude[users] & split.candidates, scores, -np.inf)[:, order]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        pages.append(np.where(np.take_along_axis(scores, best, axis=1) > -np.inf, order[best], -1))
    return np.concatenate(pages)


def write(rows: np.ndarray, data: Dataset, path: Path) -> None:
    """Writes recommendations as the protocol reads them."""
    user, place = np.nonzero(rows >= 0)
    frame = {
        "user_id": data.users.ids[user],
        "item_id": data.catalog.ids[rows[user, place]],
        "rank": place + 1,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(frame).to_csv(path, index=False)


def tell_weights(model: InterestFusion, data: Dataset) -> None:
    """Prints mean and standard deviation over the users of the weight of each dimension."""
    names, weights = model.dimension_weights(data, range(data.schema.num_users))
    told = (f"{n} {w.mean():.2f} ± {w.std():.2f}" for n, w in zip(names, weights.T, strict=True))
    print(f"  weights: {', '.join(told)}", flush=True)


def run(splits: Sequence[Split], text=None, image=None, epochs=3, dim=64, seed=0, only=(), out=None) -> dict:
    """Returns NDCG@10 of each system, a list over the splits of float [users], and prints the table."""
    model = InterestFusion(splits[0].train.schema, text=text, image=image, embedding_dim=dim)
    singles = [name for name in model.dimensions if not only or name in only]
    found: dict[str, list[np.ndarray]] = {}
    for name in [*singles, FUSION]:
        dimensions = None if name == FUSION else [name]
        found[name] = [
            ndcg(split, dimensions, text, image, epochs, dim, seed, out and out / f"{place}.csv")
            for place, split in enumerate(splits)
        ]
        told = "  ".join(f"{np.nanmean(values):.4f}" for values in found[name])
        print(f"{name:16} NDCG@10 {mean_of(found[name]):.4f}   by split: {told}", flush=True)
    best = max(singles, key=lambda name: mean_of(found[name]))
    tell_gain(found[FUSION], found[best], best)
    return found


def mean_of(values: Sequence[np.ndarray]) -> float:
    """Returns the mean over splits of the means over users."""
    return float(np.mean([np.nanmean(one) for one in values]))


def tell_gain(fused: Sequence[np.ndarray], single: Sequence[np.ndarray], best: str) -> tuple[float, float]:
    """Prints the relative gain and its paired z, over the users of all splits, and returns both."""
    gain = mean_of(fused) / mean_of(single) - 1
    by_split = "  ".join(
        f"{np.nanmean(a) / np.nanmean(b) - 1:+.1%}" for a, b in zip(fused, single, strict=True)
    )
    # A user who is in several splits counts once.
    differences = np.stack(fused) - np.stack(single)
    known = np.nanmean(differences[:, ~np.isnan(differences).all(axis=0)], axis=0)
    z = float(known.mean() / (known.std(ddof=1) / np.sqrt(len(known))))
    test = paired_test(known, np.zeros_like(known))
    print(
        f"fusion over {best}, the best alone: {gain:+.1%} (by split: {by_split}); paired z {z:.1f}, difference "
        f"{test.mean_difference:.4f} [{test.low:.4f}, {test.high:.4f}], p = {test.p_value:.4f}",
        flush=True,
    )
    return gain, z


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", help="dataset folders with the training parts")
    parser.add_argument("--eval", type=Path, nargs="*", help="held-out pairs of each")
    parser.add_argument("--exclude", type=Path, nargs="*", help="pairs of each that may not be recommended")
    parser.add_argument("--candidates", type=Path, nargs="*", help="the only items allowed in each")
    parser.add_argument("--users", type=int, default=1500, help="of the synthetic shop")
    parser.add_argument("--items", type=int, default=400, help="of the synthetic shop")
    parser.add_argument(
        "--shops", type=int, nargs="+", default=[0], help="seeds of synthetic shops, a split each"
    )
    parser.add_argument("--text", help="minilm (default with --data), tiny (without), or a checkpoint folder")
    parser.add_argument("--image", action="store_true", help="read pictures, by a ResNet50 of random weights")
    parser.add_argument(
        "--out", type=Path, help="folder for the recommendations of the fusion, a file a split"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=(), help="dimensions that are tried alone; default: all")
    options = parser.parse_args(arguments)
    for name in ("eval", "exclude", "candidates"):
        given, folders = getattr(options, name) or [], options.data or []
        if len(given) != len(folders) and (given or name == "eval"):
            parser.error(
                f"--{name}: expected a file for each folder of --data ({len(folders)}), got {len(given)}"
            )
    if options.data:
        missing = [None] * len(options.data)
        parts = options.data, options.eval, options.exclude or missing, options.candidates or missing
        splits = [exported(*one) for one in zip(*parts, strict=True)]
    else:
        splits = [planted(options.users, options.items, seed) for seed in options.shops]
    schema, text = splits[0].train.schema, None
    if schema.features_of("item", "text") or "review" in schema.interaction_columns:
        text = TextEncoder.from_pretrained(options.text or ("minilm" if options.data else "tiny"))
    image = ImageEncoder(64, weights=None) if options.image or not options.data else None
    run(splits, text, image, options.epochs, options.dim, options.seed, options.only, options.out)


if __name__ == "__main__":
    main()
