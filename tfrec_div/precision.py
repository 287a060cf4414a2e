"""Mixed precision: which layers compute in 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def check_precision(policy: str) -> None:
    """Raises ValueError if a policy is none of `PRECISIONS`."""
    if policy not in PRECISIONS:
        raise ValueError(f"precision: expected one of {list(PRECISIONS)}, got {policy!r}")


@contextmanager
def precision_scope(policy: str) -> Iterator[None]:
    """Gives the layers made inside one of Keras' precision policies, whatever the global one is.

    Example:
        >>> from tfrec_div._keras import keras
        >>> with precision_scope("mixed_bfloat16"):
        ...     layer = keras.layers.Dense(1)
        >>> layer.compute_dtype, keras.layers.Dense(1).compute_dtype
        ('bfloat16', 'float32')
    """
    from tfrec_div._keras import keras  # the command line reads the names above without TensorFlow

    check_precision(policy)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
