"""Re-ranking layers: from many scored candidates to a short list that is relevant and diverse."""

from tfrec_div.rerank.base import Pool, Reranker
from tfrec_div.rerank.diversify import diversify
from tfrec_div.rerank.dpp import DPP
from tfrec_div.rerank.methods import METHODS, reranker_class
from tfrec_div.rerank.mmr import MMR
from tfrec_div.rerank.scores import SCORE_NORMALIZATIONS, normalize_scores

__all__ = [
    "DPP",
    "METHODS",
    "MMR",
    "SCORE_NORMALIZATIONS",
    "Pool",
    "Reranker",
    "diversify",
    "normalize_scores",
    "reranker_class",
]
