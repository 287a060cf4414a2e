"""What each dimension of a user's interests counts for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.dataset import Dataset
from tfrec_div.models.retrieval_model import RetrievalModel
from tfrec_div.towers.dimensions.attention import DimensionAttention
from tfrec_div.towers.dimensions.interests import DimensionInterests
from tfrec_div.towers.encoders import CodeEncoder

# Users whose interests are made at once.
USERS = 256


class DimensionReadings(RetrievalModel):
    """Base of `InterestFusion`: tells why a model of interests in several dimensions scores as it does."""

    dimensions: tuple[str, ...]
    embedding_dim: int
    interests: DimensionInterests | None
    attention: DimensionAttention | None
    ids: CodeEncoder | None

    def _share(self, history: tf.Tensor, strength: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weight of the collaborative dimension, float [batch, 1]."""
        raise NotImplementedError

    def dimension_weights(
        self, data: Dataset, user_rows: Iterable[int]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Tells what each dimension counts for with each user: the attention.

        The interests of a user have one length in all dimensions but the collaborative one, so that their weights
        compare; that of the collaborative one says less, since its vectors are as long as training has made them: see
        `dimension_shares`.

        Args:
            data: With the users' histories.
            user_rows: Rows of users.

        Returns:
            The names of the dimensions, and float32 [users, dimensions], 1 in sum over those that the user has and 0
            for others; all 0 for a user without a history.
        """
        query = self.query_of(data, user_rows)
        history, strength = query["history"], query["history_weight"]
        batch = tf.shape(history)[0]
        weights, share = tf.zeros([batch, 0]), tf.zeros([batch, 0])
        if self.interests is not None and self.attention is not None:
            users = self.interests(history, strength)
            weights = self.attention(users.concentration, users.present)
        if self.ids is not None:
            share = self._share(history, strength, weights)
            weights *= 1.0 - share
        return self.dimensions, tf.concat([weights, share], axis=1).numpy()

    def contributions(
        self, data: Dataset, user_rows: Iterable[int], item_rows: Iterable[int]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Tells what each dimension adds to the scores of items: with the bias they are the score.

        Args:
            data: With the users' histories.
            user_rows: Rows of users.
            item_rows: Rows of items.

        Returns:
            The names of the dimensions, and float32 [users, items, dimensions].
        """
        queries = self.query_vectors(self.query_of(data, user_rows))[:, :-1]
        rows = tf.constant(np.asarray(item_rows, np.int32).reshape(-1))
        items = tf.gather(self.index.vectors, rows)[:, :-1]
        ends = np.cumsum(self._lengths())
        parts = [
            tf.matmul(queries[:, end - length : end], items[:, end - length : end], transpose_b=True)
            for length, end in zip(self._lengths(), ends, strict=True)
        ]
        return self.dimensions, tf.stack(parts, axis=2).numpy()

    def dimension_shares(self, data: Dataset, user_rows: Iterable[int]) -> tuple[tuple[str, ...], np.ndarray]:
        """Tells how far each dimension moves the scores of the catalogue's items for each user.

        Args:
            data: With the users' histories.
            user_rows: Rows of users.

        Returns:
            The names of the dimensions, and float32 [users, dimensions]: the standard deviation over the items of
            what a dimension adds, divided by the sum over the dimensions; all 0 for a user without a history.
        """
        users = np.asarray(list(user_rows), np.int32)
        ends, vectors = np.cumsum(self._lengths()), self.index.vectors.numpy()
        spreads = []
        for length, end in zip(self._lengths(), ends, strict=True):
            spread = np.cov(vectors[:, end - length : end], rowvar=False, bias=True, dtype=np.float64)
            spreads.append(np.atleast_2d(spread))
        moved = np.zeros((len(users), len(self.dimensions)))
        for first in range(0, len(users), USERS):
            some = slice(first, first + USERS)
            queries = self.query_vectors(self.query_of(data, users[some])).numpy()
            for place, (spread, end) in enumerate(zip(spreads, ends, strict=True)):
                part = queries[:, end - len(spread) : end]
                # The variance of products with vectors, by their covariances: no matrix of users and items.
                variance = np.einsum("ui,ij,uj->u", part, spread, part, optimize=True)
                moved[some, place] = np.sqrt(np.maximum(variance, 0.0))
        shares = moved / np.maximum(moved.sum(axis=1, keepdims=True), 1e-12)
        return self.dimensions, shares.astype(np.float32)

    def _lengths(self) -> list[int]:
        """Returns how many entries of a vector each dimension has."""
        lengths = [] if self.interests is None else self.interests.belongs.sum(axis=0).astype(int).tolist()
        return [*lengths, self.embedding_dim] if self.ids is not None else lengths
