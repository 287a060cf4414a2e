"""Several models trained, weighed against each other on held-out interactions, and served as one."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.ensemble_weights import FEWEST_USERS, GroupWeights, tune_ensemble, wanted_pairs
from tfrec_div.models.ensemble import GROUPS, Ensemble
from tfrec_div.models.retriever import Retriever
from tfrec_div.training.build import build_model, settings_of
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.fitting import batches_of
from tfrec_div.training.run_directory import RunDirectory, write_json

# The first is the model whose training the run shows, and whose towers have encoded the content.
MEMBERS = ("two_tower", "ease", "most_popular")
# The share of a user's interactions that a temporal split holds out.
LAST = 0.2
# A member that nowhere counts for as much as this is left out.
LEAST = 0.02
# What counts of what `config.validation` holds out: the one thing that a user does next, liked or not, or else what is
# liked of the many that follow.
TARGETS = {"temporal": "relevant", "leave_one_out": "all"}

GROUP_NAMES = {"none": "no history", "short": "a short history", "long": "a long history"}

Weights = dict[str, dict[str, float]]


def weigh_models(
    train_part: Dataset,
    config: TrainConfig,
    run: RunDirectory,
    announce: Callable[[str], None],
    say: Callable[[str], None],
    progress: bool = True,
) -> Weights | None:
    """Trains every member without the last interactions of each user, and learns on those what each should count for.

    `config.validation` says which: the last fifth (what a user will want in the time to come), or the very last one
    (what comes next).

    What was found is kept in the run's folder, so that an interrupted training does not do it again.

    Args:
        train_part: The interactions to train on; the held-out ones are taken from them.
        config: The settings.
        run: The folder.
        announce: Called with each line that a user should find again in the run.
        say: Called with each other line for the user.
        progress: Whether to show a progress bar.

    Returns:
        The weights of the members by group of users; None where there is too little data to learn them from.
    """
    if run.ensemble.is_file():
        found = json.loads(run.ensemble.read_text("utf-8"))
        _announce(found, announce)
        return _weights(found)
    fit, validation = train_part.split(config.validation, test=LAST, seed=config.seed)
    targets = TARGETS[config.validation]
    if len(np.unique(wanted_pairs(fit, validation, targets)[0])) < FEWEST_USERS:
        announce("There are too few interactions to weigh models by: the two towers are used alone.")
        return None
    ensemble = Ensemble(
        {name: _trained(name, fit, config, say, "to weigh it against the others") for name in MEMBERS}
    )
    tuned = tune_ensemble(
        ensemble, fit, validation, k=config.k, seed=config.seed, progress=progress, targets=targets
    )
    found = {group: _plain(weights) for group, weights in tuned.items()}
    write_json(run.ensemble, found)
    _announce(found, announce)
    return _weights(found)


def assemble(
    model: Retriever,
    weights: Weights,
    train_part: Dataset,
    config: TrainConfig,
    say: Callable[[str], None],
) -> Retriever:
    """Trains the members that count for something on the whole training part, and puts them together.

    Args:
        model: The first member, trained.
        weights: As `weigh_models` found them.
        train_part: The interactions to train on.
        config: The settings.
        say: Called with each line for the user.

    Returns:
        The ensemble; the first member itself where no other counts.
    """
    first = MEMBERS[0]
    used = [name for name in MEMBERS if name == first or max(w[name] for w in weights.values()) >= LEAST]
    if used == [first]:
        return model
    members = {first: model}
    for name in used[1:]:
        members[name] = _trained(name, train_part, config, say, "on all interactions")
    values = np.array([[weights[group][name] for name in used] for group in GROUPS])
    return Ensemble(members, values, name="ensemble")


def _trained(
    name: str, data: Dataset, config: TrainConfig, say: Callable[[str], None], why: str
) -> Retriever:
    say(f"Training {name} {why} ...")
    config = settings_of(name, config)
    keras.utils.set_random_seed(config.seed)
    model, _ = build_model(data, config)
    model.compile()
    model.adapt(data)
    epochs = config.epochs_for(len(data.interactions))
    model.fit(batches_of(data, config), epochs=epochs, verbose=0)
    return model


def _plain(found: GroupWeights) -> dict:
    return {
        "weights": found.weights,
        "users": found.users,
        "ndcg": None if np.isnan(found.ndcg) else found.ndcg,
        "alone": found.alone,
    }


def _weights(found: dict) -> Weights:
    return {group: found[group]["weights"] for group in GROUPS}


def _announce(found: dict, announce: Callable[[str], None]) -> None:
    """Says what each model counts for, by the users' histories."""
    for group in GROUPS:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in found[group]["weights"].items())
        if found[group]["users"]:
            best = max(found[group]["alone"].values())
            measured = (
                f"NDCG {found[group]['ndcg']:.4f} on {found[group]['users']} users, the best alone {best:.4f}"
            )
        else:
            measured = "too few users to tell: as for others"
        announce(f"Weights for users with {GROUP_NAMES[group]}: {shares} ({measured}).")
