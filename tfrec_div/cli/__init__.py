"""The command line, `tfrec-div`: a module for each command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from tfrec_div.cli.quiet import HIDDEN, LOG_LEVEL

COMMANDS = ("run", "validate", "train", "evaluate", "recommend", "predict", "export", "synth")
OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The words after `tfrec-div`; those of this process by default.

    Returns:
        0 on success, 2 on bad input, 1 when the machine gave up (a full disk), both with one message on standard
        error; 130 when interrupted from the keyboard.
    """
    # What TensorFlow says at its start is of no use to someone who waits for a recommender.
    os.environ.setdefault(LOG_LEVEL, HIDDEN)
    arguments = build_parser().parse_args(argv)
    from tfrec_div.cli.errors import BadInput, explain

    # A warning is for the person at the terminal, who has no use for the place in the code that gives it.
    usual, warnings.formatwarning = warnings.formatwarning, lambda message, *_, **__: f"warning: {message}\n"
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BadInput as error:
        print(f"tfrec-div {arguments.command}: {explain(error)}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"tfrec-div {arguments.command}: {explain(error)}", file=sys.stderr)
        return FAILED
    finally:
        warnings.formatwarning = usual
    return OK


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="tfrec-div",
        description="Recommenders that are relevant and diverse, from a folder to a SavedModel.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"tfrec_div.cli.{name}")
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
