"""Nearest rows for query vectors."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "BruteForce": "brute_force",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
