"""Trains a recommender from a data set into a run's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.item_features import check_features
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.retriever import Retriever
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.methods import make_reranker
from tfrec_div.reranker_features import features_needed
from tfrec_div.training.auto import assemble, weigh_models
from tfrec_div.training.build import build_model, check_settings
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.earlier import EarlierModels, Weights
from tfrec_div.training.fitting import fit_model
from tfrec_div.training.ranking import train_ranker, with_signals
from tfrec_div.training.rating import train_rater
from tfrec_div.training.run_directory import RunDirectory, write_interactions, write_json
from tfrec_div.training.strategy import is_chief, resolve_strategy


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
    check_settings(config)
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
    # Only now, so that settings or data which no model can be made with leave nothing behind.
    if chief:
        run.begin(config, data)
        write_interactions(
            run.interactions, train_part.interactions, None if test_part is None else test_part.interactions
        )

    def announce(line: str) -> None:
        announcements.append(line)
        say(line)

    weights, ranker = _learned_earlier(train_part, config, run, strategy, announce, say, verbose)
    history = fit_model(model, train_part, test_part, config, run, chief, announce, say, verbose)
    if strategy.cluster_resolver is not None:
        model = _of_one_process(model)
    if weights is not None:
        model = assemble(model, weights, train_part, config, say)
    recommender = Recommender(
        model,
        data,
        reranker=reranker,
        k=config.k,
        num_candidates=config.num_candidates,
        ranker=ranker and ranker.refreshed(train_part),
        ranker_weight=config.ranker_weight,
    )
    if not chief:
        recommender.update_histories(train_part.interactions)
        return TrainedRun(run, recommender, train_part, test_part, history, announcements, written=False)
    write_json(run.announcements, announcements)
    train_rater(run, data, train_part, test_part, model, config.seed, say, verbose, config.ratings)
    # What an earlier attempt that was killed while it saved has left.
    for draft in run.path.glob(f".{run.recommender.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)
    recommender.save(run.recommender)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    for file in (run.ranker, run.ranker_worth):
        file.unlink(missing_ok=True)
    recommender.update_histories(train_part.interactions)
    return TrainedRun(run, recommender, train_part, test_part, history, announcements)


def _learned_earlier(
    train_part: Dataset,
    config: TrainConfig,
    run: RunDirectory,
    strategy: tf.distribute.Strategy,
    announce: Callable[[str], None],
    say: Callable[[str], None],
    verbose: int | None,
) -> tuple[Weights | None, Ranker | None]:
    """Returns what is learned on interactions that models have not been trained on: their weights, and a ranker."""
    weighs, ranks = config.model == "auto", config.ranker != "none"
    if strategy.cluster_resolver is not None:
        if weighs:
            announce("Several processes train the two towers alone: they cannot weigh models together.")
        if ranks:
            announce("Several processes train no ranker: the retriever's order stays.")
        return None, None
    if not weighs and not ranks:
        return None, None
    earlier = EarlierModels(train_part, config, say)
    weights = weigh_models(earlier, config, run, announce, progress=verbose != 0) if weighs else None
    if not ranks:
        return weights, None
    heard = with_signals(weights, config)
    ranker = train_ranker(earlier, heard, config, run, announce, say, verbose)
    return (heard, ranker) if ranker is not None else (weights, None)


def _of_one_process(model: Retriever) -> Retriever:
    """Returns a copy outside of the strategy: reading a variable of several processes may need all of them.

    All processes call it, for the same reason.
    """
    weights = model.get_weights()
    copy = type(model).from_config(model.get_config())
    copy.set_weights(weights)
    return copy


def _split(data: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset | None]:
    if config.test == "none":
        return data, None
    parts = data.split(config.test, test=config.test_fraction, seed=config.seed)
    for part, purpose in zip(parts, ("train on", "test on"), strict=True):
        if not len(part.interactions):
            expected = f"interactions to {purpose} after the split {config.test} (--test chooses another)"
            raise DataError([Problem("interactions", None, None, expected, "")])
    return parts


def _reranker(config: TrainConfig, data: Dataset, model: Retriever) -> Reranker | None:
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
