"""Writes the synthetic shop as a dataset folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec_div.cli.errors import refusal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    parser.add_argument("--users", type=int, default=500, metavar="N", help="users (default 500)")
    parser.add_argument("--items", type=int, default=400, metavar="N", help="items (default 400)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed (default 0)")


def run(arguments: argparse.Namespace) -> None:
    """Makes and writes the data set."""
    for option, lowest in (("users", 1), ("items", 2), ("seed", 0)):
        if getattr(arguments, option) < lowest:
            raise refusal(f"--{option}", f"at least {lowest}", getattr(arguments, option))
    from tfrec_div.data.synthetic import make_synthetic
    from tfrec_div.data.write import write_folder

    data = make_synthetic(num_users=arguments.users, num_items=arguments.items, seed=arguments.seed)
    write_folder(data, arguments.out)
    print(f"wrote {len(data.users)} users, {len(data.catalog)} items, {len(data.interactions)} interactions")
    print(f"{arguments.out}")
