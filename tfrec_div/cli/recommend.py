"""Recommends to users of a list, into a CSV file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfrec_div.cli.arguments import add_reranker, check_page
from tfrec_div.cli.errors import refusal
from tfrec_div.data.errors import DataError, Problem

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--run", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of a training"
    )
    parser.add_argument(
        "--users", type=Path, required=True, metavar="FILE", help="CSV with the column user_id"
    )
    parser.add_argument("--k", type=int, default=10, metavar="N", help="items a user (default 10)")
    add_reranker(parser, "the run's")
    parser.add_argument("--diversity", type=float, metavar="X", help="0 to 1 (default: the run's)")
    parser.add_argument(
        "--candidates", type=Path, metavar="FILE", help="CSV with the column item_id: only these"
    )
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="CSV with user_id,item_id: never these")
    parser.add_argument(
        "--include-seen", action="store_true", help="recommend what a user knows from training, too"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="user_id,item_id,rank,score")


def run(arguments: argparse.Namespace) -> None:
    """Reads the lists, recommends, and writes the file as a whole or not at all."""
    from tfrec_div.training.config import RERANKERS
    from tfrec_div.training.run_directory import RunDirectory

    check_page(arguments)
    users = read_ids(arguments.users, "user_id")["user_id"].drop_duplicates().tolist()
    candidates = arguments.candidates and read_ids(arguments.candidates, "item_id")["item_id"].tolist()
    exclude = None
    if arguments.exclude:
        pairs = read_ids(arguments.exclude, "user_id", "item_id")
        exclude = pairs.groupby("user_id", sort=False)["item_id"].agg(list).to_dict()
    if not arguments.out.parent.is_dir() or arguments.out.is_dir():
        raise refusal("--out", "a file in a folder that exists", arguments.out)
    if arguments.reranker and arguments.reranker not in RERANKERS:
        raise refusal("--reranker", f"one of {', '.join(RERANKERS)}", arguments.reranker)
    if arguments.reranker_options and arguments.reranker in (None, "none"):
        raise refusal("--reranker-option", "a --reranker that it is for", arguments.reranker)
    directory = RunDirectory.open(arguments.run_dir)

    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.rerank.methods import make_reranker
    from tfrec_div.storage import load_recommender

    recommender = load_recommender(directory.recommender)
    if arguments.reranker:
        try:
            options = dict(arguments.reranker_options or ())
            none = arguments.reranker == "none"
            recommender.reranker = None if none else make_reranker(arguments.reranker, options, k=arguments.k)
        except ValueError as error:
            raise refusal("--reranker", "one that fits the run", error) from error
    pages = recommender.recommend(
        users,
        k=arguments.k,
        diversity=arguments.diversity,
        exclude=exclude,
        candidates=candidates,
        include_seen=arguments.include_seen,
        progress=True,
    )
    draft = arguments.out.with_name(f".{arguments.out.name}.draft")
    frame = pages.to_frame()
    try:
        frame.to_csv(draft, index=False)
        draft.replace(arguments.out)
    finally:
        draft.unlink(missing_ok=True)
    if pages.unknown_users:
        print(f"{pages.unknown_users} of {len(users)} users are unknown: they got the list for new users")
    if candidates is not None:
        unknown = int((recommender.schema.item_rows(candidates) < 0).sum())
        if unknown:
            print(f"{unknown} of {len(candidates)} candidates are not in the catalogue: passed over")
    print(f"{len(frame)} recommendations for {len(users)} users: {arguments.out}")


def read_ids(path: Path, *columns: str) -> pd.DataFrame:
    """Reads columns of ids from a CSV file with a header.

    Raises:
        DataError: If the file is not there, is empty, or lacks a column.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise DataError([Problem(str(path), None, None, "a CSV file", "no such file")]) from error
    except (OSError, ValueError) as error:
        raise DataError([Problem(str(path), None, None, "a CSV file with a header", str(error))]) from error
    for column in columns:
        if column not in frame:
            raise DataError([Problem(str(path), 1, column, "this column", ", ".join(frame.columns))])
    return frame[list(columns)]
