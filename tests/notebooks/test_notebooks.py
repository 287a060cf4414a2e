"""The notebooks run, and what is kept of their last run is fit to be read."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """What a cell puts out, but for what libraries write to standard error on one machine or another."""
    return {output.output_type for output in cell.outputs if output.get("name") != "stderr"}


def texts(cell):
    for output in cell.outputs:
        yield output.get("text", "") + output.get("data", {}).get("text/plain", "")


def test_there_are_two():
    assert [path.name for path in NOTEBOOKS] == ["01_quickstart.ipynb", "02_text_and_image_towers.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_kept_outputs_are_of_one_whole_run_and_of_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert sum(bool(cell.outputs) for cell in code(notebook)) > len(code(notebook)) / 2
    for cell in code(notebook):
        assert all(output.get("name") != "stderr" for output in cell.outputs)
        for text in texts(cell):
            assert text.count("\n") < 30
            assert not any(place in text for place in ("/tmp", "/home", "/root", "/usr", "site-packages"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_puts_out_what_is_kept(path, tmp_path):
    kept, notebook = (nbformat.read(path, as_version=4) for _ in range(2))
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)})
    assert [kinds(cell) for cell in code(notebook)] == [kinds(cell) for cell in code(kept)]
