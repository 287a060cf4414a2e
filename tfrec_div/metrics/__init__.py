"""Metrics in NumPy: relevance, diversity and novelty of recommended lists."""

from tfrec_div.metrics.diversity import (
    average_overlap,
    catalog_coverage,
    category_entropy,
    gini,
    intra_list_distance,
    personalization,
    shannon_entropy,
)
from tfrec_div.metrics.novelty import novelty, popularity
from tfrec_div.metrics.relevance import (
    RELEVANCE,
    average_precision,
    f1,
    hit_rate,
    hits,
    ndcg,
    num_relevant,
    precision,
    recall,
    reciprocal_rank,
)

__all__ = [
    "RELEVANCE",
    "average_overlap",
    "average_precision",
    "catalog_coverage",
    "category_entropy",
    "f1",
    "gini",
    "hit_rate",
    "hits",
    "intra_list_distance",
    "ndcg",
    "novelty",
    "num_relevant",
    "personalization",
    "popularity",
    "precision",
    "recall",
    "reciprocal_rank",
    "shannon_entropy",
]
