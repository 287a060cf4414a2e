"""Several retrievers as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.comparable import comparable
from tfrec_div.models.model_of_parts import ModelOfParts
from tfrec_div.models.ranking_model import RankingModel
from tfrec_div.models.retriever import Retriever

GROUPS = ("none", "short", "long")


@keras.utils.register_keras_serializable(package="tfrec_div")
class Ensemble(ModelOfParts):
    """Adds up the scores of several retrievers, each with a weight that depends on how much a user has done.

    Scores of a query are first made comparable: standardised over the items (mean 0, deviation 1), and beyond the
    deviation they grow like a logarithm (asinh), since some members give a few items scores twenty deviations out,
    which would be all that counts. There are three groups of users, by the length of their history: none, short and
    long. The whole is one model with one graph, which is served as any other.

    Args:
        members: The retrievers by name, of one schema. They are trained before.
        weights: Float [3, members], of at least 0, for users with no, a short and a long history; None: all alike.
            `tune_ensemble` learns them.
        short_history: A history of at most so many items is a short one; from 1.
        **kwargs: As for any Keras model.

    Raises:
        ValueError: If there is no member, they have different schemas, or the weights do not fit.

    Example:
        >>> from tfrec_div import EASE, TwoTower, make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> ease, towers = EASE(data.schema), TwoTower(data.schema, embedding_dim=8)
        >>> for model in (ease, towers):
        ...     model.compile()
        ...     _ = model.fit(data.batches(64), verbose=0)
        >>> both = Ensemble({"ease": ease, "towers": towers}, weights=[[0, 1], [1, 1], [2, 1]])
        >>> both.retrieve(both.query_of(data, [0, 1]), k=3)[0].shape
        TensorShape([2, 3])

    Linear fusion of scores: Fox and Shaw (1994), Combination of multiple searches; standardised scores:
    Montague and Aslam (2001), Relevance score normalization for metasearch.
    """

    def __init__(
        self,
        members: Mapping[str, Retriever],
        weights: Sequence[Sequence[float]] | np.ndarray | None = None,
        short_history: int = 10,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not members:
            raise ValueError("members: expected at least one retriever, got none")
        self.members = dict(members)
        self.schema = next(iter(self.members.values())).schema
        if others := [name for name, member in self.members.items() if member.schema != self.schema]:
            first = next(iter(self.members))
            raise ValueError(
                f"members: expected one schema, got another for {others[0]!r} than for {first!r}"
            )
        if short_history < 1:
            raise ValueError(f"short_history: expected at least 1, got {short_history}")
        self.short_history = short_history
        self.max_history = max(member.max_history for member in self.members.values())
        self.group_weights = self.add_weight(
            name="group_weights",
            shape=(len(GROUPS), len(self.members)),
            initializer="ones",
            trainable=False,
            dtype="float32",
        )
        if weights is not None:
            self.set_group_weights(weights)
        self.built = True

    def set_group_weights(self, weights: Sequence[Sequence[float]] | np.ndarray) -> None:
        """Replaces the weights.

        Args:
            weights: Float [3, members], of at least 0; in each row one is above 0.

        Raises:
            ValueError: If they are not.
        """
        values, shape = np.asarray(weights, np.float32), (len(GROUPS), len(self.members))
        if values.shape != shape:
            raise ValueError(f"weights: expected shape {list(shape)}, got {list(values.shape)}")
        if not np.isfinite(values).all() or (values < 0).any() or not values.any(axis=1).all():
            raise ValueError(
                f"weights: expected numbers of at least 0, one of a row above 0, got {values.tolist()}"
            )
        self.group_weights.assign(values)

    @property
    def weights_by_group(self) -> dict[str, dict[str, float]]:
        """What each member counts for, by group of users."""
        rows = self.group_weights.numpy().tolist()
        return {
            group: dict(zip(self.members, row, strict=True)) for group, row in zip(GROUPS, rows, strict=True)
        }

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the weighted sum of the members' comparable scores, float [batch, items]."""
        return self._weighted(query, [comparable(scores) for scores in self._member_scores(query)])

    def _member_scores(self, query: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        return [member.scores(as_read_by(member, query)) for member in self.members.values()]

    def _weighted(self, query: dict[str, tf.Tensor], scores: list[tf.Tensor]) -> tf.Tensor:
        weights = tf.unstack(tf.gather(self.group_weights, self.group_of(query)), axis=1)
        return tf.add_n([w[:, tf.newaxis] * of_member for w, of_member in zip(weights, scores, strict=True)])

    @property
    def signal_names(self) -> tuple[str, ...]:
        """The ensemble's score, and those of the members."""
        return ("score", *self.members)

    def signal_scores(self, query: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """Returns the ensemble's and each member's score of every item, float [batch, items] each."""
        of_members = self._member_scores(query)
        return [self._weighted(query, [comparable(scores) for scores in of_members]), *of_members]

    def group_of(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the group of each user, int32 [batch]: 0 without a history, 1 with a short and 2 with a long one."""
        length = tf.reduce_sum(tf.cast(query["history"] >= 0, tf.int32), axis=1)
        return tf.cast(length > 0, tf.int32) + tf.cast(length > self.short_history, tf.int32)

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the likeness that the members see, weighted as for users with a long history."""
        weights = tf.unstack(self.group_weights[-1])
        alike = [w * comparable(m.similar(rows)) for w, m in zip(weights, self.members.values(), strict=True)]
        return tf.add_n(alike)

    @property
    def parts(self) -> tuple[Retriever, ...]:
        """The members."""
        return tuple(self.members.values())

    @property
    def content_model(self):
        """The first member's that has one."""
        models = (member.content_model for member in self.members.values())
        return next((model for model in models if model is not None), None)

    def with_items(self, data: Dataset) -> Ensemble:
        """Returns the same ensemble of members that have more items; see `Retriever.with_items`.

        Args:
            data: Whose items are the members', and new ones after them.
        """
        readers = self._readers
        larger = {name: one.with_items(data) for name, one in self.members.items() if name not in readers}
        for name, of in readers.items():
            reader: Any = self.members[name]
            larger[name] = reader.with_items(data, content=larger[of])
        members = {name: larger[name] for name in self.members}
        return type(self)(members, self.group_weights.numpy(), self.short_history, name=self.name)

    @property
    def _readers(self) -> dict[str, str]:
        """Members whose content model is another member, and the name of that one."""
        names = {id(member): name for name, member in self.members.items()}
        contents = {name: getattr(member, "content", None) for name, member in self.members.items()}
        return {name: names[id(content)] for name, content in contents.items() if id(content) in names}

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        members = {name: keras.saving.serialize_keras_object(m) for name, m in self.members.items()}
        for name, of in self._readers.items():
            members[name]["config"]["content"] = of
        return {"name": self.name, "members": members, "short_history": self.short_history}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Ensemble:
        """Makes an ensemble of what `get_config` returned; weights come by `set_weights`."""
        build = keras.saving.deserialize_keras_object
        members: dict[str, Retriever] = {}
        # Those that read by another member come after it.
        readers = {
            name for name, one in config["members"].items() if isinstance(one["config"].get("content"), str)
        }
        for name, one in sorted(config["members"].items(), key=lambda item: item[0] in readers):
            if name in readers:
                one = {**one, "config": {**one["config"], "content": members[one["config"]["content"]]}}
            members[name] = build(one, custom_objects)
        return cls(**{**config, "members": {name: members[name] for name in config["members"]}})


def as_read_by(model: Retriever | RankingModel, query: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns a query with as much of the history as a model reads."""
    history = {name: query[name][:, : model.max_history] for name in ("history", "history_weight")}
    return {**query, **history}
