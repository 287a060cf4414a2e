"""Checkpoints after each epoch, and how a training goes on from one."""

from __future__ import annotations

from pathlib import Path

from tfrec_div._keras import keras, tf
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.storage import full_disk_as_os_error
from tfrec_div.training.run_directory import RunDirectory, write_json

KEPT = 2


class EpochCheckpoints(keras.callbacks.Callback):
    """Saves what is trained, optimizer and history after every epoch, so that an interrupted training can go on.

    What does not change in training (the frozen towers and what they made) is left out. The number of an epoch's
    order and draws is part of the state, so a resumed training ends as the uninterrupted one would have.

    Args:
        model: A compiled model.
        run: Where to save.

    Attributes:
        epoch: Epochs that are done.
        history: Losses and metrics of the epochs that are done.
    """

    def __init__(self, model: RetrievalModel, run: RunDirectory):
        super().__init__()
        self._run = run
        self._checkpoint = tf.train.Checkpoint(
            **model.training_state(),
            optimizer=model.optimizer,
            epoch=tf.Variable(0, dtype=tf.int64),
        )
        # Made now: in `fit` a new variable would take all processes of a strategy, and only one saves.
        _ = self._checkpoint.save_counter
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(run.checkpoints), max_to_keep=KEPT, checkpoint_name="epoch"
        )
        self.history: dict[str, list[float]] = {}

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return int(self._checkpoint.epoch)

    def restore(self) -> list[str]:
        """Goes back to the last checkpoint that can be read; returns those that could not."""
        broken = []
        for path in reversed(self._manager.checkpoints):
            # Read as a whole first: a restore that fails half-way would leave a mixture behind.
            try:
                reader = tf.train.load_checkpoint(path)
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
            except (
                Exception
            ) as error:  # the reader raises whatever the damage leads to; it is passed on to the user
                broken.append(f"{Path(path).name} ({str(error).splitlines()[0][:100]})")
                continue
            # The optimizer takes its part when training makes its variables.
            self._checkpoint.restore(path).assert_existing_objects_matched().expect_partial()
            saved = self._run.read_history()
            self.history = {name: values[: self.epoch] for name, values in saved.items()}
            break
        return broken

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Saves the state; the history first, since the checkpoint says how much of it counts."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        write_json(self._run.history, self.history)
        self._checkpoint.epoch.assign(epoch + 1)
        with full_disk_as_os_error(self._run.checkpoints):
            self._manager.save(checkpoint_number=epoch + 1)
