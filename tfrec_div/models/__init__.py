"""Models that retrieve."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "EASE": "ease",
    "Ensemble": "ensemble",
    "MostPopular": "most_popular",
    "MultVAE": "mult_vae",
    "MultiInterest": "multi_interest",
    "ContentToCollaborative": "content_to_collaborative",
    "DeepMF": "deep_mf",
    "RatingModel": "rating_model",
    "InterestFusion": "interest_fusion",
    "RetrievalModel": "retrieval_model",
    "Retriever": "retriever",
    "TwoTower": "two_tower",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
