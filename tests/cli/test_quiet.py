"""The terminal of the command line shows what concerns its user only."""

from __future__ import annotations

import os
import subprocess
import sys

LOADS = "from tfrec_div.cli.quiet import load_tensorflow; load_tensorflow(); print('loaded')"


def python(code: str, **environment) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**inherited, **environment}
    )


def test_tensorflow_is_loaded_without_a_word():
    done = python(LOADS + "; import sys; print('mine', file=sys.stderr)", TF_CPP_MIN_LOG_LEVEL="3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded\n", "mine\n")


def test_who_asks_for_the_log_of_tensorflow_gets_it():
    done = python(LOADS, TF_CPP_MIN_LOG_LEVEL="0", CUDA_VISIBLE_DEVICES="")
    assert done.stdout == "loaded\n"
    assert "oneDNN" in done.stderr or "cpu_feature_guard" in done.stderr


def test_what_was_kept_back_is_shown_when_something_fails():
    done = python(
        "import os\n"
        "from tfrec_div.cli.quiet import quiet_errors\n"
        "with quiet_errors():\n"
        "    os.write(2, b'the library says why\\n')\n"
        "    raise ImportError('no TensorFlow')\n"
    )
    assert done.returncode == 1
    said = done.stderr
    assert said.index("the library says why") < said.index("ImportError: no TensorFlow")


def test_only_the_inside_is_kept_back():
    done = python(
        "import os\n"
        "from tfrec_div.cli.quiet import quiet_errors\n"
        "os.write(2, b'before ')\n"
        "with quiet_errors():\n"
        "    os.write(2, b'inside ')\n"
        "os.write(2, b'after')\n"
    )
    assert done.stderr == "before after"
