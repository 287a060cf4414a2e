"""What recommends items to a query: the contract of all retrieval models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.batches import Batches
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema
from tfrec_div.models.comparable import comparable
from tfrec_div.models.exact_ranks import ExactRanks, update_ranks
from tfrec_div.tasks.masking import mask_rows

if TYPE_CHECKING:
    from tfrec_div.models.two_tower import TwoTower

# Length of projected items, and items that are compared with all others at once.
PROJECTED = 64
BLOCK = 1024


class Retriever(keras.Model):
    """Base of the models that score the items of a catalogue for a query and return the best ones.

    A query is a dictionary of tensors: `user_id` int32 [batch] (rows; -1: unknown), `history` int32 [batch, steps]
    (item rows, the latest first, padded with -1 at the end) and `history_weight` float32 alike (the strength of each
    interaction in (0, 1], 0 where padded). A retriever may pass over what it does not need.

    A subclass has `schema` and `max_history` (items of a history that its queries hold), makes all weights in its
    constructor, and implements `scores`; `fit` takes `Dataset.batches(...)`, and `evaluate` such batches with a
    context.
    """

    schema: Schema
    max_history: int
    _exact_ranks: ExactRanks | None = None

    def scores(self, query: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of every item of the catalogue, float [batch, items]."""
        raise NotImplementedError

    def similar(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns how alike every item of the catalogue is to each of `rows` int [batch], float [batch, items].

        An item compared with itself may have any score.
        """
        raise NotImplementedError

    def item_embeddings(self) -> np.ndarray:
        """Returns vectors that are close for items which are alike, float32 [items, dim].

        Here a random projection of what `similar` says (Johnson and Lindenstrauss, 1984).
        """
        items = self.schema.num_items
        directions = np.random.default_rng(0).standard_normal((items, PROJECTED)) / np.sqrt(PROJECTED)
        directions = tf.constant(directions, tf.float32)
        blocks = [tf.range(start, min(start + BLOCK, items)) for start in range(0, items, BLOCK)]
        return np.concatenate([tf.matmul(self.similar(rows), directions).numpy() for rows in blocks])

    @property
    def content_model(self) -> TwoTower | None:
        """The model whose text and image towers have encoded the catalogue's content; None without one."""
        return None

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Reads what training needs besides the batches; here nothing.

        Args:
            data: Training data, whose schema is the model's.
            cache_dir: Where what is computed once is kept.
            progress: Whether to show progress bars.
        """

    def refresh_index(self) -> None:
        """Brings what is kept of the items up to the weights as they are now; here nothing is kept."""

    def with_items(self, data: Dataset) -> Retriever:
        """Returns the same model for more items, without training; this one stays as it is.

        Items that it has no weights for are scored by their content, or as items that training has not met.

        Args:
            data: Whose items are the model's, and new ones after them, as `add_items` makes it. Of its interactions
                nothing is read.

        Raises:
            ValueError: If the data are not such, or the model takes no new items.
        """
        raise ValueError(
            f"items: {type(self).__name__} takes no new items without training; train it on data that has them"
        )

    def query_of(self, data: Dataset, user_rows: Iterable[int]) -> dict[str, tf.Tensor]:
        """Returns the query of each user row, with the user's history in `data`."""
        rows = np.asarray(user_rows, np.int32)
        history, weight = data.interactions.latest(rows, self.max_history)
        return {
            "user_id": tf.constant(rows),
            "history": tf.constant(history),
            "history_weight": tf.constant(weight),
        }

    def retrieve(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows int32 [batch, k] and their scores, both by score.

        A place for which no item is left holds -1 and the score minus infinity.

        Args:
            query: See the class.
            k: Rows a query, cut to the catalogue.
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [items] or [batch, items], the only rows allowed.
        """
        return best_rows(mask_scores(self.scores(query), exclude, include), k)

    @property
    def signal_names(self) -> tuple[str, ...]:
        """What `signals` tells of an item, by name; here its score alone."""
        return ("score",)

    def signals(self, query: dict[str, tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        """Returns what the retriever knows of its candidates, for a ranker, float [batch, n, signals].

        Args:
            query: See the class.
            rows: Int [batch, n], candidates; -1 is padding, whose signals are 0.
        """
        return signals_of(self.signal_scores(query), rows)

    def signal_scores(self, query: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """Returns what `signals` are made of, for every item, float [batch, items] each; the first one is `scores`."""
        return [self.scores(query)]

    def retrieve_with_signals(
        self, query: dict[str, tf.Tensor], k: int | tf.Tensor = 10, exclude=None, include=None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what `retrieve` does, and the `signals` of these rows, while all items are scored but once.

        A model that retrieves by other means than `scores` asks itself twice.

        Args:
            query: See the class.
            k: Alike, see `retrieve`.
            exclude: Alike.
            include: Alike.
        """
        scores = self.signal_scores(query)
        rows, best = best_rows(mask_scores(scores[0], exclude, include), k)
        return rows, best, signals_of(scores, rows)

    @property
    def parts(self) -> tuple[Retriever, ...]:
        """The models that this one is made of; none if it is not made of others."""
        return ()

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as any Keras model, by exact ranks over all items.

        Args:
            x: `Batches` with a context, or a `tf.data.Dataset` of such dictionaries.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.
        """
        if isinstance(x, Batches):
            x = x.as_dataset(epochs=1)
        if not self._is_compiled:
            # Keras asks for it. This optimizer keeps nothing beside the weights, and takes no step here.
            super().compile(optimizer="sgd")
        return super().evaluate(x, *args, **kwargs)

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Ranks the target of each row among all items, by counting those with at least its score."""
        update_ranks(self.metrics, self.scores(inputs), inputs)
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def metrics(self) -> list:
        """The rank metrics, reset at each evaluation."""
        if self._exact_ranks is None:
            with self.distribute_strategy.scope():
                self._exact_ranks = ExactRanks()
        return self._exact_ranks.metrics

    def recommender(self, data: Dataset, **kwargs):
        """Returns a `Recommender` that serves this model to the users of `data`; arguments as for `Recommender`."""
        from tfrec_div.recommender import Recommender

        return Recommender(self, data, **kwargs)


def mask_scores(scores: tf.Tensor, exclude=None, include=None) -> tf.Tensor:
    """Returns scores float [batch, items], minus infinity where an item must not be returned.

    Args:
        scores: Float [batch, items].
        exclude: Integer [batch, n], rows to leave out, padded with -1.
        include: Boolean [items] or [batch, items], the only rows allowed.
    """
    if include is not None:
        scores = tf.where(include, scores, -float("inf"))
    return scores if exclude is None else mask_rows(scores, exclude)


def best_rows(scores: tf.Tensor, k: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the best rows int32 [batch, k] and their scores; a place without an item holds -1 and minus infinity.

    Example:
        >>> rows, best = best_rows(tf.constant([[1.0, 3.0, -float("inf")]]), 3)
        >>> rows.numpy().tolist(), best.numpy().tolist()
        ([[1, 0, -1]], [[3.0, 1.0, -inf]])
    """
    best, rows = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    return tf.where(best > -float("inf"), rows, -1), best


def signals_of(scores: Sequence[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """Returns comparable scores of candidates, float [batch, n, len(scores)]; 0 where there is no candidate.

    Args:
        scores: Of all items, float [batch, items] each; see `comparable`.
        rows: Int [batch, n], candidates; -1 is padding.

    Example:
        >>> found = signals_of([tf.constant([[1.0, 3.0]])], tf.constant([[1, -1]]))
        >>> found.numpy().round(4).tolist()
        [[[0.8813999891281128], [0.0]]]
    """
    chosen = [tf.gather(comparable(one), tf.maximum(rows, 0), batch_dims=1) for one in scores]
    return tf.where((rows >= 0)[:, :, tf.newaxis], tf.stack(chosen, axis=2), 0.0)


def all_weights(model: Retriever) -> list[tf.Variable]:
    """Returns a model's weights part by part, so that what several parts share comes once for each.

    Keras names it once in all; but a model that is made again from its configuration has a copy in each part.
    """
    of_parts = [weight for part in model.parts for weight in all_weights(part)]
    known = {id(weight) for weight in of_parts}
    return [*of_parts, *(weight for weight in model.weights if id(weight) not in known)]
