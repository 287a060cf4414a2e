"""Accuracy against diversity on the MovieLens folder: the front of our re-rankers and that of pyversity.

Both sides get the same 100 candidates, scores and vectors of every user and pick 10 (protocol P1). All methods and
levels are run on the validation split. The settings on a side's front there, at most `--points` of them, are then
run on the test split, and only their figures count: NDCG@10 and the intra-list distance (ILD) of genres or of
MiniLM vectors, as `protocol.py` defines them. Differences are taken over resampled users, the settings fixed.

    TFREC_DIV_SHARED=../shared python benchmarks/tradeoff.py [--figure docs/fronts.png]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from fronts import front, hypervolume, resamples, second_at
from tqdm.auto import tqdm
from tradeoff_settings import (
    OURS,
    THEIRS,
    K,
    Lists,
    Setting,
    all_settings,
    our_pages,
    their_pages,
)

CANDIDATES = 100
DISCOUNTS = 1.0 / np.log2(np.arange(2, K + 2))
PICKS = "ours, in the order of the picks"
SPACES = {"genre": "ILD@10 of genres", "vec": "ILD@10 of MiniLM vectors"}


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("protocol", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"--protocol: expected the path of protocol.py; received {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["protocol"] = module
    spec.loader.exec_module(module)
    return module


def ease(data: Any, split: Any, ridge: float = 200.0) -> np.ndarray:
    """Scores `[users, items]` of an item-item ridge regression without diagonal (Steck, 2019)."""
    met = np.zeros((data.U, data.I))
    met[data.u[split.train], data.i[split.train]] = 1.0
    gram = met.T @ met
    gram[np.diag_indices(data.I)] += ridge
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return met @ weights


def two_tower(data: Any, split: Any) -> np.ndarray:
    """Scores `[users, items]` of the toolkit's own model, with its defaults."""
    import tfrec_div as td
    from tfrec_div._keras import keras

    keras.utils.set_random_seed(0)
    users, items = data.users.astype(str), data.items.astype(str)
    train = split.train
    interactions = pd.DataFrame(
        {
            "user_id": users[data.u[train]],
            "item_id": items[data.i[train]],
            "rating": data.r[train],
            "timestamp": data.t[train],
        }
    )
    categories = ["|".join(genres) for genres in data.genres]
    dataset = td.from_frames(interactions, pd.DataFrame({"item_id": items, "categories": categories}))
    model = td.TwoTower(dataset.schema)
    model.compile()
    model.fit(dataset.batches(1024), epochs=10, verbose=0)
    query = model.query_of(dataset, dataset.schema.user_rows(users))
    vectors = model.item_vectors().numpy()[dataset.schema.item_rows(items)]
    return model.query_vectors(query).numpy() @ vectors.T


BASES = {"ease": ease, "two_tower": two_tower}


def make_lists(protocol: ModuleType, data: Any, split: Any, base: str) -> Lists:
    users = split.eval_users
    scores = BASES[base](data, split)
    rows = protocol.topk(scores, split, CANDIDATES)[users]
    liked = np.zeros((data.U, data.I), bool)
    liked[data.u[split.test], data.i[split.test]] = True
    best = DISCOUNTS.cumsum()[np.minimum(liked[users].sum(1), K) - 1]
    counts = np.bincount(data.i[split.train], minlength=data.I)
    order = np.argsort(-counts, kind="stable")
    tail = np.ones(data.I, np.int32)
    tail[order[counts[order].cumsum() <= 0.8 * counts.sum()]] = 0  # the items of 80 % of the interactions
    genres = data.G / np.maximum(data.G.sum(1, keepdims=True), 1.0)
    profiles = {}
    for name, shares in {"aspects": genres, "groups": np.eye(2)[tail]}.items():
        total = np.zeros((data.U, shares.shape[1]))
        np.add.at(total, data.u[split.train], shares[data.i[split.train]])
        profiles[name] = (total / np.maximum(total.sum(1, keepdims=True), 1e-12))[users].astype(np.float32)
    return Lists(
        rows,
        np.take_along_axis(scores[users], rows, 1).astype(np.float32),
        {"aspects": data.G[rows].astype(np.float32), "groups": tail[rows]},
        profiles,
        np.take_along_axis(liked[users], rows, 1),
        best,
    )


def measure(lists: Lists, vectors: np.ndarray, pages: np.ndarray) -> np.ndarray:
    """ILD and NDCG of each user's page `[users, 2]`; pages are positions among the candidates."""
    gains = np.take_along_axis(lists.liked, pages, 1) @ DISCOUNTS
    shown = vectors[np.take_along_axis(lists.rows, pages, 1)]
    own = (shown**2).sum((1, 2))
    return np.stack([1.0 - ((shown.sum(1) ** 2).sum(1) - own) / (K * (K - 1)), gains / lists.ideal], 1)


