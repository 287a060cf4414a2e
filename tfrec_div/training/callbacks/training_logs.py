"""What TensorBoard shows of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboard.plugins.hparams import api as hparams_api

from tfrec_div._keras import keras, tf

# Values of a variable that a histogram is made of.
MOST_VALUES = 100_000


class TrainingLogs(keras.callbacks.TensorBoard):
    """Keras' `TensorBoard` with the learning rate, histograms that stay cheap, the graph and the settings.

    The learning rate is in the logs too, as the last step of the epoch had it, whatever the optimizer is. Histograms
    are of what is trained only (a frozen text tower has millions of weights that never move), and of some 100,000
    evenly spaced values of a large table.

    Args:
        log_dir: Where to write; losses and metrics go to its folders `train` and `validation`.
        settings: Settings of the run for the HParams page, such as `TrainConfig.to_json()`; None for no such page.
            The page shows metrics beside them if `log_dir` lies below the folder that TensorBoard is started on.
        histogram_every: Epochs from one histogram to the next; 0 for none.
        write_graph: Whether to write the graph of a training step.
    """

    def __init__(
        self,
        log_dir: str | Path,
        settings: Mapping[str, object] | None = None,
        histogram_every: int = 5,
        write_graph: bool = True,
    ):
        super().__init__(str(log_dir), histogram_freq=histogram_every, write_graph=False)
        self._graph_is_due = write_graph
        self._hparams = None
        if settings is not None:
            values = {name: _plain(value) for name, value in settings.items()}
            self._hparams = hparams_api.KerasCallback(str(log_dir), values)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Writes the settings."""
        super().on_train_begin(logs)
        if self._hparams is not None:
            self._hparams.on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Writes losses, metrics and learning rate, and histograms when it is their turn."""
        if logs is not None:
            logs["learning_rate"] = learning_rate(self.model.optimizer)
        if self._graph_is_due:
            # Keras would do it after the first batch, but gets there only while a profile is taken.
            self._write_keras_model_train_graph()
            self._graph_is_due = False
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Closes the files."""
        super().on_train_end(logs)
        if self._hparams is not None:
            self._hparams.on_train_end(logs)

    def _collect_learning_rate(self, logs: dict) -> dict:
        # Keras' own is for schedules only, and gives the rate of the step to come.
        return logs

    def _log_weights(self, epoch: int) -> None:
        with self._train_writer.as_default(), tf.summary.record_if(True):
            for variable in self.model.trainable_variables:
                values = tf.reshape(variable, [-1])
                values = values[:: max(1, -(-int(tf.size(values)) // MOST_VALUES))]
                tf.summary.histogram(variable.name.replace(":", "_"), values, step=epoch)


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the rate of the optimizer's last step.

    Args:
        optimizer: Any Keras optimizer, with a schedule or without.

    Example:
        >>> round(learning_rate(keras.optimizers.Adagrad(0.25)), 6)
        0.25
    """
    rate = optimizer.learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(tf.maximum(tf.cast(optimizer.iterations, tf.int64) - 1, 0))
    return float(rate)


def _plain(value: object) -> bool | int | float | str:
    """Returns a value as the HParams page takes it."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "by default" if value is None else str(value)
