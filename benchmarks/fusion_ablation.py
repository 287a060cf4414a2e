"""Which features and which fusion give what, for warm items (P1) and for cold ones (P2).

    python benchmarks/fusion_ablation.py --data P1/ --eval P1/test.csv --exclude P1/exclude.csv
    python benchmarks/fusion_ablation.py --data P2/ --eval P2/test.csv --candidates P2/candidates.csv

`--data` is a dataset folder whose `interactions.csv` is the training part that `../shared/eval/protocol.py export`
wrote, beside the items and users of the full set. Pictures are read by a ResNet50 with random weights at 64 pixels. One
recommendation file a system is written to `--out`, to be scored by the protocol; the table shows this toolkit's NDCG@10
for the users who want something of what is held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_div import ImageEncoder, TextEncoder, TwoTower, load_folder, metrics
from tfrec_div._keras import keras, tf

SYSTEMS = {
    "id": (False, False, "concat"),
    "id + text": (True, False, "concat"),
    "id + image": (False, True, "concat"),
    "id + text + image": (True, True, "concat"),
    "id + text + image, gated": (True, True, "gated"),
    "id + text + image, attention": (True, True, "attention"),
}


def recommend(model, data, exclude: np.ndarray, candidates: np.ndarray, k: int = 100) -> np.ndarray:
    """Returns the best allowed rows of every user, int32 [users, k], padded with -1."""
    pages = []
    for start in range(0, data.schema.num_users, 256):
        users = np.arange(start, min(start + 256, data.schema.num_users))
        include = tf.constant(~exclude[users] & candidates)
        pages.append(model.retrieve(model.query_of(data, users), k=k, include=include)[0].numpy())
    return np.concatenate(pages)


def pairs_of(path: Path | None, schema) -> np.ndarray:
    """Reads user and item ids as a boolean matrix [users, items]."""
    wanted = np.zeros((schema.num_users, schema.num_items), bool)
    if path is not None:
        rows = pd.read_csv(path, dtype=str)
        wanted[schema.user_rows(rows["user_id"]), schema.item_rows(rows["item_id"])] = True
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset folder with the training part")
    parser.add_argument("--eval", type=Path, required=True, help="held-out pairs")
    parser.add_argument("--exclude", type=Path, help="pairs that may not be recommended")
    parser.add_argument("--candidates", type=Path, help="the only items allowed")
    parser.add_argument("--out", type=Path, help="folder for the recommendations")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--text", default="minilm")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--item-id-dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load_folder(options.data)
    schema = data.schema
    wanted, exclude = pairs_of(options.eval, schema), pairs_of(options.exclude, schema)
    candidates = np.ones(schema.num_items, bool)
    if options.candidates is not None:
        ids = pd.read_csv(options.candidates, dtype=str)["item_id"]
        candidates = np.isin(np.arange(schema.num_items), schema.item_rows(ids))
    for name in options.systems:
        text, image, fusion = SYSTEMS[name]
        keras.utils.set_random_seed(options.seed)
        model = TwoTower(
            schema,
            text=TextEncoder.from_pretrained(options.text) if text else None,
            image=ImageEncoder(64, weights=None) if image else None,
            embedding_dim=options.dim,
            fusion=fusion,
            item_id_dropout=options.item_id_dropout,
        )
        model.compile()
        model.adapt(data, progress=False)
        model.fit(data.batches(1024), epochs=options.epochs, verbose=0)
        rows = recommend(model, data, exclude, candidates)
        found = np.take_along_axis(wanted, np.maximum(rows, 0), axis=1) & (rows >= 0)
        users = wanted.any(axis=1)
        values = metrics.ndcg(found[users, :10], wanted[users].sum(axis=1))
        print(f"{name:32} NDCG@10 {values.mean():.4f}", flush=True)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            user, place = np.nonzero(rows >= 0)
            columns = np.array(schema.user_ids)[user], np.array(schema.item_ids)[rows[user, place]], place + 1
            frame = pd.DataFrame(dict(zip(("user_id", "item_id", "rank"), columns, strict=True)))
            frame.to_csv(options.out / f"{name.replace(' + ', '_').replace(', ', '_')}.csv", index=False)


if __name__ == "__main__":
    main()
