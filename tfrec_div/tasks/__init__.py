"""Losses that teach a query to find its item."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "FullSoftmax": "retrieval",
    "InBatchSoftmax": "retrieval",
    "MemoryNegatives": "negatives",
    "MinedNegatives": "negatives",
    "ShownNegatives": "negatives",
    "UniformNegatives": "negatives",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
