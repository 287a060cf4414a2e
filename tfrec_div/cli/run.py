"""The main job: trains, evaluates, diversifies, exports and reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec_div.cli.arguments import add_data, add_training, training_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add_data(parser, required=False, text="dataset folder (default: the built-in synthetic shop)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/demo"),
        metavar="RUN",
        help="folder of the run (default runs/demo)",
    )
    add_training(parser)


def run(arguments: argparse.Namespace) -> None:
    """Loads the data and does the whole job."""
    config = training_config(arguments, test="temporal")
    if arguments.data is None:
        from tfrec_div.data.synthetic import make_synthetic

        print("No --data: a synthetic shop is made, with drawn pictures.")
        data = make_synthetic(seed=config.seed)
    else:
        from tfrec_div.cli.train import load

        data = load(arguments)
    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.pipeline import run_main_job

    report = run_main_job(data, config, arguments.out, strategy=arguments.strategy)
    if report is not None:
        print(f"report: {report}")
