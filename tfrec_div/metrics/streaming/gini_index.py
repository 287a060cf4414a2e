"""The Gini index as a Keras metric."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.counts import GINI
from tfrec_div.metrics.streaming.item_count_metric import ItemCountMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class GiniIndex(ItemCountMetric):
    """Inequality of how often items are recommended; `tfrec_div.metrics.gini`.

    Args:
        num_items: Size of the catalogue.
        definition: `"recbole"` or `"elliot"`, as in the function.
        name: Of the metric.
        dtype: Of the counts.

    Raises:
        ValueError: If the definition is unknown.

    Example:
        >>> metric = GiniIndex(num_items=5)
        >>> metric.update_state([[0, 1], [0, 2], [0, 2]])
        >>> round(float(metric.result()), 4)
        0.5333
    """

    def __init__(
        self,
        num_items: int,
        definition: str = "recbole",
        name: str | None = "gini_index",
        dtype: str = "float64",
    ) -> None:
        if definition not in GINI:
            raise ValueError(f"definition: expected one of {', '.join(GINI)}, got {definition!r}")
        super().__init__(num_items, name=name, dtype=dtype)
        self.definition = definition

    def result(self) -> tf.Tensor:
        """Returns the index of the counts."""
        counts = tf.sort(self.counts)
        places = tf.range(1 - self.num_items, self.num_items, delta=2)
        total = tf.reduce_sum(tf.cast(places, self.dtype) * counts)
        weighted = tf.math.divide_no_nan(tf.maximum(total, 0.0), tf.reduce_sum(counts))
        if self.definition == "recbole":
            return weighted / self.num_items
        return 1.0 - weighted / max(self.num_items - 1, 1)

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {**super().get_config(), "definition": self.definition}
