"""A distance between items with the same value."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.constraints.at_most import AtMost
from tfrec_div.rerank.constraints.base import Constraint, Page
from tfrec_div.rerank.constraints.distance import Distance, FarSighted, FarSightedRows
from tfrec_div.rerank.constraints.values import Columns, values_of
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class MinGap(Constraint):
    """At least `gap` other items between two of the same brand, between two that share a category.

    The items of a context count, so the gap reaches across the border of two pages.

    Args:
        gap: how many items, at least 1. With 1 no two neighbours share a value.
        by: the attribute; see `Constraint`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tfrec_div.rerank import MMR, MinGap
        >>> layer = MMR(k=3, diversity=0.0, constraints=[MinGap(1, by="brand")])
        >>> layer({"scores": [[3.0, 2.0, 1.0]], "vectors": [[[1.0], [1.0], [1.0]]], "brand": [[7, 7, 5]]}).numpy()
        array([[0, 2, 1]], dtype=int32)
    """

    def __init__(self, gap: int, by: str) -> None:
        super().__init__(by)
        self.gap = self._whole("gap", gap, 1)

    def start(self, page: Page) -> Distance:
        """See `Constraint`."""
        values = values_of(page.pool, self.by)
        if isinstance(values, Columns):
            return FarSightedRows(self.gap, values, page)
        limits = [one for one in page.constraints if isinstance(one, AtMost) and one.by == self.by]
        return FarSighted(self.gap, values, page, [one for one in limits if one.value is None])

    def holds(self, pool: Pool, positions: tf.Tensor) -> tf.Tensor:
        """See `Constraint`."""
        batch, columns = tf.unstack(tf.shape(pool.scores))
        before = tf.minimum(self.gap, pool.context)
        latest = tf.range(columns - before, columns)[tf.newaxis] + tf.zeros([batch, 1], tf.int32)
        values = values_of(pool, self.by)
        line = values.at(tf.concat([latest, positions], axis=1))
        fits = tf.ones([batch], tf.bool)
        for distance in range(1, self.gap + 1):
            alike = values.alike(line[:, :-distance], line[:, distance:])
            alike &= tf.range(tf.shape(alike)[1]) + distance >= before  # the context itself is as it is
            fits &= ~tf.reduce_any(alike, axis=1)
        return fits

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"gap": self.gap, **super().get_config()}
