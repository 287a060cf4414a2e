"""Relevance by outside protocols, beside baselines that are trained on the same parts in the same run.

    python benchmarks/relevance.py --data DIR --protocol-file ../shared/eval/protocol.py
        [--protocols P1 P2 P3 P4 P5] [--models auto two_tower ease] [--seeds 0 1 2] [--val] [--work DIR]

`--protocol-file` makes the splits and scores the lists; it knows nothing of this toolkit. The toolkit is used as its
users do: `tfrec-div train`, `recommend --diversity 0` and `predict`, with their defaults, in processes of their own.
Only for P5, which is about the very next interaction, `auto` weighs with `--validation leave_one_out`. A seed is that
of the split where the protocol has one (P2, P3), else that of the model; P4 has one of each. Baselines are popularity,
the model of TFRS' tutorial, and `implicit`'s BPR and iALS.

The table has the mean over the seeds; z compares it with the best baseline, paired by user and seed. P4 has RMSE (lower
is better) and no baselines but the mean of the ratings and the biases.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from relevance_baselines import BASELINES

from tfrec_div import load_folder

BY_SPLIT = ("P2", "P3")
# What `auto` is told besides its defaults: P5 asks for what comes next, liked or not.
ASKS = {"P5": ("--validation", "leave_one_out")}
# Lists as long as the protocols want them.
LENGTH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--protocol-file", type=Path, required=True, help="protocol.py")
    parser.add_argument("--protocols", nargs="*", default=["P1", "P2", "P3", "P4", "P5"])
    parser.add_argument("--models", nargs="*", default=["auto", "two_tower"])
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--val", action="store_true", help="the inner validation split, to tune on")
    parser.add_argument("--work", type=Path, default=Path("relevance"), help="folder for splits and runs")
    options = parser.parse_args()
    protocol = load_protocol(options.protocol_file)
    data = protocol.load(str(options.data))
    for name in options.protocols:
        seeds = [0] if name == "P4" else options.seeds
        splits = {
            seed: protocol.make_split(data, name, seed if name in BY_SPLIT else 0, options.val)
            for seed in seeds
        }
        measure = ratings_table if name == "P4" else ranking_table
        measure(protocol, data, name, splits, options)


def load_protocol(path: Path):
    """Imports the scorer from its file."""
    spec = importlib.util.spec_from_file_location("protocol", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules["protocol"] = module
    spec.loader.exec_module(module)
    return module


def export(options, name: str, seed: int) -> tuple[Path, Path]:
    """Writes a split; returns the dataset folder with its training part, and the folder with the rest."""
    tag = f"{name}-{seed if name in BY_SPLIT else 0}{'-val' if options.val else ''}"
    folder, rest = options.work / f"{tag}-data", options.work / tag
    if not folder.is_dir():
        command = [
            sys.executable,
            options.protocol_file,
            "export",
            "--data",
            options.data,
            "--protocol",
            name,
        ]
        command += ["--seed", str(seed if name in BY_SPLIT else 0), "--out", rest]
        subprocess.run([*map(str, command), *(["--val"] if options.val else [])], check=True)
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for path in options.data.resolve().iterdir():
            if path.stem != "interactions":
                (draft / path.name).symlink_to(path)
        shutil.copy(rest / "train.csv", draft / "interactions.csv")
        draft.rename(folder)
    return folder, rest


def tool(*arguments: object) -> None:
    """Runs `tfrec-div` as its users do; its output is shown if it fails."""
    command = [sys.executable, "-m", "tfrec_div", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def train(options, name: str, seed: int, model: str) -> tuple[Path, Path, float]:
    """Trains a model on a split; returns the run, the folder of the split and the seconds."""
    folder, rest = export(options, name, seed)
    run = options.work / f"{folder.name}-{model}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    start = time.perf_counter()
    asks = ASKS.get(name, ()) if model == "auto" else ()
    tool("train", "--data", folder, "--out", run, "--model", model, "--seed", seed, *asks)
    return run, rest, time.perf_counter() - start


def ranking_table(protocol, data, name: str, splits: dict, options) -> None:
    per_user: dict[str, list[dict[str, np.ndarray]]] = {}
    seconds: dict[str, list[float]] = {}

    def score(system: str, seed: int, lists: np.ndarray, took: float) -> None:
        found = protocol.evaluate(data, splits[seed], lists, per_user=True, beyond=False)[1]
        per_user.setdefault(system, []).append(found)
        seconds.setdefault(system, []).append(took)

    for seed, split in splits.items():
        folder, rest = export(options, name, seed)
        part = load_folder(folder)
        users = part.schema.user_rows(np.array([str(user) for user in data.users], object))
        items = part.schema.item_rows(np.array([str(item) for item in data.items], object))
        for system in options.baselines:
            start = time.perf_counter()
            scores = np.asarray(BASELINES[system](part, seed))[users][:, items]
            score(system, seed, protocol.topk(scores, split, LENGTH), time.perf_counter() - start)
        for model in options.models:
            run, rest, took = train(options, name, seed, model)
            arguments = ["--run", run, "--users", rest / "eval_users.csv", "--k", LENGTH, "--diversity", 0]
            if name == "P2":
                arguments += ["--candidates", rest / "candidates.csv"]
            lists = options.work / f"{run.name}.csv"
            tool("recommend", *arguments, "--out", lists)
            score(f"tfrec_div {model}", seed, protocol.read_recs(lists, data, split), took)
    best = max(
        options.baselines, key=lambda b: np.mean([s["NDCG@10"].mean() for s in per_user[b]]), default=None
    )
    print(f"\n{name}{' (validation)' if options.val else ''}, seeds {', '.join(map(str, splits))}")
    print(f"{'':24}{'NDCG@10':>9}{'±':>8}{'HR@10':>8}{'Recall@10':>11}{'z':>7}{'seconds':>9}")
    for system, found in per_user.items():
        means = {key: np.array([s[key].mean() for s in found]) for key in ("NDCG@10", "HR@10", "Recall@10")}
        z = "" if best in (None, system) else f"{paired_z(found, per_user[best]):.1f}"
        print(
            f"{system:24}{means['NDCG@10'].mean():9.4f}{means['NDCG@10'].std():8.4f}{means['HR@10'].mean():8.3f}"
            f"{means['Recall@10'].mean():11.3f}{z:>7}{np.mean(seconds[system]):9.0f}",
            flush=True,
        )


def paired_z(ours: list[dict[str, np.ndarray]], theirs: list[dict[str, np.ndarray]]) -> float:
    """Returns the mean difference of users' NDCG@10 over its standard error.

    The same users in several seeds are no new users: where all seeds have the same, a user's mean counts once.
    """
    pairs = [a["NDCG@10"] - b["NDCG@10"] for a, b in zip(ours, theirs, strict=True)]
    same = len({len(p) for p in pairs}) == 1
    difference = np.mean(pairs, axis=0) if same else np.concatenate(pairs)
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def ratings_table(protocol, data, name: str, splits: dict, options) -> None:
    split = splits[0]
    rows = {"mean of the ratings": np.full(split.test.sum(), data.r[split.train].mean())}
    rows["biases"] = biases(data, split)
    took = {}
    for model in options.models[:1]:
        run, rest, took["tfrec_div"] = train(options, name, 0, model)
        predictions = options.work / f"{run.name}-ratings.csv"
        tool("predict", "--run", run, "--pairs", rest / "test.csv", "--out", predictions)
        found = pd.read_csv(predictions).set_index(["user_id", "item_id"])["prediction"]
        pairs = list(zip(data.users[data.u[split.test]], data.items[data.i[split.test]], strict=True))
        rows["tfrec_div"] = found.reindex(pairs).to_numpy()
    print(f"\n{name}{' (validation)' if options.val else ''}")
    print(f"{'':24}{'RMSE':>9}{'MAE':>9}{'seconds':>9}")
    for system, values in rows.items():
        found = protocol.rating_metrics(data, split, values, (data.r.min(), data.r.max()))
        print(f"{system:24}{found['RMSE']:9.4f}{found['MAE']:9.4f}{took.get(system, 0):9.0f}", flush=True)


def biases(data, split, shrinkage: float = 5.0, rounds: int = 10) -> np.ndarray:
    """Returns the ratings of the test pairs by mean, item and user, each shrunk towards nothing."""
    user, item, rating = data.u[split.train], data.i[split.train], data.r[split.train]
    mean, by_user, by_item = rating.mean(), np.zeros(data.U), np.zeros(data.I)
    for _ in range(rounds):
        for side, values, other in ((item, by_item, by_user[user]), (user, by_user, by_item[item])):
            total = np.bincount(side, rating - mean - other, len(values))
            values[:] = total / (np.bincount(side, minlength=len(values)) + shrinkage)
    return mean + by_user[data.u[split.test]] + by_item[data.i[split.test]]


if __name__ == "__main__":
    main()
