"""Interests along several dimensions: what each is read from, what a user wants in it, and how much it counts."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "DimensionAttention": "attention",
    "DimensionInterests": "interests",
    "dimension_features": "features",
    "dimension_views": "features",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
