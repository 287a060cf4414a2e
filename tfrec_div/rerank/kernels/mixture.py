"""A weighted sum of kernels."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.kernels.base import Kernel, Products, Similarity
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows


@keras.utils.register_keras_serializable(package="tfrec_div")
class Mixture(Kernel):
    """A weighted sum of kernels: two items are alike as far as they are in text, look, category, ….

    Products of rows are mixed by putting the rows side by side, so a mixture of cosines costs one product a
    pick.

    Args:
        weights: a weight above 0 for each kernel; they are divided by their sum.
        kernels: the kernels.

    Raises:
        ValueError: no kernel, or a weight that is not above 0.
    """

    def __init__(self, weights: Sequence[float], kernels: Sequence[Kernel]) -> None:
        super().__init__("")
        if not kernels or len(weights) != len(kernels):
            raise ValueError(
                f"Mixture: expected a weight for each kernel; received {len(weights)} weights, {len(kernels)} kernels"
            )
        if not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise ValueError(f"Mixture: expected kernels, such as Cosine('text'); received {list(kernels)!r}")
        for weight in weights:
            if not 0.0 < weight < float("inf"):
                raise ValueError(f"Mixture: a weight must be above 0 and finite; received {weight!r}")
        self.weights = tuple(float(weight) for weight in weights)
        self.kernels = tuple(kernels)

    @property
    def features(self) -> tuple[str, ...]:
        """The keys of the inputs that its kernels read."""
        return tuple(dict.fromkeys(key for kernel in self.kernels for key in kernel.features))

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether all its kernels can be products of rows."""
        return all(kernel.linear for kernel in self.kernels)

    def linear_in(self, pool: Pool) -> bool:
        """Whether all its kernels are products of rows here."""
        return all(kernel.linear_in(pool) for kernel in self.kernels)

    def of(self, pool: Pool, weight: tf.Tensor | float = 1.0) -> Similarity:
        """See `Kernel`."""
        if self.linear_in(pool):
            root = tf.sqrt(tf.reshape(tf.convert_to_tensor(weight, tf.float32), [-1, 1]))
            return Products(self.rows(pool).times(root + tf.zeros_like(pool.scores)))
        return Sum([kernel.of(pool, share * weight) for share, kernel in self._shares()])

    def rows(self, pool: Pool) -> Rows:
        """The rows of all kernels side by side."""
        parts = [(share**0.5, kernel.rows(pool)) for share, kernel in self._shares()]
        scaled = [rows.map(functools.partial(operator.mul, root)) for root, rows in parts]
        return functools.reduce(Rows.beside_rows, scaled)

    def own(self, pool: Pool) -> tf.Tensor:
        """See `Kernel`."""
        return functools.reduce(operator.add, (share * kernel.own(pool) for share, kernel in self._shares()))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        kernels = [keras.saving.serialize_keras_object(kernel) for kernel in self.kernels]
        return {"weights": list(self.weights), "kernels": kernels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Mixture:
        """The inverse of `get_config`."""
        kernels = [keras.saving.deserialize_keras_object(kernel) for kernel in config["kernels"]]
        return cls(config["weights"], kernels)

    def _shares(self) -> list[tuple[float, Kernel]]:
        total = sum(self.weights)
        return [(weight / total, kernel) for weight, kernel in zip(self.weights, self.kernels, strict=True)]


class Sum:
    """The sum of several similarities.

    Args:
        parts: the similarities, weighted.
    """

    def __init__(self, parts: Sequence[Similarity]) -> None:
        self._parts = parts

    def to(self, pick: tf.Tensor) -> tf.Tensor:
        """See `Similarity`."""
        return functools.reduce(operator.add, (part.to(pick) for part in self._parts))

    def matrix(self) -> tf.Tensor:
        """See `Similarity`."""
        return functools.reduce(operator.add, (part.matrix() for part in self._parts))
