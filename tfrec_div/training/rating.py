"""Trains what predicts ratings, beside the recommender of a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.rating_model import RatingModel, has_ratings, rated
from tfrec_div.models.retriever import Retriever
from tfrec_div.storage import full_disk_as_os_error
from tfrec_div.training.run_directory import RunDirectory

# More ratings, or users and items that have one, are learned from only when asked: it takes minutes and more.
MOST_RATINGS, MOST_ROWS = 1_000_000, 100_000
# Share of the sweeps that tells how well held-out ratings are predicted.
MEASURED = 0.25


def train_rater(
    run: RunDirectory,
    data: Dataset,
    train: Dataset,
    test: Dataset | None,
    retriever: Retriever,
    seed: int = 0,
    say: Callable[[str], None] = print,
    verbose: int | None = None,
    wanted: bool | None = None,
) -> None:
    """Trains a `RatingModel` into a run's folder, if the data has ratings that differ and the run has no such model.

    It is fitted twice: on the training part in a quarter of the sweeps, to say how well it predicts what is held out;
    then on all ratings, for use. Call it before the recommender is saved, which tells that the run is complete.

    Args:
        run: The folder.
        data: All interactions.
        train: The training part.
        test: The held-out part, or None.
        retriever: Trained on the training part; what it knows of the items helps.
        seed: Of the model.
        say: Called with each line for the user.
        verbose: 0 shows no progress; None shows it on a terminal.
        wanted: False leaves it out; None, too, where there are more than 1,000,000 ratings, or more than 100,000 users
            and items that have one, and says so.
    """
    if run.rater.is_file() or wanted is False or not has_ratings(data.interactions):
        return
    log = rated(data.interactions)
    rows = len(np.unique(log.user)) + len(np.unique(log.item))
    if wanted is None and (len(log) > MOST_RATINGS or rows > MOST_ROWS):
        say(
            f"Ratings are left out: learning from {len(log)}, of {rows} users and items, could take longer than "
            "the rest (--ratings does it all the same)."
        )
        return
    vectors = item_vectors_of(retriever)
    shown = "auto" if verbose is None else verbose
    model = RatingModel(data.schema, seed=seed)
    if test is not None and has_ratings(train.interactions) and has_ratings(test.interactions):
        brief = _in_fewer_sweeps(model)
        brief.fit(train, item_vectors=vectors, verbose=shown)
        log = rated(test.interactions)
        truth = np.asarray(log.rating)
        error = brief.ratings(log.user, log.item) - truth
        rmse, spread = (float(np.sqrt(np.mean(e**2))) for e in (error, float(brief.mean) - truth))
        say(
            f"Ratings are predicted with a root mean squared error of {rmse:.3f} on the {len(truth)} held out "
            f"({spread:.3f} by their mean), in a quarter of the sweeps that the run's model gets."
        )
    model.fit(data, item_vectors=vectors, verbose=shown)
    save_rater(model, run)


def save_rater(model: RatingModel, run: RunDirectory) -> None:
    """Writes the model into a run's folder, as a whole or not at all."""
    draft = run.rater.with_name(f".draft-{run.rater.name}")
    try:
        with full_disk_as_os_error(run.rater):
            model.save(draft)
        draft.replace(run.rater)
    finally:
        draft.unlink(missing_ok=True)


def load_rater(run: RunDirectory) -> RatingModel:
    """Reads the model of a run."""
    return keras.models.load_model(run.rater, compile=False)


def _in_fewer_sweeps(model: RatingModel) -> RatingModel:
    settings = model.get_config()
    fewer = {name: round(MEASURED * settings[name]) for name in ("sweeps", "burn_in")}
    return RatingModel.from_config({**settings, **fewer})


def item_vectors_of(retriever: Retriever) -> np.ndarray | None:
    """Returns what retrieval knows of the items, for ratings: its own vectors, and those of the frozen text tower.

    Who takes what says something of who likes what (+.004 of the error on held-out ratings of MovieLens).

    Args:
        retriever: Trained.

    Returns:
        Float [items, dim], the learned part centred and of length about 1; None for a retriever without towers.
    """
    model = retriever.content_model
    if model is None:
        return None
    learned = model.item_embeddings()[:, : model.embedding_dim]
    learned = learned - learned.mean(axis=0)
    parts = [learned / max(float(np.linalg.norm(learned, axis=1).mean()), 1e-12)]
    return np.concatenate(parts if model.text_encoder is None else [*parts, model.content("text")], axis=1)
