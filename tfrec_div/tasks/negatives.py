"""What a query's item is told from, besides the other items of the batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.draws import FIRST_REPLICA, counted_step
from tfrec_div.tasks.replicas import gather_replicas


class Candidates(NamedTuple):
    """Items that a loss takes for negatives.

    Args:
        rows: Integer [n] for all queries, or [batch, n] for each; -1 is none.
        vectors: Float [n, dim] or [batch, n, dim].
        probability: Float alike `rows`, how likely an item is to be drawn, up to a factor; None without correction.
    """

    rows: tf.Tensor
    vectors: tf.Tensor
    probability: tf.Tensor | None = None


class Negatives(keras.layers.Layer):
    """Base of the negatives: each kind says in `use` how its items join the loss.

    Args:
        number: Items, at least 1.
        **kwargs: As for any Keras layer.
    """

    use = ""

    def __init__(self, number: int, **kwargs):
        kwargs.setdefault("trainable", False)
        super().__init__(**{"dtype": "float32", **kwargs})
        if number < 1:
            raise ValueError(f"number must be at least 1, got {number}")
        self.number = number

    def prepare(self, num_users: int, num_items: int, dim: int) -> None:
        """Makes the state for a model of that many users and items, with item vectors of length `dim`."""

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "number": self.number}


@keras.utils.register_keras_serializable(package="tfrec_div")
class UniformNegatives(Negatives):
    """Items drawn uniformly from the catalogue at each step, the same for all queries.

    In-batch negatives are popular items; uniform ones teach the model about the rest. An item's probability is that
    of the mixture, see `mixture_probability`. The draws depend on a counted step that is a weight, so a restored
    training repeats them; all replicas draw the same.

    Args:
        number: Items a step.
        seed: Seed of the draws.
        **kwargs: As for any Keras layer.

    Example:
        >>> negatives = UniformNegatives(5)
        >>> negatives.prepare(num_users=1, num_items=9, dim=2)
        >>> bool(tf.reduce_all(negatives.rows() < 9))
        True

    Yang et al. (2020), Mixed negative sampling for learning two-tower neural networks in recommendations.
    """

    use = "shared"

    def __init__(self, number: int = 1024, seed: int = 0, **kwargs):
        super().__init__(number, **kwargs)
        self.seed = seed

    def prepare(self, num_users: int, num_items: int, dim: int) -> None:
        """Makes the counter, and remembers the size of the catalogue."""
        self.step = counted_step(self)
        self._num_items = num_items

    def rows(self) -> tf.Tensor:
        """Draws the rows of a step, int32 [number]."""
        seed = tf.stack([tf.cast(self.seed, tf.int64), self.step + 0])
        rows = tf.random.stateless_uniform([self.number], seed, maxval=self._num_items, dtype=tf.int32)
        self.step.assign_add(1)
        return rows

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}


@keras.utils.register_keras_serializable(package="tfrec_div")
class MemoryNegatives(Negatives):
    """The items of earlier batches with the vectors they had then, the latest `number` of them.

    No gradient flows into them, so that many cost little. Empty at the start of training.

    Args:
        number: Items kept.
        **kwargs: As for any Keras layer.

    Example:
        >>> memory = MemoryNegatives(2)
        >>> memory.prepare(num_users=1, num_items=9, dim=1)
        >>> memory.push(tf.constant([4, 5, 6]), tf.constant([[0.4], [0.5], [0.6]]))
        >>> memory.rows.numpy().tolist()
        [5, 6]

    Wang et al. (2020), Cross-batch memory for embedding learning.
    """

    use = "memory"

    def __init__(self, number: int = 4096, **kwargs):
        super().__init__(number, **kwargs)

    def prepare(self, num_users: int, num_items: int, dim: int) -> None:
        """Makes the empty places."""
        common = {"trainable": False, "aggregation": FIRST_REPLICA}
        empty = keras.initializers.Constant(-1)
        self.rows = self.add_weight(
            name="rows", shape=(self.number,), dtype=tf.int32, initializer=empty, **common
        )
        self.vectors = self.add_weight(
            name="vectors", shape=(self.number, dim), initializer="zeros", **common
        )

    def push(self, rows: tf.Tensor, vectors: tf.Tensor) -> None:
        """Adds the items of a batch, int [batch] and float [batch, dim], of all replicas; the oldest leave."""
        rows, vectors = gather_replicas(rows), gather_replicas(tf.stop_gradient(vectors))
        self.rows.assign(tf.concat([self.rows, rows], axis=0)[-self.number :])
        self.vectors.assign(tf.concat([self.vectors, vectors], axis=0)[-self.number :])


@keras.utils.register_keras_serializable(package="tfrec_div")
class MinedNegatives(Negatives):
    """Hard negatives: the items that the model itself would recommend to the user, without those the user knows.

    At the start of each epoch the catalogue is encoded, and each user's best items are looked up in the index; a step
    draws some of them. Known are all of a user's training interactions, not only those before the target.

    Args:
        number: Items of each query a step.
        pool: Best items that are drawn from, at least `number`.
        seed: Seed of the draws.
        **kwargs: As for any Keras layer.

    Xiong et al. (2021), Approximate nearest neighbor negative contrastive learning for dense text retrieval.
    """

    use = "own"

    def __init__(self, number: int = 8, pool: int = 64, seed: int = 0, **kwargs):
        super().__init__(number, **kwargs)
        if pool < number:
            raise ValueError(f"pool must be at least number ({number}), got {pool}")
        self.pool = pool
        self.seed = seed

    def prepare(self, num_users: int, num_items: int, dim: int) -> None:
        """Makes the counter, and the pools, empty."""
        self.step = counted_step(self)
        pools = tf.Variable(tf.fill([num_users, self.pool], -1), trainable=False, name="mined")
        # Past Keras, which would save it: each epoch mines anew from what is saved already.
        self.__dict__["pools"] = pools

    def mine(self, model, data, batch_size: int = 1024) -> None:
        """Looks up each user's best unknown items with the model as it is now.

        Args:
            model: The model, with `query_of` and `retrieve`; its index must be fresh.
            data: Training data.
            batch_size: Users at a time.
        """
        items, starts = data.interactions.histories()
        mined = np.full(self.pools.shape, -1, np.int32)
        users = np.flatnonzero(np.diff(starts))
        for first in range(0, len(users), batch_size):
            part = users[first : first + batch_size]
            lengths = starts[part + 1] - starts[part]
            back = np.arange(lengths.max())[None, :]
            inside = back < lengths[:, None]
            known = np.where(inside, items[np.where(inside, starts[part][:, None] + back, 0)], -1)
            rows, _ = model.retrieve(
                model.query_of(data, part), k=self.pool, exclude=tf.constant(known, tf.int32)
            )
            mined[part, : rows.shape[1]] = rows.numpy()
        self.pools.assign(mined)

    def rows(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Draws the rows of a batch's users, int32 [batch, number], without repetition."""
        pools = tf.gather(self.pools, inputs["user_id"])
        if self.pool == self.number:
            return pools
        seed = tf.stack([tf.cast(self.seed, tf.int64), self.step + 0])
        self.step.assign_add(1)
        # A pool that is not full ends in -1, which is drawn last.
        keys = tf.random.stateless_uniform(tf.shape(pools), seed) - tf.cast(pools < 0, tf.float32)
        return tf.gather(pools, tf.math.top_k(keys, self.number).indices, batch_dims=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "pool": self.pool, "seed": self.seed}


