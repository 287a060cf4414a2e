"""Towers: the features of a user or an item in, one vector out."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "CodeEncoder": "encoders",
    "ConcatFusion": "fusion",
    "FeatureTable": "feature_table",
    "HistoryEncoder": "history",
    "ImageEncoder": "image",
    "NumberEncoder": "encoders",
    "TextEncoder": "text",
    "Tower": "tower",
    "VectorEncoder": "encoders",
    "WordpieceTokenizer": "tokenizer",
    "encode_cached": "cache",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
