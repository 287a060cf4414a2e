"""Trains a recommender from a dataset folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec_div.cli.arguments import add_data, add_training, training_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="folder of the run, new or interrupted"
    )
    add_training(parser)


def run(arguments: argparse.Namespace) -> None:
    """Loads the data and trains."""
    config = training_config(arguments)
    data = load(arguments)
    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.training.train import train

    trained = train(data, config, arguments.out, strategy=arguments.strategy)
    if not trained.written:
        return
    print(f"run: {trained.run.path}")
    print(f"recommender: {trained.run.recommender}")
    if trained.run.logs.is_dir():
        print(f"TensorBoard: tensorboard --logdir {trained.run.logs}")
    print(f"next: tfrec-div evaluate --run {trained.run.path}")


def load(arguments: argparse.Namespace):
    """Loads the dataset folder of `--data` and says what is in it."""
    from tfrec_div.data.folder import load_folder

    data = load_folder(arguments.data, on_error=arguments.on_error)
    summary = data.summary()
    print(
        f"{data.name}: {summary['users']} users, {summary['items']} items, {summary['interactions']} interactions"
    )
    for warning in data.warnings:
        print(f"warning: {warning}")
    for file, count in data.dropped.items():
        print(f"dropped {count} rows of {file}")
    return data
