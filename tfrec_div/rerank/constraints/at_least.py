"""A minimum of items with a value."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.constraints.base import Constraint, Page, Rule, State
from tfrec_div.rerank.constraints.values import values_of
from tfrec_div.rerank.pool import Pool


@keras.utils.register_keras_serializable(package="tfrec_div")
class AtLeast(Constraint):
    """At least `n` items of a category, of a brand, of each value that any of the candidates has.

    The items come where the method puts them; only when as many places are left as are needed, others have to
    stand back. So a shorter page is not the beginning of a longer one. Items of a context do not count.

    Args:
        n: how many, at least 1.
        by: the attribute; see `Constraint`. An item of several categories counts in each.
        value: the code or category that is asked for; None: each that occurs among the candidates.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tfrec_div.rerank import MMR, AtLeast
        >>> layer = MMR(k=2, diversity=0.0, constraints=[AtLeast(1, by="groups", value=1)])
        >>> layer({"scores": [[3.0, 2.0, 1.0]], "vectors": [[[1.0], [1.0], [1.0]]], "groups": [[0, 0, 1]]}).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(self, n: int, by: str, value: int | None = None) -> None:
        super().__init__(by)
        self.n = self._whole("n", n, 1)
        self.value = None if value is None else self._whole("value", value, 0)

    def start(self, page: Page) -> Need:
        """See `Constraint`."""
        return Need(self, page)

    def holds(self, pool: Pool, positions: tf.Tensor) -> tf.Tensor:
        """See `Constraint`."""
        values = values_of(pool, self.by, self.value)
        enough = values.tally(positions) > self.n - 0.5
        if self.value is None:
            return tf.reduce_all(enough | (values.supply(pool.valid) < 0.5), axis=1)
        # Codes keep the count at the columns that have the value: there may be none.
        return tf.reduce_any(enough, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"n": self.n, **super().get_config(), "value": self.value}


class Need(Rule):
    """`AtLeast` on one page.

    Args:
        constraint: the constraint.
        page: the page to be made.
    """

    def __init__(self, constraint: AtLeast, page: Page) -> None:
        self._values = values_of(page.pool, constraint.by, constraint.value)
        supply = self._values.supply(page.available)
        self._members, self._weights = page.available, self._values.weights(supply)
        need = tf.minimum(supply, float(constraint.n))
        if page.pins is not None:
            need = tf.maximum(need - self._values.supply(page.pins.on_page), 0.0)
        self.state = (need,)

    def allowed(self, state: State, open_: tf.Tensor, place: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """See `Rule`. Where more is needed than there are places, an item has to serve several needs."""
        serves = self._values.hits(state[0] > 0.5)
        unmet = self._values.total(state[0], self._members, self._weights)
        required = unmet - tf.cast(left, tf.float32) + 1.0
        most = tf.reduce_max(tf.where(open_, serves, 0.0), axis=1, keepdims=True)
        return serves > tf.minimum(required, most) - 0.5

    def eager(self, state: State) -> tf.Tensor:
        """See `Rule`."""
        return self._values.hits(state[0] > 0.5) > 0.5

    def update(self, state: State, pick: tf.Tensor, place: tf.Tensor, new: tf.Tensor) -> State:
        """See `Rule`."""
        return (tf.maximum(state[0] - new * self._values.of(pick), 0.0),)