def run(side: str, lists: Lists, vectors: np.ndarray, settings: list[Setting], title: str) -> np.ndarray:
    """ILD and NDCG `[settings, users, 2]`."""
    pages = their_pages if side == "pyversity" else our_pages
    candidates = vectors[lists.rows]
    bar = tqdm(settings, desc=f"{title}, {side}", leave=False, mininterval=1.0)
    return np.stack([measure(lists, vectors, pages(lists, candidates, setting)) for setting in bar])


def interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.percentile(draws, 2.5, axis=0), np.percentile(draws, 97.5, axis=0)


class Side(NamedTuple):
    """The settings of a side that are on its front of the validation split, and their figures on the test split."""

    settings: list[Setting]
    users: np.ndarray  # [settings, users, 2]

    @property
    def points(self) -> np.ndarray:
        return self.users.mean(1)


def choose(
    tried: dict[str, list[Setting]],
    lists: dict[str, Lists],
    vectors: np.ndarray,
    least: float,
    most: int,
    title: str,
) -> dict[str, Side]:
    """The settings on the front of the validation split, at most so many a side, on the test split."""
    found: dict[tuple[bool, Setting], np.ndarray] = {}
    for name in ("ours", "pyversity"):
        users = run(name, lists["validation"], vectors, tried[name], f"{title}, validation")
        found |= {(name == "pyversity", s): p for s, p in zip(tried[name], users.mean(1), strict=True)}
    print(f"\n{title}: figures of the test split, of settings chosen on the validation split")
    sides = {}
    for name, settings in tried.items():
        points = np.stack([found[name == "pyversity", setting] for setting in settings])
        points[points[:, 0] < least - 1e-9] = 0.0  # less diverse than the order of the scores
        best = [settings[n] for n in front(points, most)]
        sides[name] = Side(best, run(name, lists["test"], vectors, best, f"{title}, test"))
        print(f" {name} ({len(settings)} settings tried)")
        for setting, (ild, ndcg) in zip(best, sides[name].points, strict=True):
            print(f"  NDCG@10 {ndcg:.4f} @ ILD@10 {ild:.3f}  {setting}")
    return sides


