"""What each modality of the synthetic shop gives on cold items, alone and fused, where the truth is known.

    python benchmarks/modalities.py

A fifth of the items has no interaction in training: only content can rank them. For each tower: NDCG@10 over the cold
items, the gains that the content profile learned, and how well its scores follow the planted interests, as the mean
over users of the correlation between the scores of the cold items and what the user is known to like there.
Pictures are read by a ResNet50 with random weights at 64 pixels; texts by the model of `--text`.
"""

from __future__ import annotations

import argparse

import numpy as np

from tfrec_div import ImageEncoder, TwoTower, make_synthetic, metrics
from tfrec_div._keras import keras, tf

# What a modality can show, and the dimension of the planted interests that is in it.
PLANTED = {"text": "theme", "image": "look", "numbers": "price"}
TOWERS = {
    "text": {"text"},
    "image": {"image"},
    "numbers": {"numbers"},
    "text + image + numbers": {"text", "image", "numbers"},
    "text + numbers": {"text", "numbers"},
    "text + numbers + noise": {"text", "numbers", "noise"},
}


def cold_scores(
    train, cold, modalities, text, epochs, fusion="concat", dim=32, seed=0, say=print
) -> np.ndarray:
    """Trains content towers and returns the scores of the cold items, float [users, cold items]."""
    keras.utils.set_random_seed(seed)
    pictures = {"image", "noise"} & modalities
    model = TwoTower(
        train.schema,
        features=["id", "history", *({"numbers"} & modalities)],
        text=text if "text" in modalities else None,
        image=ImageEncoder(64, weights=None) if pictures else None,
        embedding_dim=dim,
        fusion=fusion,
    )
    model.compile()
    model.adapt(train, progress=False)
    if "noise" in modalities:
        table = model.item_table.values
        table["image"].assign(np.random.default_rng(seed).normal(size=table["image"].shape))
        features = {name: values.numpy()[1:] for name, values in table.items()}
        met = train.interactions.item_counts() > 0
        model.item_tower.encoders["image"].adapt(features["image"][met])
        model.profile.fill(features, met)
    model.fit(train.batches(512), epochs=epochs, verbose=0)
    say(f"    gains: {', '.join(f'{name} {gain:.2f}' for name, gain in model.profile.gains.items())}")
    query = model.query_vectors(model.query_of(train, np.arange(train.schema.num_users)))
    return tf.matmul(query, tf.gather(model.item_vectors(), cold), transpose_b=True).numpy()


def ndcg(scores: np.ndarray, cold: np.ndarray, test) -> np.ndarray:
    """NDCG@10 of each user over the cold items; NaN for a user who wants none of them."""
    log = test.interactions
    wanted = np.zeros((log.num_users, log.num_items), bool)
    wanted[log.user[log.relevant()], log.item[log.relevant()]] = True
    wanted = wanted[:, cold]
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = np.take_along_axis(wanted, top, axis=1)
    values = metrics.ndcg(found, wanted.sum(axis=1))
    return np.where(wanted.any(axis=1), values, np.nan)


def follows(scores: np.ndarray, cold: np.ndarray, truth, dimension: str) -> np.ndarray:
    """Correlation of each user's scores with what the user likes in a dimension; NaN where it does not count."""
    place = truth.dimensions.index(dimension)
    users = np.arange(len(scores))
    grid = np.repeat(users, len(cold)), np.tile(cold, len(users))
    liked = truth.match(dimension, *grid, np.full(len(grid[0]), truth.end)).reshape(scores.shape)
    liked = liked - liked.mean(axis=1, keepdims=True)
    scores = scores - scores.mean(axis=1, keepdims=True)
    length = np.linalg.norm(liked, axis=1) * np.linalg.norm(scores, axis=1)
    counts = (truth.interests[:, place] > 0) & (length > 1e-6)
    return np.where(counts, (liked * scores).sum(axis=1) / np.where(counts, length, 1), np.nan)


def z_value(differences: np.ndarray) -> float:
    """Mean over its standard error; NaN is left out."""
    known = differences[~np.isnan(differences)]
    return float(known.mean() / (known.std(ddof=1) / np.sqrt(len(known))))


def run(num_users=1500, num_items=400, text="tiny", epochs=5, fusion="concat", say=print) -> dict:
    """Returns NDCG@10 by tower, and the correlation with each dimension by tower; a value per user each."""
    data = make_synthetic(num_users, num_items, interactions_per_user=30)
    train, test = data.split("cold_items")
    cold = np.flatnonzero((train.interactions.item_counts() == 0) & (test.interactions.item_counts() > 0))
    result: dict[str, dict] = {"ndcg": {}, "follows": {}}
    chance = np.random.default_rng(0).random((num_users, len(cold)))
    for name, modalities in {"chance": None, **TOWERS}.items():
        scores = chance
        if modalities is not None:
            scores = cold_scores(train, cold, modalities, text, epochs, fusion, say=say)
        result["ndcg"][name] = ndcg(scores, cold, test)
        result["follows"][name] = {d: follows(scores, cold, data.truth, d) for d in PLANTED.values()}
        told = "  ".join(f"{d} {np.nanmean(v):.3f}" for d, v in result["follows"][name].items())
        say(f"{name:24} NDCG@10 {np.nanmean(result['ndcg'][name]):.4f}   follows: {told}")
    values = result["ndcg"]
    best = max(PLANTED, key=lambda name: np.nanmean(values[name]))
    result["z_fusion"] = z_value(values["text + image + numbers"] - values[best])
    result["z_noise"] = z_value(values["text + numbers + noise"] - values["text + numbers"])
    say(f"fusion against {best}, the best alone: z = {result['z_fusion']:.1f}")
    say(f"noise as a further modality: z = {result['z_noise']:.1f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--text", default="tiny", help="tiny, minilm, or a checkpoint folder")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--fusion", default="concat")
    options = parser.parse_args()
    run(options.users, options.items, options.text, options.epochs, options.fusion)


if __name__ == "__main__":
    main()
