"""Models that know less than all: what is learned of models is learned on what they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.ensemble import GROUPS, Ensemble
from tfrec_div.models.retriever import Retriever
from tfrec_div.training.build import build_model, settings_of
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.fitting import batches_of

# The share of a user's interactions that a temporal split holds out.
LAST = 0.2

Weights = Mapping[str, Mapping[str, float]]


class EarlierModels:
    """The models of a run, trained without the last interactions of each user, each when it is first asked for.

    Args:
        train_part: The interactions to train on; the last ones are taken from them.
        config: The settings; `validation` says which are the last: a fifth, or the very last one.
        say: Called with each line for the user.

    Attributes:
        before: What the models are trained on.
        after: What comes then.
    """

    def __init__(self, train_part: Dataset, config: TrainConfig, say: Callable[[str], None]):
        self.before, self.after = train_part.split(config.validation, test=LAST, seed=config.seed)
        self._config, self._say = config, say
        self._trained: dict[str, Retriever] = {}

    def model(self, name: str) -> Retriever:
        """Returns the model of a name, trained on what came before."""
        if name not in self._trained:
            self._say(f"Training {name} without the last interactions of each user ...")
            self._trained[name] = trained_model(name, self.before, self._config)
        return self._trained[name]


def trained_model(name: str, data: Dataset, config: TrainConfig) -> Retriever:
    """Makes and trains a model.

    Args:
        name: Of the model.
        data: What to train on.
        config: The settings; what another model does not read is left at its default.
    """
    config = settings_of(name, config)
    keras.utils.set_random_seed(config.seed)
    model, _ = build_model(data, config)
    model.compile()
    model.adapt(data)
    model.fit(batches_of(data, config), epochs=config.epochs_for(len(data.interactions)), verbose=0)
    return model


def weighted(weights: Weights, model_of: Callable[[str], Retriever]) -> Retriever:
    """Returns members as one model; a single one as it is.

    Args:
        weights: By group of users, then by member.
        model_of: Returns the member of a name.
    """
    names = list(weights[GROUPS[0]])
    members = {name: model_of(name) for name in names}
    if len(members) == 1:
        return members[names[0]]
    values = np.array([[weights[group][name] for name in names] for group in GROUPS])
    return Ensemble(members, values, name="ensemble")