@keras.utils.register_keras_serializable(package="tfrec_div")
class ShownNegatives(Negatives):
    """Items that the user was shown and did not click, from the impressions of the data set.

    Args:
        number: Items of each query a step; fewer where fewer are known.
        **kwargs: As for any Keras layer.

    Example:
        >>> negatives = ShownNegatives(2)
        >>> negatives.rows({"negative_id": tf.constant([[3, -1]])}).numpy().tolist()
        [[3, -1]]
    """

    use = "own"

    def __init__(self, number: int = 4, **kwargs):
        super().__init__(number, **kwargs)

    def rows(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns what the batch brings, int32 [batch, number]."""
        return inputs["negative_id"]


def mixture_probability(
    probability: tf.Tensor, from_log: tf.Tensor, uniform: int, num_items: int
) -> tf.Tensor:
    """Returns how likely an item is to be a candidate, when some are drawn from the log and some uniformly.

    Args:
        probability: Float [...], the items' shares of the log.
        from_log: Candidates drawn from the log: the batch, and what a memory holds.
        uniform: Candidates drawn uniformly.
        num_items: Items of the catalogue.

    Example:
        >>> print(mixture_probability(tf.constant(0.5), tf.constant(3.0), 1, num_items=8).numpy())
        0.40625
    """
    from_log = tf.cast(from_log, probability.dtype)
    return (from_log * probability + uniform / num_items) / (from_log + uniform)
