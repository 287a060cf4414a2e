"""The entropy of recommended items as a Keras metric."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.metrics.counts import ENTROPY
from tfrec_div.metrics.streaming.item_count_metric import ItemCountMetric


@keras.utils.register_keras_serializable(package="tfrec_div")
class ShannonEntropy(ItemCountMetric):
    """Entropy of how often items are recommended; `tfrec_div.metrics.shannon_entropy`.

    Args:
        num_items: Size of the catalogue.
        definition: `"recbole"` or `"lenskit"`, as in the function.
        name: Of the metric.
        dtype: Of the counts.

    Raises:
        ValueError: If the definition is unknown.

    Example:
        >>> metric = ShannonEntropy(num_items=4, definition="lenskit")
        >>> metric.update_state([[0, 1], [2, 3]])
        >>> float(metric.result())
        2.0
    """

    def __init__(
        self,
        num_items: int,
        definition: str = "recbole",
        name: str | None = "shannon_entropy",
        dtype: str = "float64",
    ) -> None:
        if definition not in ENTROPY:
            raise ValueError(f"definition: expected one of {', '.join(ENTROPY)}, got {definition!r}")
        super().__init__(num_items, name=name, dtype=dtype)
        self.definition = definition

    def result(self) -> tf.Tensor:
        """Returns the entropy of the counts."""
        counts = self.counts + (1e-6 if self.definition == "lenskit" else 0.0)
        share = tf.math.divide_no_nan(counts, tf.reduce_sum(counts))
        entropy = -tf.reduce_sum(tf.math.xlogy(share, share))
        if self.definition == "lenskit":
            return entropy / np.log(2.0)
        return tf.math.divide_no_nan(entropy, tf.reduce_sum(tf.cast(counts > 0.0, self.dtype)))

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {**super().get_config(), "definition": self.definition}
