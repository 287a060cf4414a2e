"""One model chooses candidates, another one puts them in order."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.comparable import comparable
from tfrec_div.models.ensemble import as_read_by
from tfrec_div.models.model_of_parts import ModelOfParts
from tfrec_div.models.retriever import Retriever, best_rows, mask_scores


@keras.utils.register_keras_serializable(package="tfrec_div")
class Cascade(ModelOfParts):
    """Retrieves the best items of one model by the scores of another.

    What the first model does not choose cannot come back, whatever the second says; so the first one should miss little
    and the second one should know best. In a `Recommender` a re-ranker is the third stage.

    Args:
        first: Chooses the candidates.
        second: Scores them; of the same schema. Both are trained before.
        num_candidates: Items that the first one chooses; of several with the score of the last one all are taken.
        **kwargs: As for any Keras model.

    Raises:
        ValueError: If the schemas differ or there are no candidates.

    Example:
        >>> from tfrec_div import EASE, MostPopular, make_synthetic
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> popular, ease = MostPopular(data.schema), EASE(data.schema)
        >>> for model in (popular, ease):
        ...     _ = model.fit(data.batches(64))
        >>> model = Cascade(popular, ease, num_candidates=5)
        >>> query = model.query_of(data, [0])
        >>> set(model.retrieve(query, k=3)[0].numpy()[0]) <= set(popular.retrieve(query, k=5)[0].numpy()[0])
        True

    Wang, Lin and Metzler (2011), A cascade ranking model for efficient ranked retrieval.
    """

    def __init__(self, first: Retriever, second: Retriever, num_candidates: int = 200, **kwargs):
        super().__init__(**kwargs)
        if first.schema != second.schema:
            raise ValueError("second: expected the first one's schema, got another")
        if num_candidates < 1:
            raise ValueError(f"num_candidates: expected at least 1, got {num_candidates}")
        self.first, self.second, self.num_candidates = first, second, num_candidates
        self.schema = first.schema
        self.max_history = max(first.max_history, second.max_history)
        self.built = True

    def retrieve(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows int32 [batch, k] and their scores, see `scores`; arguments as for `Retriever.retrieve`.

        The candidates are chosen among what is allowed.
        """
        return best_rows(self._fused(query, exclude, include), k)

    def retrieve_with_signals(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what `retrieve` and `signals` do; see `Retriever.retrieve_with_signals`."""
        rows, scores = self.retrieve(query, k, exclude, include)
        return rows, scores, self.signals(query, rows)

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns comparable scores of every item, float [batch, items]: the candidates by the second model, before all
        others, which are in the order of the first one.
        """
        return self._fused(query)

    def _fused(self, query: dict[str, tf.Tensor], exclude=None, include=None) -> tf.Tensor:
        first = comparable(self.first.scores(as_read_by(self.first, query)))
        second = comparable(self.second.scores(as_read_by(self.second, query)))
        above = (
            second
            - tf.reduce_min(second, axis=1, keepdims=True)
            + tf.reduce_max(first, axis=1, keepdims=True)
        )
        allowed = mask_scores(first, exclude, include)
        kept = tf.minimum(self.num_candidates, tf.shape(first)[1])
        least = tf.math.top_k(allowed, kept).values[:, -1:]
        # Where fewer are allowed than are kept, the last one is minus infinity, and all allowed ones are candidates.
        return tf.where(allowed >= tf.maximum(least, first.dtype.min), above, allowed)

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the likeness that the second model sees, float [batch, items]."""
        return self.second.similar(rows)

    @property
    def parts(self) -> tuple[Retriever, ...]:
        """Both stages."""
        return self.first, self.second

    @property
    def content_model(self):
        """The first stage's, or else the second's."""
        return self.first.content_model or self.second.content_model

    def with_items(self, data: Dataset) -> Cascade:
        """Returns the same cascade of models that have more items; see `Retriever.with_items`.

        Args:
            data: Whose items are the models', and new ones after them.
        """
        first: Any = self.first
        second: Any = self.second
        reads_first, reads_second = (
            getattr(one, "content", None) is other for one, other in ((second, first), (first, second))
        )
        if reads_second:
            larger = second.with_items(data)
            stages = first.with_items(data, content=larger), larger
        elif reads_first:
            larger = first.with_items(data)
            stages = larger, second.with_items(data, content=larger)
        else:
            stages = first.with_items(data), second.with_items(data)
        return type(self)(*stages, self.num_candidates, name=self.name)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        stages = {
            name: keras.saving.serialize_keras_object(model)
            for name, model in (("first", self.first), ("second", self.second))
        }
        return {"name": self.name, **stages, "num_candidates": self.num_candidates}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Cascade:
        """Makes a cascade of what `get_config` returned; weights come by `set_weights`."""
        stages = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("first", "second")
        }
        return cls(**{**config, **stages})
