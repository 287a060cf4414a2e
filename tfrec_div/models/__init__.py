"""Models that retrieve."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "Cascade": "cascade",
    "ContentToCollaborative": "content_to_collaborative",
    "DeepMF": "deep_mf",
    "EASE": "ease",
    "EncoderDecoder": "encoder_decoder",
    "Ensemble": "ensemble",
    "InterestFusion": "interest_fusion",
    "MostPopular": "most_popular",
    "MultiInterest": "multi_interest",
    "MultVAE": "mult_vae",
    "rated_lists": "rated_lists",
    "ranking_lists": "ranking_lists",
    "Ranker": "ranker",
    "RankingLists": "ranking_lists",
    "RankingModel": "ranking_model",
    "RatingModel": "rating_model",
    "RetrievalModel": "retrieval_model",
    "Retriever": "retriever",
    "shown_lists": "shown_lists",
    "TwoTower": "two_tower",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
