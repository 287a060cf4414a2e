"""What all kernels have in common."""

from __future__ import annotations

from typing import Any, Protocol

from tfrec_div._keras import tf
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


class Similarity(Protocol):
    """The similarities of the columns of one pool, times a weight."""

    def to(self, pick: tf.Tensor) -> tf.Tensor:
        """Similarity `[batch, columns]` of every column to the picked one, `pick` int32 `[batch]`."""

    def matrix(self) -> tf.Tensor:
        """Similarities of all pairs, `[batch, columns, columns]`."""


class Kernel:
    """A similarity of two items, larger for items more alike; 0 where a feature is missing.

    Args:
        feature: the key of the re-ranker's inputs that it reads.
    """

    linear = False
    """Whether the similarity can be the product of two rows."""

    def __init__(self, feature: str = "vectors") -> None:
        self.feature = feature

    @property
    def features(self) -> tuple[str, ...]:
        """The keys of the inputs that it reads."""
        return (self.feature,)

    def linear_in(self, pool: Pool) -> bool:
        """Whether the similarity is the product of two rows of this pool, which `rows` then gives."""
        return self.linear

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Similarity:
        """Similarities within a pool, times a weight that broadcasts to `[batch, columns]` and is at least 0."""
        raise NotImplementedError

    def own(self, pool: Pool) -> tf.Tensor:
        """Similarity of each column to itself, broadcasts to `[batch, columns]`; 1 for a missing one too."""
        return tf.ones_like(pool.scores)

    def rows(self, pool: Pool) -> Rows:
        """Rows whose products are the similarities, of a linear kernel."""
        raise NotImplementedError(f"{type(self).__name__} is no product of rows")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"feature": self.feature}

    def _rows(self, pool: Pool) -> Rows:
        feature = pool.features[self.feature]
        if not isinstance(feature, Rows):
            raise ValueError(
                f"{self!r} reads rows [batch, candidates, n]; received codes [batch, candidates] in "
                f"inputs[{self.feature!r}], for which there is 'equality({self.feature})'"
            )
        return feature

    def _codes(self, pool: Pool) -> tf.Tensor:
        feature = pool.features[self.feature]
        if isinstance(feature, Rows):
            raise ValueError(
                f"{self!r} reads codes [batch, candidates]; received rows in inputs[{self.feature!r}], for which "
                f"there are 'cosine({self.feature})' and 'jaccard({self.feature})'"
            )
        return feature

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Kernel:
        """The inverse of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(repr(self))


class Products:
    """The similarities of a linear kernel.

    Args:
        rows: their products are the weighted similarities.
        bound: similarities are clipped to ± this, `[batch, 1]`; None: not at all.
    """

    def __init__(self, rows: Rows, bound: tf.Tensor | None = None) -> None:
        self._rows, self._bound = rows, bound

    def to(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Similarity`."""
        return self._clipped(self._rows.dot_picked(pick), self._bound)

    def matrix(self) -> tf.Tensor:
        """See `Similarity`."""
        bound = None if self._bound is None else self._bound[:, :, tf.newaxis]
        return self._clipped(self._rows.products(), bound)

    def _clipped(self, products: tf.Tensor, bound: tf.Tensor | None) -> tf.Tensor:
        return products if bound is None else tf.clip_by_value(products, -bound, bound)
