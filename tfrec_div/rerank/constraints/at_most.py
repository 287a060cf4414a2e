"""A cap on the items with the same value."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.constraints.base import Constraint, Page, Rule, State, context_columns
from tfrec_div.rerank.constraints.values import Values, values_of
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class AtMost(Constraint):
    """At most `n` items of a category, of a brand, of each value of any attribute.

    Args:
        n: how many, at least 0.
        by: the attribute; see `Constraint`. An item of several categories counts in each.
        value: the code or category that is limited; None: each.
        count_context: whether the items of a context count. Then a value that they have used up is not on the
            page at all.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tfrec_div.rerank import MMR, AtMost
        >>> layer = MMR(k=2, diversity=0.0, constraints=[AtMost(1, by="brand")])
        >>> layer({"scores": [[3.0, 2.0, 1.0]], "vectors": [[[1.0], [1.0], [1.0]]], "brand": [[7, 7, 5]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(self, n: int, by: str, value: int | None = None, count_context: bool = True) -> None:
        super().__init__(by)
        self.n = self._whole("n", n, 0)
        self.value = None if value is None else self._whole("value", value, 0)
        self.count_context = bool(count_context)

    def start(self, page: Page) -> Cap:
        """See `Constraint`."""
        values = values_of(page.pool, self.by, self.value)
        counted = page.counted(self.count_context)
        if counted is None:
            return Cap(self.n, values, tf.zeros_like(values.of(page.length[:, 0] * 0)))
        return Cap(self.n, values, values.supply(counted))

    def holds(self, pool: Pool, positions: tf.Tensor) -> tf.Tensor:
        """See `Constraint`. A value that only the context has breaks nothing."""
        values = values_of(pool, self.by, self.value)
        on_page = values.tally(positions)
        count = on_page + values.supply(context_columns(pool) & self.count_context)
        return tf.reduce_all((on_page < 0.5) | (count < self.n + 0.5), axis=1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"n": self.n, **super().get_config(), "value": self.value, "count_context": self.count_context}


class Cap(Rule):
    """`AtMost` on one page.

    Args:
        n: how many.
        values: what the columns have.
        counts: how many count already, float32 `[batch, values]`.
    """

    def __init__(self, n: int, values: Values, counts: tf.Tensor) -> None:
        self._n = n
        self._values = values
        self.state = (counts,)

    def allowed(self, state: State, open_: tf.Tensor, place: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """See `Rule`."""
        return self._values.hits(state[0] > self._n - 0.5) < 0.5

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        return (state[0] + new * self._values.of(pick),)
