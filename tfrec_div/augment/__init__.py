"""Augmentation: what training does to an input so that a model does not learn it by heart."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "ImageAugmentation": "image",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
