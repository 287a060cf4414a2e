"""Metrics in NumPy: relevance, diversity and novelty of recommended lists; as Keras metrics in `streaming`."""

from tfrec_div._lazy import lazy_names
from tfrec_div.metrics.behavior import displacement, least_promoted, relevance_lost
from tfrec_div.metrics.binomial import binomial_coverage, binomial_diversity, binomial_non_redundancy
from tfrec_div.metrics.calibration import calibration_js, calibration_kl, recency_weights
from tfrec_div.metrics.counts import SystemCounts
from tfrec_div.metrics.diversity import category_entropy, intra_list_distance
from tfrec_div.metrics.eild import expected_intra_list_distance
from tfrec_div.metrics.history_profile import history_profile
from tfrec_div.metrics.ils import intra_list_similarity
from tfrec_div.metrics.intent_aware import (
    alpha_ndcg,
    average_precision_ia,
    err_ia,
    nrbp,
    precision_ia,
    subtopic_recall,
)
from tfrec_div.metrics.judgements import Judgements
from tfrec_div.metrics.long_tail import aclt, aplt, long_tail
from tfrec_div.metrics.novelty import (
    expected_free_discovery,
    expected_popularity_complement,
    novelty,
    popularity,
)
from tfrec_div.metrics.prediction import auc, grouped_auc, log_loss, pool_ndcg, rmse, user_auc
from tfrec_div.metrics.radio import (
    radio_activation,
    radio_alternative_voices,
    radio_calibration,
    radio_fragmentation,
    radio_representation,
)
from tfrec_div.metrics.rbo import rbo
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
from tfrec_div.metrics.reliability import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from tfrec_div.metrics.serendipity import serendipity
from tfrec_div.metrics.system import (
    average_overlap,
    catalog_coverage,
    exposure_gini,
    gini,
    personalization,
    shannon_entropy,
)
from tfrec_div.metrics.unexpectedness import item_unexpectedness, unexpectedness
from tfrec_div.metrics.vendi import vendi_score

__all__ = [
    "RELEVANCE",
    "Judgements",
    "ReliabilityCurve",
    "SystemCounts",
    "aclt",
    "alpha_ndcg",
    "aplt",
    "auc",
    "average_overlap",
    "average_precision",
    "average_precision_ia",
    "binomial_coverage",
    "binomial_diversity",
    "binomial_non_redundancy",
    "calibration_js",
    "calibration_kl",
    "catalog_coverage",
    "category_entropy",
    "displacement",
    "err_ia",
    "expected_calibration_error",
    "expected_free_discovery",
    "expected_intra_list_distance",
    "expected_popularity_complement",
    "exposure_gini",
    "f1",
    "gini",
    "grouped_auc",
    "history_profile",
    "hit_rate",
    "hits",
    "intra_list_distance",
    "intra_list_similarity",
    "item_unexpectedness",
    "least_promoted",
    "log_loss",
    "long_tail",
    "ndcg",
    "novelty",
    "nrbp",
    "num_relevant",
    "personalization",
    "pool_ndcg",
    "popularity",
    "precision",
    "precision_ia",
    "radio_activation",
    "radio_alternative_voices",
    "radio_calibration",
    "radio_fragmentation",
    "radio_representation",
    "rbo",
    "recall",
    "recency_weights",
    "reciprocal_rank",
    "relevance_lost",
    "reliability_curve",
    "rmse",
    "serendipity",
    "shannon_entropy",
    "subtopic_recall",
    "unexpectedness",
    "user_auc",
    "vendi_score",
]

# With TensorFlow, so imported when it is first used.
__getattr__ = lazy_names(__name__, {"streaming": "streaming"})
