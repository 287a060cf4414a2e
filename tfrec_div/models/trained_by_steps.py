"""The training step of the models that report the mean of all examples, in any precision and on any replicas."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.models.optimizer_state import SavesOptimizerState
from tfrec_div.tasks.replicas import num_replicas, sum_replicas


class TrainedBySteps(SavesOptimizerState):
    """Base of the models that take a step a batch, and are compiled again as they were.

    A subclass has a mean `_loss` among its `metrics`, says in `_default_optimizer` whether `compile` was given no
    optimizer, and implements `compute_loss` and `examples_in`.
    """

    _loss: keras.metrics.Mean
    _default_optimizer: bool
    # Of the default optimizer, where `compile` was given one.
    _learning_rate: float | None = None

    def examples_in(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the number of examples of a batch, an int."""
        raise NotImplementedError

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step; the reported loss is the mean over the epoch's examples."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, training=True)
            total = loss + tf.add_n(self.losses) / num_replicas() if self.losses else loss
            # Small gradients are zero in float16, unless the loss is scaled up; `compile` has seen to it.
            scaled = self.optimizer.get_scaled_loss(total) if self._scales_loss else total
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        # What nothing of the batch goes through has no gradient.
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        self.optimizer.apply_gradients(pairs)
        self._report_loss(total, inputs)
        return {"loss": self._loss.result()}

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)

    def _report_loss(self, share: tf.Tensor, inputs: dict[str, tf.Tensor]) -> None:
        count = tf.cast(self.examples_in(inputs), tf.float32)
        # The metric adds up value times examples over the replicas, and the shares add up to the mean of them all.
        self._loss.update_state(share * sum_replicas(count) / tf.maximum(count, 1.0), sample_weight=count)

    def get_metrics_result(self) -> dict:
        """Returns the results of the metrics that the steps since the last reset have reported.

        Keras takes what its steps return as the result of the last step only, unless it is these by name; workers
        of a parameter server take their steps at the same time, so that the last one has not seen all.
        """
        return {metric.name: metric.result() for metric in self.metrics if float(metric.count) > 0}

    def get_compile_config(self) -> dict:
        """Returns what `compile` was given: an optimizer, or of the default one the learning rate or None."""
        default = self._default_optimizer
        return {"optimizer": self._learning_rate if default else keras.optimizers.serialize(self.optimizer)}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as `get_compile_config` says."""
        given = config["optimizer"]
        if isinstance(given, dict):
            given = keras.optimizers.deserialize(given, use_legacy_optimizer=True)
        self.compile(given)
        if isinstance(self.optimizer, keras.optimizers.Optimizer):
            # Its state is read next, into variables that must be there.
            self.optimizer.build(self.trainable_variables)
