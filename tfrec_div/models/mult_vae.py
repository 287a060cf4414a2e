"""A variational autoencoder with a multinomial likelihood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.draws import counted_step, step_seed
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.arguments import check_number
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.user_histories import UserHistories, users_to_learn_from
from tfrec_div.tasks.masking import mask_rows
from tfrec_div.tasks.replicas import sum_replicas

TARGETS = ("next", "all")


@keras.utils.register_keras_serializable(package="tfrec_div")
class MultVAE(RetrievalModel):
    """Retrieval by a variational autoencoder of histories, trained by gradient on users as rows.

    A history is encoded to a normal distribution of a few dimensions, and decoded to a probability of every item.
    There is no user id: users that training has not met are no different from others.

    `fit` takes `Dataset.batches(...)` as other models do. An epoch has as many steps as there are batches, and each
    step draws `batch_users` users with what they have done.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        latent_dim: Dimensions of the distribution.
        hidden_units: Units of the layer before it, and of the one after it.
        targets: "next": a history ends at a random cut, and tells what comes after it; "all": it tells itself, as in
            the paper.
        mask_input: Whether the items that the encoder has read are out of the softmax; with the targets "all" a
            history then tells what `dropout` has left out of it.
        dropout: Share of the items of a history that training drops.
        half_life: Items of a history after which what lies further back counts half; None: all alike.
        floor: What the weight of an old item falls to, a share in [0, 1].
        beta: Weight of the divergence from the prior in the loss, once it is annealed. The paper's losses are sums over
            targets, and larger by the root of their number than the ones here, so that its 0.2 is less here.
        anneal_steps: Steps until then, from 0 on.
        batch_users: Users a step.
        max_history: Latest items of a history that a query holds. Batches have a number of their own.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.data.synthetic import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = MultVAE(data.schema, latent_dim=4, hidden_units=8)
        >>> model.compile()
        >>> history = model.fit(data.batches(64), epochs=1, verbose=0)
        >>> rows, scores = model.retrieve(model.query_of(data, [0]), k=3)
        >>> rows.shape
        TensorShape([1, 3])

    Liang et al. (2018), Variational autoencoders for collaborative filtering.
    """

    def __init__(
        self,
        schema: Schema,
        latent_dim: int = 64,
        hidden_units: int = 256,
        targets: str = "next",
        mask_input: bool = True,
        dropout: float = 0.3,
        half_life: float | None = 20.0,
        floor: float = 0.2,
        beta: float = 0.02,
        anneal_steps: int = 200,
        batch_users: int = 256,
        max_history: int = 300,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if targets not in TARGETS:
            raise ValueError(f"targets: expected one of {list(TARGETS)}, got {targets!r}")
        counts = {
            "latent_dim": latent_dim,
            "hidden_units": hidden_units,
            "batch_users": batch_users,
            "max_history": max_history,
        }
        for name, value in counts.items():
            check_number(name, value, lambda number: number >= 1, "at least 1", whole=True)
        check_number("dropout", dropout, lambda number: 0 <= number < 1, "a share in [0, 1)")
        check_number("half_life", half_life, lambda number: number > 0, "above 0, or None", optional=True)
        check_number("floor", floor, lambda number: 0 <= number <= 1, "in [0, 1]")
        check_number("beta", beta, lambda number: number >= 0, "0 or more")
        check_number("anneal_steps", anneal_steps, lambda number: number >= 0, "0 or more", whole=True)
        if targets == "all" and mask_input and dropout == 0:
            raise ValueError("dropout: expected a share above 0 with the targets 'all' and mask_input, got 0")
        self._arguments: dict[str, Any] = {
            "latent_dim": latent_dim,
            "hidden_units": hidden_units,
            "targets": targets,
            "mask_input": mask_input,
            "dropout": dropout,
            "half_life": half_life,
            "floor": floor,
            "beta": beta,
            "anneal_steps": anneal_steps,
            "batch_users": batch_users,
            "max_history": max_history,
        }
        self.schema = schema
        self.max_history = max_history
        items = schema.num_items
        self.item_inputs = self.add_weight(
            name="item_inputs", shape=(items, hidden_units), initializer=_normal(1.0)
        )
        self.item_outputs = self.add_weight(
            name="item_outputs", shape=(items, hidden_units), initializer=_normal(1 / np.sqrt(hidden_units))
        )
        self.item_bias = self.add_weight(name="item_bias", shape=(items,), initializer="zeros")
        # How often each item occurs in training; whether histories have an order; both of `adapt`.
        self.item_count = self.add_weight(
            name="item_count", shape=(items,), initializer="zeros", trainable=False
        )
        self.ordered = self.add_weight(name="ordered", shape=(), initializer="zeros", trainable=False)
        self.encoder_bias = self.add_weight(name="encoder_bias", shape=(hidden_units,), initializer="zeros")
        self.distribution = keras.layers.Dense(2 * latent_dim, name="distribution")
        self.distribution.build([None, hidden_units])
        self.decoder = keras.layers.Dense(hidden_units, activation="tanh", name="decoder")
        self.decoder.build([None, latent_dim])
        self.step = counted_step(self)
        self.index = BruteForce(hidden_units + 1, items, dtype="float32")
        self._add_metrics()
        self.build()

    # ------------------------------------------------------------------ vectors and scores

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight` float alike.
            training: Not used.
        """
        vectors = tf.gather(self.item_vectors(), inputs["item_id"])
        return tf.reduce_sum(self.query_vectors(inputs) * vectors, axis=-1)

    def item_vectors(self) -> tf.Tensor:
        """Returns the decoder's last layer, float [items, hidden_units + 1]; items never met have their bias alone."""
        met = tf.cast(self.item_count > 0, tf.float32)[:, tf.newaxis]
        return tf.concat([self.item_outputs * met, self.item_bias[:, tf.newaxis]], axis=1)

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes and decodes histories by the mean of their distribution, float [batch, hidden_units + 1]."""
        mean, _ = self._encode(query["history"], self._weights(query))
        return self._decode(mean)

    def _weights(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns what each item of a history counts, float [batch, steps]."""
        weight = tf.where(query["history"] >= 0, tf.cast(query["history_weight"], tf.float32), 0.0)
        half_life, floor = self._arguments["half_life"], self._arguments["floor"]
        if half_life is None:
            return weight
        steps = tf.cast(tf.range(tf.shape(weight)[1]), tf.float32)
        return weight * tf.where(self.ordered > 0, floor + (1 - floor) * 2.0 ** (-steps / half_life), 1.0)

    def _encode(self, history: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        vectors = tf.gather(self.item_inputs, tf.maximum(history, 0))
        unit = tf.math.l2_normalize(weight, axis=1)
        hidden = tf.tanh(tf.einsum("bs,bsh->bh", unit, vectors) + self.encoder_bias)
        mean, log_variance = tf.split(self.distribution(hidden), 2, axis=1)
        return mean, log_variance

    def _decode(self, latent: tf.Tensor) -> tf.Tensor:
        hidden = self.decoder(latent)
        return tf.concat([hidden, tf.ones_like(hidden[:, :1])], axis=1)

    # ------------------------------------------------------------------ training

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads how often items occur.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Not used.
            progress: Not used.

        Raises:
            DataError: If no user has done enough to learn from.
        """
        if data.schema != self.schema:
            raise ValueError("data: its schema is not the one that the model was made with")
        # Refused here, before anything is written of a training that has nothing to learn from.
        users_to_learn_from(data, self._ahead)
        counts = data.interactions.item_counts()
        self.item_count.assign(counts)
        smoothed = np.log(counts + 1.0)
        self.item_bias.assign(smoothed - smoothed.mean())
        self.ordered.assign(float(data.interactions.timestamp is not None))

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        return bool(tf.reduce_any(self.item_count > 0))

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        return UserHistories.of(batches, self._arguments["batch_users"], self._ahead), []

    @property
    def _ahead(self) -> bool:
        return self._arguments["targets"] == "next"

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it.

        The loss of a user is the mean of the targets' negative log probabilities by weight, times the root of the
        sum of the weights, plus the divergence from the prior.

        Args:
            inputs: As of `UserHistories`; or of `Batches`, with one target each.
            training: Whether items are dropped and the latent vector is drawn.
        """
        targets, target_weight = inputs["item_id"], inputs["weight"]
        if targets.shape.rank == 1:
            targets, target_weight = targets[:, tf.newaxis], target_weight[:, tf.newaxis]
        history, weight = inputs["history"], self._weights(inputs)
        if training:
            seed = step_seed(0, self.step)
            self.step.assign_add(1)
            kept = tf.random.stateless_uniform(tf.shape(weight), seed) >= self._arguments["dropout"]
            history, weight = tf.where(kept, history, -1), tf.where(kept, weight, 0.0)
        mean, log_variance = self._encode(history, weight)
        latent = mean
        if training:
            noise = tf.random.stateless_normal(tf.shape(mean), seed + 1)
            latent += noise * tf.exp(0.5 * log_variance)
        scores = tf.matmul(self._decode(latent), self.item_vectors(), transpose_b=True)
        if training:
            # Items that training has not met are no target: all that it could learn of them is that.
            scores = tf.where(self.item_count > 0, scores, -float("inf"))
        if self._arguments["mask_input"]:
            scores = mask_rows(scores, history)
        found = tf.gather(scores, tf.maximum(targets, 0), axis=1, batch_dims=1)
        there = (targets >= 0) & (found > -float("inf"))
        log_share = found - tf.reduce_logsumexp(scores, axis=1, keepdims=True)
        target_weight = tf.where(there, target_weight, 0.0)
        total = tf.reduce_sum(target_weight, axis=1)
        loss = -tf.reduce_sum(target_weight * tf.where(there, log_share, 0.0), axis=1)
        loss *= tf.math.rsqrt(tf.maximum(total, 1e-6))
        if training:
            divergence = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - log_variance - 1, axis=1)
            annealed = tf.cast(self.step, tf.float32) / max(self._arguments["anneal_steps"], 1)
            loss += self._arguments["beta"] * tf.minimum(annealed, 1.0) * divergence
        return tf.reduce_sum(loss) / tf.cast(sum_replicas(tf.shape(loss)[0]), tf.float32)

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"name": self.name, "schema": self.schema.to_json(), **self._arguments}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> MultVAE:
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        return cls(**{**config, "schema": Schema.from_json(config["schema"])})


def _normal(deviation: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=float(deviation))