def up_to_its_end(points: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return second_at(points, np.minimum(levels, points[:, 0].max()))


def compare(ours: Side, theirs: Side, reference: tuple[float, float], times: int) -> bool:
    """Prints both comparisons; returns whether both hold."""
    draws = resamples(ours.users.shape[1], times)
    mine, other = (np.einsum("tu,sum->tsm", draws, side.users) for side in (ours, theirs))
    volumes = [hypervolume(side.points, reference) for side in (ours, theirs)]
    low, high = interval(hypervolume(mine, reference) - hypervolume(other, reference))
    print(
        f"  hypervolume above ({reference[0]:.3f}, {reference[1]:.4f}): {volumes[0]:.5f}, "
        f"pyversity {volumes[1]:.5f}, difference {volumes[0] - volumes[1]:+.5f}, 95 % [{low:+.5f}, {high:+.5f}]"
    )
    reach = theirs.points[:, 0]
    levels = np.linspace(reference[0], reach.max(), 12)
    values = [second_at(side.points, levels) for side in (ours, theirs)]
    # A front of a resample may end a little before the last level; there its end is taken.
    each = [np.stack([up_to_its_end(draw, levels) for draw in side]) for side in (mine, other)]
    lows, highs = interval(each[0] - each[1])
    means = interval((each[0] - each[1]).mean(1))
    gain = (up_to_its_end(ours.points, levels) - values[1]).mean()
    print(f"  NDCG, mean over the levels: difference {gain:+.4f}, 95 % [{means[0]:+.4f}, {means[1]:+.4f}]")
    print("   ILD    NDCG ours  pyversity  difference, 95 %")
    for row in zip(levels, *values, lows, highs, strict=True):
        print("  {:.3f}    {:.4f}     {:.4f}    [{:+.4f}, {:+.4f}]".format(*row))
    return bool(low > 0.0 and (highs >= 0.0).all() and np.isfinite(values[0]).all())


def check_against(
    protocol: ModuleType, data: Any, split: Any, lists: Lists, pages: np.ndarray, vec: Path
) -> None:
    """The figures of a setting as `protocol.py score` gives them, from a file of recommendations."""
    everyone = np.full((data.U, 2 * K), -1, np.int32)
    everyone[split.eval_users, :K] = np.take_along_axis(lists.rows, pages, 1)
    with tempfile.TemporaryDirectory() as folder:
        protocol.save_recs(f"{folder}/recs.csv", data, everyone)
        recs = protocol.read_recs(f"{folder}/recs.csv", data, split)
    scored = protocol.evaluate(data, split, recs, vec=protocol.load_vectors(vec, data))
    own = np.array(
        [measure(lists, vectors, pages).mean(0) for vectors in vectors_of(protocol, data, vec).values()]
    )
    theirs = np.array([[scored[f"ILD_{space}@10"], scored["NDCG@10"]] for space in SPACES])
    print(f"  here:        NDCG@10 {own[0, 1]:.6f}, ILD of genres {own[0, 0]:.6f}, of MiniLM {own[1, 0]:.6f}")
    print(
        f"  protocol.py: NDCG@10 {theirs[0, 1]:.6f}, ILD of genres {theirs[0, 0]:.6f}, of MiniLM {theirs[1, 0]:.6f}"
    )
    np.testing.assert_allclose(own, theirs, atol=1e-5)


def vectors_of(protocol: ModuleType, data: Any, vec: Path) -> dict[str, np.ndarray]:
    """Unit rows, in which the ILD of a space is measured and which both sides get."""
    spaces = {"genre": data.G, "vec": protocol.load_vectors(vec, data)}
    return {name: protocol._unit(rows).astype(np.float32) for name, rows in spaces.items()}


def draw(fronts: dict[str, dict[str, Side]], plain: dict[str, np.ndarray], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10.0, 4.0), constrained_layout=True)
    looks = {"tfrec_div": ("#1b6ca8", "o"), "pyversity 0.2.0": ("#d1603d", "s")}
    for axis, (space, sides) in zip(axes, fronts.items(), strict=True):
        for name, side in sides.items():
            color, marker = looks[name]
            points = side.points[front(side.points)]
            axis.plot(points[:, 0], points[:, 1], color=color, marker=marker, markersize=4, label=name)
        axis.plot(*plain[space], "k*", markersize=11, label="order of the scores")
        axis.set_xlabel(SPACES[space])
        axis.set_ylabel("NDCG@10")
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> int:
    shared = Path(os.environ.get("TFREC_DIV_SHARED", "../shared"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=shared / "data/ml-100k-multimodal")
    parser.add_argument("--protocol", type=Path, default=shared / "eval/protocol.py")
    parser.add_argument("--vec", type=Path, default=shared / "eval/minilm_ml100k.npz")
    parser.add_argument("--base", choices=BASES, default="ease", help="whose 100 best items are re-ranked")
    parser.add_argument("--points", type=int, default=16, help="most settings of a side, a space")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--figure", type=Path, help="write both fronts to this PNG")
    arguments = parser.parse_args()
    began = time.perf_counter()
    protocol = load_module(arguments.protocol)
    data = protocol.load(str(arguments.data))
    splits = {
        name: protocol.make_split(data, "P1", 0, val=name == "validation") for name in ("validation", "test")
    }
    lists = {name: make_lists(protocol, data, split, arguments.base) for name, split in splits.items()}
    spaces = vectors_of(protocol, data, arguments.vec)
    plain = {name: np.tile(np.arange(K), (len(part.rows), 1)) for name, part in lists.items()}
    print(f"{arguments.base}, in the order of its scores, test split:")
    check_against(protocol, data, splits["test"], lists["test"], plain["test"], arguments.vec)

    ours = all_settings(OURS)
    tried = {
        "ours": ours,
        PICKS: [setting for setting in ours if ("order", "score") not in setting.options],
        "pyversity": all_settings(THEIRS, float(np.ptp(lists["validation"].scores, axis=1).mean())),
    }
    holds, fronts, plain_points = True, {}, {}
    for space, vectors in spaces.items():
        floor = measure(lists["validation"], vectors, plain["validation"]).mean(0)
        plain_points[space] = measure(lists["test"], vectors, plain["test"]).mean(0)
        sides = choose(tried, lists, vectors, floor[0], arguments.points, SPACES[space])
        reference = (float(plain_points[space][0]), float(floor[1]) / 2.0)
        for name in ("ours", PICKS):
            print(f" {name}, against pyversity")
            above = compare(sides[name], sides["pyversity"], reference, arguments.resamples)
            holds &= above or name != "ours"
        fronts[space] = {"tfrec_div": sides["ours"], "pyversity 0.2.0": sides["pyversity"]}

    middle = fronts["genre"]["tfrec_div"].settings[len(fronts["genre"]["tfrec_div"].settings) // 2]
    print(f"\n{middle}, test split:")
    pages = our_pages(lists["test"], spaces["genre"][lists["test"].rows], middle)
    check_against(protocol, data, splits["test"], lists["test"], pages, arguments.vec)
    if arguments.figure:
        draw(fronts, plain_points, arguments.figure)
    print(
        f"{time.perf_counter() - began:.0f} s; the fronts are {'' if holds else 'NOT '}above those of pyversity"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
