"""What models share that know a user by the history alone."""

from __future__ import annotations

from tfrec_div._keras import tf
from tfrec_div.data.schema import Schema
from tfrec_div.models.arguments import check_number
from tfrec_div.models.exact_ranks import rank_metrics
from tfrec_div.models.retriever import Retriever


class Autoencoder(Retriever):
    """Base of the models that complete a history: items in, a score of every item out.

    Users that training has not met are no different from others.

    A subclass calls `_add_metrics()` at the end of its constructor, and implements `scores`, `similar` and `fit`.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        max_history: Latest items of a history that a query holds.
        **kwargs: As for any Keras model.
    """

    def __init__(self, schema: Schema, max_history: int, **kwargs):
        super().__init__(**kwargs)
        check_number("max_history", max_history, lambda number: number >= 1, "at least 1", whole=True)
        self.schema = schema
        self.max_history = max_history

    def _add_metrics(self) -> None:
        self._ranks = rank_metrics()

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made all weights."""
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the score of each (user, item) pair, float [batch].

        Args:
            inputs: `item_id` int [batch], `history` int [batch, steps] (-1: padding) and `history_weight` float alike.
            training: Not used.
        """
        return tf.gather(self.scores(inputs), inputs["item_id"], axis=1, batch_dims=1)

    @property
    def metrics(self) -> list:
        """The rank metrics, reset at each evaluation."""
        return self._ranks

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """Makes a model of what `get_config` returned; weights come by `load_weights`."""
        return cls(**{**config, "schema": Schema.from_json(config["schema"])})
