"""What `import tfrec_div` promises."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_loads_no_tensorflow():
    done = python("import sys, tfrec_div; assert not {'tensorflow', 'pandas'} & set(sys.modules), 'loaded'")
    assert done.returncode == 0, done.stderr


def test_every_public_name_exists():
    import tfrec_div

    for name in tfrec_div.__all__:
        assert getattr(tfrec_div, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    import tfrec_div

    with pytest.raises(AttributeError, match="no attribute 'TwoTowers'"):
        tfrec_div.TwoTowers  # noqa: B018


def test_tensorflow_with_keras_3_is_refused_with_the_line_to_add():
    done = python(
        "import os; os.environ.pop('TF_USE_LEGACY_KERAS', None)\n"
        "import tensorflow as tf; tf.keras.layers.Dense\n"
        "import tfrec_div._keras"
    )
    assert done.returncode == 1
    assert 'os.environ["TF_USE_LEGACY_KERAS"] = "1"` before the first `import tensorflow`' in done.stderr
