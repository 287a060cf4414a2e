"""Predicts the ratings of pairs of a list, into a CSV file."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec_div.cli.errors import refusal
from tfrec_div.cli.recommend import read_ids
from tfrec_div.data.errors import DataError, Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--run", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of a training"
    )
    parser.add_argument("--pairs", type=Path, required=True, metavar="FILE", help="CSV with user_id,item_id")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="user_id,item_id,prediction")


def run(arguments: argparse.Namespace) -> None:
    """Reads the pairs, predicts, and writes the file as a whole or not at all."""
    from tfrec_div.training.run_directory import RunDirectory

    pairs = read_ids(arguments.pairs, "user_id", "item_id")
    if not arguments.out.parent.is_dir() or arguments.out.is_dir():
        raise refusal("--out", "a file in a folder that exists", arguments.out)
    directory = RunDirectory.open(arguments.run_dir)
    if not directory.rater.is_file():
        expected = (
            "a run that learned ratings (train --ratings, on data with a column of ratings that differ)"
        )
        raise DataError([Problem(str(directory.path), None, None, expected, "one that learned none")])

    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.training.rating import load_rater

    model = load_rater(directory)
    users, items = model.schema.user_rows(pairs["user_id"]), model.schema.item_rows(pairs["item_id"])
    pairs = pairs.assign(prediction=model.ratings(users, items).round(4))
    draft = arguments.out.with_name(f".{arguments.out.name}.draft")
    try:
        pairs.to_csv(draft, index=False)
        draft.replace(arguments.out)
    finally:
        draft.unlink(missing_ok=True)
    for rows, ids, kind in ((users, pairs["user_id"], "users"), (items, pairs["item_id"], "items")):
        if unknown := ids[rows < 0].nunique():
            print(f"{unknown} of {ids.nunique()} {kind} are unknown: predicted as average ones")
    print(f"{len(pairs)} predictions: {arguments.out}")
