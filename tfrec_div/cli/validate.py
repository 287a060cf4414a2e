"""Checks a dataset folder and lists all problems."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="dataset folder")


def run(arguments: argparse.Namespace) -> None:
    """Prints each problem, and leaves with code 2 when there is an error among them."""
    from tfrec_div.data.validate import validate_folder

    problems = validate_folder(arguments.data)
    for problem in problems:
        print(f"{problem.severity}: {problem}")
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    print(f"{arguments.data}: {errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}")
    if errors:
        sys.exit(2)
