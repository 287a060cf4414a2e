"""What a user wrote about the items of a history."""

from __future__ import annotations

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.towers.cache import encode_cached

# The latest reviews of a history that are read.
REVIEWS_READ = 8


@keras.utils.register_keras_serializable(package="tfrec_div")
class ReviewTable(keras.layers.Layer):
    """The vectors of the users' reviews: a user and a history in, the mean of the reviews of its items out.

    A review of the target of an example would give the target away, and so would one that the user wrote later. A
    history ends before its target, so that only the reviews of its items are read; and of an item that the user came
    back to, the review of the first time, which is before any history that holds the item.

    Args:
        dim: Length of a vector.
        num_items: Items in the catalogue.
        **kwargs: As for any Keras layer.

    Example:
        >>> table = ReviewTable(dim=2, num_items=10)
        >>> table.fill([0, 0], [4, 7], [[1.0, 0.0], [0.0, 1.0]])
        >>> table(tf.constant([0, 1]), tf.constant([[4, -1], [4, 7]])).numpy().tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """

    def __init__(self, dim: int, num_items: int, **kwargs):
        kwargs.setdefault("trainable", False)
        super().__init__(**{"dtype": "float32", **kwargs})
        self.dim = dim
        self.num_items = num_items
        # They grow to the number of reviews, which only the data know.
        self.keys = tf.Variable(tf.zeros([0], tf.int64), shape=[None], trainable=False, name="keys")
        self.vectors = tf.Variable(tf.zeros([0, dim]), shape=[None, dim], trainable=False, name="vectors")

    def fill(self, users, items, vectors) -> None:
        """Stores the vectors float [n, dim] of the reviews that users wrote of items, rows int [n], each pair once."""
        keys = np.asarray(users, np.int64) * self.num_items + np.asarray(items, np.int64)
        order = np.argsort(keys)
        self.keys.assign(keys[order])
        self.vectors.assign(np.asarray(vectors, np.float32).reshape(-1, self.dim)[order])

    def call(self, users: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """Pools the latest reviews.

        Args:
            users: Rows int [batch], -1 for an unknown user.
            history: Rows of items int [batch, steps], the latest first; -1 is padding.

        Returns:
            Float [batch, dim]; zero where no item of the history has a review by the user.
        """
        users, history = tf.cast(users, tf.int64)[:, tf.newaxis], tf.cast(history, tf.int64)
        wanted = tf.where((users >= 0) & (history >= 0), users * self.num_items + history, -1)
        # One key more, since a look-up among none fails.
        keys = tf.concat([self.keys, [tf.int64.max]], axis=0)
        place = tf.reshape(tf.searchsorted(keys, tf.reshape(wanted, [-1])), tf.shape(wanted))
        found = tf.gather(keys, place) == wanted
        # Only the latest ones are gathered: a history is long, and so are vectors.
        steps = tf.shape(history)[1]
        order = tf.cast(found, tf.int32) * (steps - tf.range(steps))
        rank, step = tf.math.top_k(order, tf.minimum(REVIEWS_READ, steps))
        there = rank > 0
        place = tf.where(there, tf.gather(place, step, batch_dims=1), 0)
        vectors = tf.gather(tf.concat([self.vectors, tf.zeros([1, self.dim])], axis=0), place)
        weights = tf.cast(there, tf.float32)
        weights /= tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
        return tf.einsum("bs,bsd->bd", weights, vectors)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "num_items": self.num_items}


def encode_reviews(data: Dataset, encoder, cache_dir=None, progress: bool = True) -> tuple[np.ndarray, ...]:
    """Encodes the review that each user wrote of an item at the first time, where there is one.

    Args:
        data: Whose interactions.
        encoder: A frozen text encoder.
        cache_dir: Where its vectors are kept.
        progress: Whether to show a progress bar.

    Returns:
        Rows of users and of items int [n], and vectors float32 [n, dim].
    """
    events = data.interactions
    pairs = events.user.astype(np.int64) * len(data.catalog) + events.item
    # Interactions are sorted by user and time: the first of a pair is the earliest.
    first = np.unique(pairs, return_index=True)[1]
    reviews = [] if events.review is None else [str(events.review[row] or "").strip() for row in first]
    written = [row for row, text in zip(first, reviews, strict=True) if text] if reviews else []
    texts = [text for text in reviews if text]
    vectors = encode_cached(encoder, texts, cache_dir=cache_dir, progress=progress)
    return events.user[written], events.item[written], vectors
