"""Trains what puts a retriever's candidates in order."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.models.ensemble import GROUPS
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import RankingLists, ranking_lists
from tfrec_div.storage import full_disk_as_os_error
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.earlier import EarlierModels, Weights, weighted
from tfrec_div.training.fitting import shown
from tfrec_div.training.run_directory import RunDirectory, write_json

# Models that tell a ranker of candidates whatever chose them.
SIGNALS = ("ease",)
# Users whose list has something to learn from: fewer are too few to learn an order of.
FEWEST_USERS = 30
# Share of the users whom training does not meet, and by whom probabilities are calibrated.
HELD_OUT = 0.1
# There are as many lists as users: after more epochs a ranker knows them by heart.
EPOCHS = 10
# What a ranker reads besides signals, history and content: ids would let it learn its few users by heart.
FEATURES = ("users", "categories", "numbers")


def with_signals(weights: Weights | None, config: TrainConfig) -> Weights:
    """Returns the weights of a retriever whose ranker hears more than the retriever goes by.

    EASE knows what goes together in ways that towers do not. Beside a single model it has the weight 0: it chooses no
    candidate, and tells the ranker what it holds of each.

    Args:
        weights: Of the members of an ensemble by group of users; None: a single model retrieves.
        config: The settings; `model` is that single one ("auto" stands for its first member).
    """
    if weights is not None:
        return weights
    single = "two_tower" if config.model == "auto" else config.model
    return {group: dict.fromkeys((single, *SIGNALS), 0.0) | {single: 1.0} for group in GROUPS}


def train_ranker(
    earlier: EarlierModels,
    weights: Weights,
    config: TrainConfig,
    run: RunDirectory,
    announce: Callable[[str], None],
    say: Callable[[str], None],
    verbose: int | None = None,
) -> Ranker | None:
    """Trains a ranker on the candidates of an earlier retriever and on what users did with them then.

    Some users are held out, to calibrate on and to say what the ranker is worth. It is kept in the run's folder until
    the recommender is, so that an interrupted training does not do it again.

    Args:
        earlier: The models, trained without the last interactions of each user.
        weights: Of the members of the retriever by group of users.
        config: The settings; `ranker` is the interaction.
        run: The folder.
        announce: Called with each line that a user should find again in the run.
        say: Called with each other line for the user.
        verbose: As for `keras.Model.fit`; by default a bar on a terminal, and a line an epoch elsewhere.

    Returns:
        The ranker; None where there is too little to learn from.
    """
    if run.ranker.is_file() and run.ranker_worth.is_file():
        announce(json.loads(run.ranker_worth.read_text("utf-8")))
        return keras.models.load_model(run.ranker, compile=False)
    wanting = others = np.zeros(0, np.int64)
    # Users of a single interaction leave nothing to hold out.
    if len(earlier.after.interactions):
        retriever = weighted(weights, earlier.model)
        lists = ranking_lists(
            retriever,
            earlier.before,
            earlier.after,
            num_candidates=config.num_candidates,
            seed=config.seed,
            progress=bool(shown(verbose)),
        )
        wants = lists.label.any(axis=1)
        wanting, others = np.flatnonzero(wants), np.flatnonzero(~wants)
    if len(wanting) < FEWEST_USERS:
        announce(
            f"There are too few users who wanted something of the candidates to train a ranker on "
            f"({len(wanting)}, at least {FEWEST_USERS}): the retriever's order stays."
        )
        return None
    say(f"Training a ranker on the candidates of {len(wanting)} users ...")
    keras.utils.set_random_seed(config.seed)
    ranker = Ranker(
        retriever.schema,
        signal_names=retriever.signal_names,
        interaction=config.ranker,
        features=FEATURES,
        content=retriever if retriever.content_model is not None else None,
    )
    fit, held = lists.take(wanting).split(HELD_OUT, seed=config.seed)
    # Nothing is learned of an order from users who wanted none of the candidates; but probabilities are for them, too.
    others = np.random.default_rng(config.seed).permutation(others)[: round(HELD_OUT * len(others))]
    asked = lists.take(np.append(np.flatnonzero(np.isin(lists.user, held.user)), others))
    ranker.compile()
    ranker.adapt(fit)
    before = _ndcg(ranker, held)
    ranker.fit(fit, epochs=EPOCHS, verbose=shown(verbose))
    ranker.calibrate(asked)
    worth = (
        f"The ranker takes the NDCG@10 of {lists.candidates.shape[1]} candidates from {before:.4f} to "
        f"{_ndcg(ranker, held):.4f} on {len(held.user)} users that it has not met."
    )
    announce(worth)
    with full_disk_as_os_error(run.ranker):
        ranker.save(run.ranker)
    # Last, so that a ranker which was cut off while it was written is not read.
    write_json(run.ranker_worth, worth)
    return ranker


def _ndcg(ranker: Ranker, lists: RankingLists) -> float:
    return float(ranker.evaluate(lists, verbose=0, return_dict=True)["ndcg_10"])
