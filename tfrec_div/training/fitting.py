"""Trains one model in the folder of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tfrec_div._keras import keras
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.models.retriever import Retriever
from tfrec_div.training.callbacks import BeyondAccuracy, EmbeddingProjector, TrainingLogs
from tfrec_div.training.checkpoints import EpochCheckpoints
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.run_directory import RunDirectory


def fit_model(
    model: Retriever,
    train_part: Dataset,
    test_part: Dataset | None,
    config: TrainConfig,
    run: RunDirectory,
    chief: bool,
    announce: Callable[[str], None],
    say: Callable[[str], None],
    verbose: int | None = None,
) -> dict[str, list[float]]:
    """Trains a model with all that belongs to a run: checkpoints, TensorBoard logs, measurements of each epoch.

    A model that is not trained by epochs over batches, such as one in closed form, is done in one go.

    Args:
        model: Compiled, and adapted to `train_part`.
        train_part: The interactions to train on.
        test_part: Held-out interactions that the epochs are measured on, or None.
        config: The settings.
        run: The folder.
        chief: Whether this process writes.
        announce: Called with each line that a user should find again in the run.
        say: Called with each other line for the user.
        verbose: As for `keras.Model.fit`; by default a bar on a terminal, and a line an epoch elsewhere.

    Returns:
        Losses and metrics by epoch, those of epochs before an interruption included.
    """
    verbose = shown(verbose)
    batches = batches_of(train_part, config)
    epochs = config.epochs_for(len(train_part.interactions))
    if not isinstance(model, RetrievalModel):
        return model.fit(batches, epochs=epochs, verbose=verbose if chief else 0).history
    checkpoints = EpochCheckpoints(model, run)
    for broken in checkpoints.restore():
        announce(f"The checkpoint {broken} cannot be read: the one before it is used.")
    if checkpoints.epoch:
        say(f"Going on after epoch {checkpoints.epoch} of {epochs}.")
    # Under a strategy it makes variables, which takes all processes.
    callbacks: list[keras.callbacks.Callback] = [*_beyond_accuracy(train_part, test_part, config)]
    if chief:
        # Each sees what those before it have added to the logs.
        callbacks += [
            TrainingLogs(run.logs / config.model, settings=config.to_json()),
            checkpoints,
            EmbeddingProjector(train_part.catalog, run.logs),
        ]
    validation = None
    if test_part is not None:
        steps = model.max_history
        held_out = test_part.batches(256, context=train_part, shuffle=False, max_history=steps)
        validation = held_out.as_dataset(epochs=1)
    fitted = model.fit(
        batches,
        epochs=epochs,
        initial_epoch=checkpoints.epoch,
        validation_data=validation,
        callbacks=callbacks,
        verbose=verbose if chief else 0,
    )
    return checkpoints.history if chief else fitted.history


def shown(verbose: int | None) -> int:
    """Returns how much `fit` shows: by default a bar on a terminal, and a line an epoch elsewhere."""
    return (1 if sys.stdout.isatty() else 2) if verbose is None else verbose


def batches_of(data: Dataset, config: TrainConfig) -> Batches:
    """Returns the batches that the settings ask for."""
    return data.batches(config.batch_size, seed=config.seed)


def _beyond_accuracy(
    train_part: Dataset, test_part: Dataset | None, config: TrainConfig
) -> list[BeyondAccuracy]:
    """Measures the pages of each epoch by the order of the scores, the same for all settings of a re-ranker."""
    if test_part is None:
        return []
    try:
        return [BeyondAccuracy(train_part, test_part, k=config.k)]
    except ValueError:
        # Nothing that is held out is relevant and new to its user: the losses are all there is to see.
        return []
