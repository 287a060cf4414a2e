"""Keeps TensorFlow's first lines away from the terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

LOG_LEVEL, HIDDEN = "TF_CPP_MIN_LOG_LEVEL", "3"


@contextmanager
def quiet_errors() -> Iterator[None]:
    """Keeps back what is written to standard error, by C++ as well; writes it after all if something fails.

    TensorFlow's libraries write about oneDNN and CUDA to the file descriptor while they are loaded, before they read
    any setting that would keep them from it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        real = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            _end(real)
            kept.seek(0)
            os.write(2, kept.read())
            raise
        _end(real)


def load_tensorflow() -> None:
    """Imports TensorFlow without a word, unless it cannot be imported or the user wants its log (level 0 to 2)."""
    wanted = os.environ.get(LOG_LEVEL, HIDDEN) != HIDDEN
    with nullcontext() if wanted or "tensorflow" in sys.modules else quiet_errors():
        from tfrec_div._keras import tf

        # CUDA is looked for now, and not at the first operation.
        tf.config.list_physical_devices()


def _end(real: int) -> None:
    sys.stderr.flush()
    os.dup2(real, 2)
    os.close(real)
