"""What puts a retriever's candidates in order: the contract of all ranking models."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.schema import Schema


class RankingModel(keras.Model):
    """Base of the models that score the candidates of a query, a list at a time.

    A subclass has `schema`, `max_history` and `signal_names`, makes all weights in its constructor, and implements
    `predictions`.
    """

    schema: Schema
    max_history: int
    # The signals of the retriever that the model was trained behind; see `Retriever.signals`.
    signal_names: tuple[str, ...]

    def predictions(
        self, query: dict[str, tf.Tensor], rows: tf.Tensor, signals: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns what is foreseen of each candidate, by task, float [batch, n] each.

        "relevance" is always among the tasks: the calibrated probability that the candidate is relevant, in [0, 1]. A
        model of ratings gives "rating" too, on the scale of the data. What stands where there is no candidate means
        nothing.

        Args:
            query: As for a `Retriever`: `user_id`, `history` and `history_weight`.
            rows: Int32 [batch, n], candidates; -1 is padding.
            signals: Float [batch, n, signals], what the retriever says of them.
        """
        raise NotImplementedError

    def rank(self, query: dict[str, tf.Tensor], rows: tf.Tensor, signals: tf.Tensor) -> tf.Tensor:
        """Returns the score that candidates are ordered by, float [batch, n]; minus infinity where there is none.

        Args:
            query: As for `predictions`.
            rows: Alike.
            signals: Alike.
        """
        return tf.where(rows >= 0, self.predictions(query, rows, signals)["relevance"], -float("inf"))

    def with_items(self, data: Dataset) -> RankingModel:
        """Returns the same model for more items, without training; this one stays as it is.

        Args:
            data: Whose items are the model's, and new ones after them, as `add_items` makes it. Of its interactions
                nothing is read.

        Raises:
            ValueError: If the data are not such, or the model takes no new items.
        """
        raise ValueError(
            f"items: the ranker {type(self).__name__} takes no new items without training; train it on data that has "
            "them, or go on without it (with_ranker(None))"
        )
