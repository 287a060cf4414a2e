"""Towers: the features of a user or an item in, one vector out."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "AttentionFusion": "fusion",
    "BehaviorBag": "behavior_bag",
    "BehaviorSequence": "behavior_sequence",
    "BilinearFusion": "fusion",
    "ByteBpeTokenizer": "byte_bpe",
    "CapsuleInterests": "interests",
    "CodeEncoder": "encoders",
    "CodeView": "views",
    "ConcatFusion": "fusion",
    "ContentProfile": "content_profile",
    "CrossModalFusion": "fusion",
    "DimensionAttention": "dimensions",
    "encode_cached": "cache",
    "EXTRACTORS": "interests",
    "FeatureTable": "feature_table",
    "fusion_layer": "fusion",
    "FUSIONS": "fusion",
    "GatedFusion": "fusion",
    "GRUHistoryEncoder": "history",
    "HISTORY_ENCODERS": "history",
    "history_layer": "history",
    "HistoryEncoder": "history",
    "HubTextEncoder": "hub",
    "ImageEncoder": "image",
    "interest_layer": "interests",
    "InterestExtractor": "interests",
    "MeanHistoryEncoder": "history",
    "DimensionInterests": "dimensions",
    "MixtureOfExperts": "experts",
    "ModelEncoder": "model_encoder",
    "NumberEncoder": "encoders",
    "NumberView": "views",
    "PartsEncoder": "parts",
    "PooledHistoryEncoder": "history",
    "ProjectedConcatFusion": "fusion",
    "ReviewTable": "reviews",
    "SelfAttentionHistoryEncoder": "history",
    "SelfAttentiveInterests": "interests",
    "SentencepieceTokenizer": "sentencepiece",
    "TextEncoder": "text",
    "TokenTexts": "token_texts",
    "Tower": "tower",
    "VectorEncoder": "encoders",
    "VectorView": "views",
    "View": "views",
    "WordpieceTokenizer": "tokenizer",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
