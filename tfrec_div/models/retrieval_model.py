"""What any retrieval model does that is trained on batches of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.exact_ranks import rank_metrics, update_ranks
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.trained_by_steps import TrainedBySteps
from tfrec_div.optimizers import FallingRate, LazyAdam

LEARNING_RATE = 3e-3
# Share of the learning rate for the weights of a text or image model that is trained.
MODEL_RATE = 0.01


class RetrievalModel(TrainedBySteps, Retriever):
    """Base of the models that score all items for a query by products with the vectors of an index.

    An ordinary Keras model on batches of integer rows (`Dataset.batches`): `fit` prepares the model by the first
    batches, the default optimizer is `LazyAdam`, losses are means over all examples of an epoch, and `evaluate` goes
    by exact ranks over all items.

    A subclass has `schema`, `max_history` and `index`, makes its weights in the constructor, which ends with
    `_add_metrics()`, and implements `adapt`, `adapted`, `compute_loss`, `item_vectors` and `query_vectors`.
    """

    index: BruteForce

    def _add_metrics(self) -> None:
        """Adds what the steps report; last, so that the order of the weights is that of the model's parts."""
        self._loss = keras.metrics.Mean(name="loss")
        self._ranks = rank_metrics()
        self._default_optimizer = False
        # A metric's result is that of all replicas; by default Keras adds it up once more over several workers.
        self.distribute_reduction_method = "first"

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights, and Keras' own would try with floats for rows."""
        self.built = True

    # ------------------------------------------------------------------ what a subclass implements

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where what is computed once is kept.
            progress: Whether to show progress bars.
        """
        raise NotImplementedError

    @property
    def adapted(self) -> bool:
        """Whether the model has seen training data."""
        raise NotImplementedError

    @property
    def costly_items(self) -> bool:
        """Whether a step takes vectors of items from the index, which is then refreshed before each epoch."""
        return False

    def item_vectors(self) -> tf.Tensor:
        """Encodes the whole catalogue, float [num_items, dim of the index]."""
        raise NotImplementedError

    def query_vectors(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encodes queries, float [batch, dim of the index]."""
        raise NotImplementedError

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        raise NotImplementedError

    def training_state(self) -> dict[str, Any]:
        """Returns what training changes besides the optimizer, for a checkpoint, by name; here the whole model."""
        return {"model": self}

    def _careful_weights(self) -> Sequence[tf.Variable]:
        """Returns the weights that were trained for long before, which the default optimizer changes with care."""
        return ()

    def _rates(self) -> dict[str, float]:
        """Returns factors of the default optimizer's learning rate, by the name of a weight."""
        return {weight.name: MODEL_RATE for weight in self._careful_weights()}

    def _for_fit(self, batches: Batches) -> tuple[Batches, list[keras.callbacks.Callback]]:
        """Returns the batches as training wants them, and what is to be called in training."""
        return batches, []

    # ------------------------------------------------------------------ queries

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of every item in the index, float [batch, items]."""
        return self.index.scores(self.query_vectors(query))

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the cosines of the vectors in the index, without their bias, float [batch, items]."""
        vectors = tf.math.l2_normalize(self.index.vectors[:, :-1], axis=1)
        return tf.matmul(tf.gather(vectors, rows), vectors, transpose_b=True)

    def item_embeddings(self) -> np.ndarray:
        """Returns the vectors in the index, without their bias, float32 [items, dim]."""
        return self.index.vectors.numpy()[:, :-1]

    def retrieve(self, query: dict, k: int = 10, exclude=None, include=None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows int32 [batch, k] and their scores, from the index.

        Args:
            query: As for `query_vectors`.
            k: Rows a query.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        return self.index(self.query_vectors(query), k=k, exclude=exclude, include=include)

    def retrieve_with_signals(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what `retrieve` and `signals` do; see `Retriever.retrieve_with_signals`."""
        rows, scores = self.retrieve(query, k, exclude, include)
        return rows, scores, self.signals(query, rows)

    def refresh_index(self) -> None:
        """Encodes the catalogue with the towers as they are now."""
        self.index.update(self.item_vectors())

    # ------------------------------------------------------------------ training

    def compile(self, optimizer=None, **kwargs) -> None:
        """Configures training; without an optimizer `LazyAdam` with a rate that falls to zero over `fit`."""
        self._default_optimizer = optimizer is None
        if optimizer is None:
            with self.distribute_strategy.scope():
                self._rate = FallingRate(LEARNING_RATE)
                optimizer = LazyAdam(self._rate, weight_decay=0.1, beta_2=0.99, rates=self._rates())
        super().compile(optimizer=optimizer, **kwargs)

    def fit(self, x=None, *args, epochs: int = 1, initial_epoch: int = 0, **kwargs):
        """Trains as any Keras model; `x` may be `Dataset.batches(...)`, and so may `validation_data`.

        Args:
            x: `Batches`, or a `tf.data.Dataset` of such dictionaries (then call `adapt` before).
            *args: As for `keras.Model.fit`.
            epochs: Number of the last epoch.
            initial_epoch: Epochs already trained; the batches are those that would have come next.
            **kwargs: As for `keras.Model.fit`.
        """
        if isinstance(x, Batches):
            if not self.adapted:
                self.adapt(x.dataset)
            steps = len(x)
            x, callbacks = self._for_fit(x)
            x = x.as_dataset(initial_epoch, epochs - initial_epoch)
            if callbacks:
                kwargs["callbacks"] = [*callbacks, *(kwargs.get("callbacks") or ())]
            kwargs["steps_per_epoch"] = steps
            if self._default_optimizer:
                start = int(self.optimizer.iterations.numpy()) - steps * initial_epoch
                self._rate.restart(steps * epochs, start)
        elif not self.adapted:
            raise ValueError(
                "x: expected Batches (Dataset.batches(...)); for other input call model.adapt(data) first"
            )
        if isinstance(held := kwargs.get("validation_data"), Batches):
            kwargs["validation_data"] = held.as_dataset(epochs=1)
        if self.costly_items:
            refresh = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: self.refresh_index())
            kwargs["callbacks"] = [refresh, *(kwargs.get("callbacks") or ())]
        history = super().fit(x, *args, epochs=epochs, initial_epoch=initial_epoch, **kwargs)
        self.refresh_index()
        return history

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as any Keras model, by exact ranks over all items; the catalogue is encoded once.

        Args:
            x: `Batches` with a context, or a `tf.data.Dataset` of such dictionaries.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.
        """
        self.refresh_index()
        if not self._is_compiled:
            self.compile()
        if isinstance(x, Batches):
            x = x.as_dataset(epochs=1)
        if self.distribute_strategy._should_use_with_coordinator:
            return self._evaluate_here(x, kwargs.get("return_dict", False))
        return super().evaluate(x, *args, **kwargs)

    def _evaluate_here(self, batches: tf.data.Dataset, return_dict: bool) -> dict[str, float] | list[float]:
        """Evaluates in this process: workers of a parameter server would see some batches twice and some never."""
        step = tf.function(lambda inputs: self.test_step(inputs), reduce_retracing=True)
        self.reset_metrics()
        for batch in batches:
            step(batch)
        found = {metric.name: float(metric.result()) for metric in self.metrics}
        return found if return_dict else list(found.values())

    def examples_in(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the number of targets of a batch."""
        return tf.shape(inputs["item_id"])[0]

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Ranks the target of each row among all items, by counting those with at least its score."""
        self._report_loss(self.compute_loss(inputs, training=False), inputs)
        update_ranks(self._ranks, self.scores(inputs), inputs)
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def metrics(self) -> list:
        """The loss and the rank metrics, reset at each epoch."""
        return [self._loss, *self._ranks]
