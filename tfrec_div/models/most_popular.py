"""The same items for everybody: those that most have liked."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.new_items import check_larger
from tfrec_div.data.schema import Schema
from tfrec_div.models.arguments import training_data
from tfrec_div.models.grown_weights import copy_grown_weights
from tfrec_div.models.retriever import Retriever


@keras.utils.register_keras_serializable(package="tfrec_div")
class MostPopular(Retriever):
    """Scores an item by the logarithm of one plus the strengths of its interactions.

    The strength of an interaction is what its rating, event and weight make of it, see `Interactions.strength`. It is
    a member of ensembles for those who have done little.

    Args:
        schema: Describes users and items; from `Dataset.schema`.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div import make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = MostPopular(data.schema)
        >>> _ = model.fit(data.batches(64))
        >>> rows, scores = model.retrieve(model.query_of(data, [0, 1]), k=3)
        >>> rows.numpy()[0].tolist() == rows.numpy()[1].tolist()
        True
    """

    max_history = 0

    def __init__(self, schema: Schema, **kwargs):
        super().__init__(**kwargs)
        self.schema = schema
        self.popularity = self.add_weight(
            name="popularity",
            shape=(schema.num_items,),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.built = True

    def fit(self, x: Batches | Dataset, *args, **kwargs) -> keras.callbacks.History:
        """Counts; one pass, whatever is asked for besides.

        Args:
            x: `Dataset.batches(...)`, or the data set itself.
            *args: Passed over.
            **kwargs: Passed over.

        Raises:
            ValueError: If `x` is something else, or of another schema.
        """
        events = training_data(x, self.schema).interactions
        total = np.bincount(events.item, weights=events.strength(), minlength=self.schema.num_items)
        self.popularity.assign(np.log1p(total).astype(np.float32))
        history = keras.callbacks.History()
        history.set_model(self)
        history.on_train_begin()
        return history

    def with_items(self, data: Dataset) -> MostPopular:
        """Returns the same model for more items, which nobody has liked yet.

        Args:
            data: Whose items are the model's, and new ones after them.
        """
        check_larger(self.schema, data.schema)
        larger = self.from_config({**self.get_config(), "schema": data.schema.to_json()})
        copy_grown_weights(self, larger)
        return larger

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the popularity of every item, float [batch, items]."""
        batch = tf.shape(query["user_id"])[0]
        return tf.broadcast_to(self.popularity[tf.newaxis, :], [batch, self.schema.num_items])

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns zeros, float [batch, items]: of how alike items are it knows nothing."""
        return tf.zeros([tf.shape(rows)[0], self.schema.num_items])

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"name": self.name, "schema": self.schema.to_json()}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> MostPopular:
        """Makes a model of what `get_config` returned; weights come by `set_weights`."""
        return cls(**{**config, "schema": Schema.from_json(config["schema"])})
