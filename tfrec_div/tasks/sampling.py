"""The negatives of a model, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.tasks.negatives import (
    Candidates,
    MemoryNegatives,
    MinedNegatives,
    Negatives,
    ShownNegatives,
    UniformNegatives,
    mixture_probability,
)
from tfrec_div.tasks.replicas import sum_replicas

Kind = TypeVar("Kind", bound=Negatives)


class NegativeSampling(keras.layers.Layer):
    """Draws the rows of all kinds of negatives, and makes candidates for `InBatchSoftmax` of them.

    Args:
        negatives: The kinds; each at most once.
        num_users: Users of the model.
        num_items: Items of the model.
        dim: Length of the item vectors.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, negatives: Sequence[Negatives], num_users: int, num_items: int, dim: int, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        kinds = [type(kind) for kind in negatives]
        if not all(issubclass(kind, Negatives) for kind in kinds) or len(set(kinds)) < len(kinds):
            found = [kind.__name__ for kind in kinds]
            raise ValueError(f"negatives: expected different kinds of Negatives, got {found}")
        # Copies: their state belongs to this model, and to the strategy that it is made under.
        self.negatives = [kind.from_config(kind.get_config()) for kind in negatives]
        self.num_items = num_items
        for kind in self.negatives:
            kind.prepare(num_users, num_items, dim)

    def of(self, kind: type[Kind]) -> Kind | None:
        """Returns the negatives of a class, or None."""
        return next((one for one in self.negatives if isinstance(one, kind)), None)

    def draw(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Draws the rows of a step: "shared" int32 [n] and "own" int32 [batch, m], as far as there are any."""
        drawn = {}
        uniform = self.of(UniformNegatives)
        if uniform is not None:
            drawn["shared"] = uniform.rows()
        own = [kind.rows(inputs) for kind in self.negatives if kind.use == "own"]
        if own:
            drawn["own"] = tf.concat(own, axis=1)
        return drawn

    def candidates(
        self,
        drawn: dict[str, tf.Tensor],
        vectors_of: Callable[[tf.Tensor], tf.Tensor],
        probability_of: Callable[[tf.Tensor], tf.Tensor],
    ) -> dict[str, Candidates]:
        """Returns what `InBatchSoftmax` is called with, by argument.

        Args:
            drawn: What `draw` returned.
            vectors_of: Gives the vectors of drawn rows.
            probability_of: Gives the probability of rows.
        """
        found = {}
        for name, rows in drawn.items():
            row = tf.maximum(rows, 0)
            found[name] = Candidates(rows, vectors_of(row), probability_of(row))
        memory = self.of(MemoryNegatives)
        if memory is not None:
            rows = tf.identity(memory.rows)
            probability = probability_of(tf.maximum(rows, 0))
            found["memory"] = Candidates(rows, tf.identity(memory.vectors), probability)
        return found

    def probability(self, share: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        """Returns how likely items are to be candidates, from their shares of the log; `batch` is this replica's."""
        uniform, memory = self.of(UniformNegatives), self.of(MemoryNegatives)
        if uniform is None:
            return share
        from_log = sum_replicas(batch)
        if memory is not None:
            from_log += tf.math.count_nonzero(memory.rows >= 0, dtype=from_log.dtype)
        return mixture_probability(share, from_log, uniform.number, self.num_items)

    def remember(self, rows: tf.Tensor, vectors: tf.Tensor) -> None:
        """Puts the items of a batch into the memory, if there is one."""
        memory = self.of(MemoryNegatives)
        if memory is not None:
            memory.push(rows, vectors)

    def for_fit(self, model, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        """Returns the batches with what the negatives need of them, and what is to be called in training.

        Args:
            model: The model that is trained, see `mine`.
            batches: Its batches.
        """
        shown, data = self.of(ShownNegatives), batches.dataset
        if shown is not None:
            batches = replace(batches, negatives=shown.number)
        if not self.of(MinedNegatives):
            return batches, []
        mine = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: self.mine(model, data))
        return batches, [mine]

    def mine(self, model, data) -> None:
        """Looks up hard negatives with the model as it is now, if some are wanted."""
        mined = self.of(MinedNegatives)
        if mined is not None:
            model.refresh_index()
            mined.mine(model, data)
