"""Catalogue coverage as a Keras metric."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.streaming.item_count_metric import ItemCountMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class CatalogCoverage(ItemCountMetric):
    """Share of the catalogue that is recommended to anybody; `tfrec_div.metrics.catalog_coverage`.

    Ge, Delgado-Battenfeld and Jannach (2010).

    Args:
        num_items: Size of the catalogue.
        name: Of the metric.
        dtype: Of the counts.

    Example:
        >>> metric = CatalogCoverage(num_items=5)
        >>> metric.update_state([[0, 1], [0, 2]])
        >>> float(metric.result())
        0.6
    """

    def __init__(self, num_items: int, name: str | None = "catalog_coverage", dtype: str = "float64") -> None:
        super().__init__(num_items, name=name, dtype=dtype)

    def result(self) -> tf.Tensor:
        """Returns the share of items with any weight."""
        return tf.reduce_mean(tf.cast(self.counts > 0.0, self.dtype))
