"""What `benchmarks/interest_fusion.py` is asked for must go together."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "interest_fusion.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "a"], "--eval: expected a file for each folder of --data (1), got 0"),
        (["--data", "a", "b", "--eval", "c"], "--eval: expected a file for each folder of --data (2), got 1"),
        (
            ["--data", "a", "--eval", "b", "--exclude", "c", "d"],
            "--exclude: expected a file for each folder of --data (1), got 2",
        ),
        (["--eval", "a"], "--eval: expected a file for each folder of --data (0), got 1"),
    ],
)
def test_files_that_do_not_match_the_folders_are_refused(options, message, monkeypatch, capsys):
    # It imports its neighbour, as a script does.
    monkeypatch.syspath_prepend(str(PATH.parent))
    spec = importlib.util.spec_from_file_location("benchmark_of_interest_fusion", PATH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    with pytest.raises(SystemExit, match="2"):
        module.main(options)
    assert message in capsys.readouterr().err
