"""The metrics of `tfrec_div.metrics` as Keras metrics, batch by batch, in graphs and on several devices.

Imported when they are first used, so that `tfrec_div.metrics` loads no TensorFlow.
"""

from tfrec_div._lazy import lazy_names

_NAMES = {
    "AverageRecommendationPopularity": "average_recommendation_popularity",
    "CatalogCoverage": "catalog_coverage",
    "CategoryEntropy": "category_entropy",
    "ExposureGini": "exposure_gini",
    "GiniIndex": "gini_index",
    "IntraListDistance": "intra_list_distance",
    "ItemCountMetric": "item_count_metric",
    "ItemMeanMetric": "item_mean_metric",
    "ListMeanMetric": "list_mean_metric",
    "ListMetric": "list_metric",
    "LongTailShare": "long_tail_share",
    "Novelty": "novelty",
    "Personalization": "personalization",
    "ShannonEntropy": "shannon_entropy",
}

__getattr__ = lazy_names(__name__, _NAMES)
__all__ = sorted(_NAMES)


def __dir__() -> list[str]:
    return __all__
