"""Several models trained, weighed against each other on held-out interactions, and served as one."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.evaluation.ensemble_weights import FEWEST_USERS, GroupWeights, tune_ensemble, wanted_pairs
from tfrec_div.models.ensemble import GROUPS, Ensemble
from tfrec_div.models.retriever import Retriever
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.earlier import EarlierModels, Weights, trained_model, weighted
from tfrec_div.training.run_directory import RunDirectory, write_json

# The first is the model whose training the run shows, and whose towers have encoded the content.
MEMBERS = ("two_tower", "ease", "most_popular")
# A member that nowhere counts for as much as this is left out.
LEAST = 0.02
# What counts of what `config.validation` holds out: the one thing that a user does next, liked or not, or else what is
# liked of the many that follow.
TARGETS = {"temporal": "relevant", "leave_one_out": "all"}

GROUP_NAMES = {"none": "no history", "short": "a short history", "long": "a long history"}


def weigh_models(
    earlier: EarlierModels,
    config: TrainConfig,
    run: RunDirectory,
    announce: Callable[[str], None],
    progress: bool = True,
) -> Weights | None:
    """Learns what each member should count for, on what the earlier models were not trained on.

    What was found is kept in the run's folder, so that an interrupted training does not do it again.

    Args:
        earlier: The members, trained without the last interactions of each user.
        config: The settings.
        run: The folder.
        announce: Called with each line that a user should find again in the run.
        progress: Whether to show a progress bar.

    Returns:
        The weights of the members that count for something, by group of users; None where there is too little data to
        learn them from, or the first member alone counts.
    """
    if run.ensemble.is_file():
        found = json.loads(run.ensemble.read_text("utf-8"))
        _announce(found, announce)
        return _weights(found)
    targets = TARGETS[config.validation]
    if len(np.unique(wanted_pairs(earlier.before, earlier.after, targets)[0])) < FEWEST_USERS:
        announce("There are too few interactions to weigh models by: the two towers are used alone.")
        return None
    ensemble = Ensemble({name: earlier.model(name) for name in MEMBERS})
    tuned = tune_ensemble(
        ensemble,
        earlier.before,
        earlier.after,
        k=config.k,
        seed=config.seed,
        progress=progress,
        targets=targets,
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
    """Trains the other members on the whole training part, and puts them together.

    Args:
        model: The first member, trained.
        weights: Of the members by group of users, as `weigh_models` finds them; the first member's come first.
        train_part: The interactions to train on.
        config: The settings.
        say: Called with each line for the user.
    """

    first = next(iter(weights[GROUPS[0]]))

    def member(name: str) -> Retriever:
        if name == first:
            return model
        say(f"Training {name} on all interactions ...")
        return trained_model(name, train_part, config)

    return weighted(weights, member)


def _plain(found: GroupWeights) -> dict:
    return {
        "weights": found.weights,
        "users": found.users,
        "ndcg": None if np.isnan(found.ndcg) else found.ndcg,
        "alone": found.alone,
    }


def _weights(found: dict) -> Weights | None:
    """Returns the weights without the members that nowhere count for anything."""
    of = {group: found[group]["weights"] for group in GROUPS}
    first = MEMBERS[0]
    used = [name for name in MEMBERS if name == first or max(w[name] for w in of.values()) >= LEAST]
    if used == [first]:
        return None
    return {group: {name: of[group][name] for name in used} for group in GROUPS}


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
