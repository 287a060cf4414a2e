"""The one place that decides which Keras is used: `tf.keras` 2 (the `tf_keras` package).

TensorFlow Recommenders and the TensorFlow classes of Transformers are built on Keras 2. The switch must be set
before TensorFlow is imported, so every module of this package takes `tf`, `keras` and `tfrs` from here.
"""

from __future__ import annotations

import os

_SWITCH = "TF_USE_LEGACY_KERAS"

os.environ.setdefault(_SWITCH, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

# The Keras 2 of TensorFlow does not name its version; that of Keras 3 does.
if getattr(tf.keras, "__version__", "2").startswith("3"):
    raise ImportError(
        f"tfrec_div needs Keras 2, but TensorFlow was already imported with Keras {tf.keras.__version__}. "
        f'Add `import os; os.environ["{_SWITCH}"] = "1"` before the first `import tensorflow`, '
        "or import tfrec_div._keras first."
    )

import tensorflow_recommenders as tfrs  # noqa: E402

keras = tf.keras

__all__ = ["keras", "tf", "tfrs"]
