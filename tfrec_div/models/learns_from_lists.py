"""What any ranking model does that is trained on lists of candidates."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.models.ranking_lists import RankingLists
from tfrec_div.models.ranking_model import RankingModel
from tfrec_div.models.trained_by_steps import TrainedBySteps
from tfrec_div.optimizers import FallingRate, LazyAdam
from tfrec_div.tasks.calibration import (
    CALIBRATIONS,
    IsotonicCalibration,
    TemperatureScaling,
    make_calibration,
)

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1.0
# Of the lists whose quality `evaluate` tells: places that count.
PLACES = 10


class LearnsFromLists(TrainedBySteps, RankingModel):
    """Base of the ranking models that are trained by gradient on `RankingLists`.

    An ordinary Keras model: `fit` prepares the model by the first lists, the default optimizer is `LazyAdam` with a
    rate that falls to zero, losses are means over the lists of an epoch, and `evaluate` tells the NDCG of the lists
    and the error of ratings beside.

    A subclass makes its weights in the constructor, which ends with
    `_add_calibrations()` and `_add_metrics()`, and implements `check`, `adapt`,
    `adapted`, `loss_of` and `foreseen`.
    """

    tasks: tuple[str, ...] = ("relevance",)

    def _add_metrics(self) -> None:
        self._loss = keras.metrics.Mean(name="loss")
        self._ndcg = keras.metrics.Mean(name=f"ndcg_{PLACES}")
        self._error = keras.metrics.Mean(name="squared_error")
        self._default_optimizer = False
        # A metric's result is that of all replicas; by default Keras adds it up once more over several workers.
        self.distribute_reduction_method = "first"

    def _add_calibrations(self) -> None:
        """Adds what makes probabilities of scores, which says nothing until it has learned something."""
        self.calibrations = {
            "platt": TemperatureScaling(bias=True, name="platt"),
            "isotonic": IsotonicCalibration(name="isotonic"),
        }

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights."""
        self.built = True

    # ------------------------------------------------------------------ what a subclass implements

    def check(self, lists: RankingLists, training: bool = False) -> None:
        """Refuses lists that are not such as the model was made for.

        Args:
            lists: Any.
            training: Whether the model is to learn from them.

        Raises:
            ValueError: They are none, or their schema or signals are others.
        """
        raise NotImplementedError

    def adapt(self, lists: RankingLists) -> None:
        """Reads what training needs besides the batches."""
        raise NotImplementedError

    @property
    def adapted(self) -> bool:
        """Whether the model has seen lists."""
        raise NotImplementedError

    def foreseen(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        """Returns the scores of the candidates of a batch by task, float32 [batch, n], before any calibration."""
        raise NotImplementedError

    def loss_of(self, inputs: dict[str, tf.Tensor], scores: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the loss of a batch; under a strategy this replica's share, and the shares add up to it."""
        raise NotImplementedError

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the loss of a batch; see `loss_of`."""
        return self.loss_of(inputs, self.foreseen(inputs, training=training))

    # ------------------------------------------------------------------ training

    def compile(self, optimizer=None, **kwargs) -> None:
        """Configures training; without an optimizer `LazyAdam` with a rate that falls to zero over `fit`.

        Args:
            optimizer: Any Keras optimizer, a learning rate for the default one, or None.
            **kwargs: As for `keras.Model.compile`.
        """
        self._default_optimizer = optimizer is None or isinstance(optimizer, float)
        self._learning_rate = optimizer if isinstance(optimizer, float) else None
        if self._default_optimizer:
            with self.distribute_strategy.scope():
                self._rate = FallingRate(LEARNING_RATE if optimizer is None else optimizer)
                optimizer = LazyAdam(self._rate, weight_decay=WEIGHT_DECAY, beta_2=0.99)
        super().compile(optimizer=optimizer, **kwargs)

    def fit(self, x=None, *args, epochs: int = 1, initial_epoch: int = 0, **kwargs):
        """Trains as any Keras model; `x` may be `RankingLists`, and so may `validation_data`.

        Args:
            x: `RankingLists`, or a `tf.data.Dataset` of such dictionaries (then call `adapt` before).
            *args: As for `keras.Model.fit`.
            epochs: Number of the last epoch.
            initial_epoch: Epochs already trained.
            **kwargs: As for `keras.Model.fit`.
        """
        if isinstance(x, RankingLists):
            self.check(x, training=True)
            if not self.adapted:
                self.adapt(x)
            steps = len(x)
            x = x.as_dataset(initial_epoch, epochs - initial_epoch)
            kwargs["steps_per_epoch"] = steps
            if not self._is_compiled:
                self.compile()
            if self._default_optimizer:
                start = int(self.optimizer.iterations.numpy()) - steps * initial_epoch
                self._rate.restart(steps * epochs, start)
        elif not self.adapted:
            raise ValueError("x: expected RankingLists; for other input call model.adapt(lists) first")
        if isinstance(held := kwargs.get("validation_data"), RankingLists):
            self.check(held)
            kwargs["validation_data"] = held.as_dataset(epochs=1)
        return super().fit(x, *args, epochs=epochs, initial_epoch=initial_epoch, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as any Keras model: the mean loss, the mean NDCG of the lists' order, the error of ratings.

        Lists without a relevant candidate have no NDCG; only known ratings have an error.

        Args:
            x: `RankingLists`, or a `tf.data.Dataset` of such dictionaries.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.
        """
        if not self._is_compiled:
            self.compile()
        if isinstance(x, RankingLists):
            self.check(x)
            x = x.as_dataset(epochs=1)
        return super().evaluate(x, *args, **kwargs)

    def examples_in(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the number of lists of a batch."""
        return tf.shape(inputs["candidates"])[0]

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Tells the loss, the NDCG and the error of ratings."""
        scores = self.foreseen(inputs, training=False)
        self._report_loss(self.loss_of(inputs, scores), inputs)
        gain, counts = ndcg(scores["relevance"], inputs["label"], inputs["candidates"] >= 0)
        self._ndcg.update_state(gain, sample_weight=counts)
        if "rating" in scores:
            known = tf.math.is_finite(inputs["rating"]) & (inputs["candidates"] >= 0)
            missed = tf.where(known, scores["rating"] - tf.where(known, inputs["rating"], 0.0), 0.0)
            self._error.update_state(tf.square(missed), sample_weight=tf.cast(known, tf.float32))
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def metrics(self) -> list:
        """The loss, the NDCG and the squared error of a model of ratings, reset at each epoch."""
        return [self._loss, self._ndcg, *([self._error] if "rating" in self.tasks else [])]

    # ------------------------------------------------------------------ calibration

    def calibrated_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logits of calibrated probabilities, float32 alike."""
        for calibration in self.calibrations.values():
            logits = calibration.calibrated_logits(logits)
        return logits

    def calibrate(self, lists: RankingLists, method: str = "platt") -> LearnsFromLists:
        """Makes probabilities of relevance of the scores; the order stays as it is. Returns the model.

        Args:
            lists: That training has not met.
            method: "temperature" (one factor), "platt" (with a bias, which a ranking loss leaves open) or "isotonic".

        Raises:
            ValueError: An unknown method, or lists that are not such as the model was made for.

        Guo et al. (2017), On calibration of modern neural networks.
        """
        if method not in CALIBRATIONS:
            raise ValueError(f"method: expected one of {', '.join(CALIBRATIONS)}, got {method!r}")
        self.check(lists)
        step = tf.function(
            lambda batch: self.foreseen(batch, training=False)["relevance"], reduce_retracing=True
        )
        logits, labels = [], []
        for batch in lists.as_dataset(epochs=1):
            there = batch["candidates"] >= 0
            logits.append(tf.boolean_mask(step(batch), there).numpy())
            labels.append(tf.boolean_mask(tf.minimum(batch["label"], 1.0), there).numpy())
        for calibration in self.calibrations.values():
            calibration.set_weights(type(calibration)().get_weights())
        learned = make_calibration(method).fit(np.concatenate(logits), np.concatenate(labels))
        self.calibrations["isotonic" if method == "isotonic" else "platt"].set_weights(learned.get_weights())
        return self


def ndcg(
    scores: tf.Tensor, labels: tf.Tensor, there: tf.Tensor, k: int = PLACES
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the NDCG of the first `k` places of each list, and 1 where a list has one (something is relevant).

    Args:
        scores: Float [batch, n].
        labels: Float [batch, n], gains of at least 0.
        there: Bool [batch, n], which candidates are no padding.
        k: Places that count.

    Example:
        >>> ndcg(tf.constant([[3.0, 2.0, 1.0]]), tf.constant([[0.0, 1.0, 0.0]]), tf.constant([[True] * 3]))[0].numpy()
        array([0.63092977], dtype=float32)
    """
    labels = tf.where(there, labels, 0.0)
    k = tf.minimum(k, tf.shape(scores)[1])
    discount = tf.math.log(2.0) / tf.math.log(tf.range(2, k + 2, dtype=tf.float32))
    place = tf.math.top_k(tf.where(there, scores, scores.dtype.min), k).indices
    found = tf.reduce_sum(tf.gather(labels, place, batch_dims=1) * discount, axis=1)
    best = tf.reduce_sum(tf.math.top_k(labels, k).values * discount, axis=1)
    return tf.math.divide_no_nan(found, best), tf.cast(best > 0, tf.float32)
