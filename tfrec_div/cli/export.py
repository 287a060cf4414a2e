"""Exports a run as a SavedModel for TensorFlow Serving."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--run", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of a training"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="saved_models/NAME; gets a new version"
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the next version and says where."""
    from tfrec_div.training.run_directory import RunDirectory

    directory = RunDirectory.open(arguments.run_dir)

    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.serving.export import export
    from tfrec_div.storage import load_recommender

    recommender = load_recommender(directory.recommender)
    print("writing the SavedModel and checking it in a fresh process ...")
    version = export(recommender, arguments.out)
    print(f"the export answers as the run for all {recommender.schema.num_users} users: {version}")
