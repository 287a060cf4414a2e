"""Exact nearest rows by scoring all of them."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.masking import mask_rows


@keras.utils.register_keras_serializable(package="tfrec_div")
class BruteForce(keras.layers.Layer):
    """Scores every row by its dot product with the query and returns the best ones.

    The vectors stand in a variable that may grow, not in the graph: an export has no 2 GB limit, and new items need
    no new graph. (Under a `ParameterServerStrategy` their number is fixed.) What must not be returned is masked with
    minus infinity, so it never is, whatever its score.

    Args:
        dim: Length of the vectors.
        num_rows: Rows at the start, all zero until `update`.
        **kwargs: As for any Keras layer.

    Example:
        >>> index = BruteForce(dim=2)
        >>> index.update([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
        >>> rows, scores = index(tf.constant([[1.0, 0.0]]), k=2)
        >>> rows.numpy().tolist(), scores.numpy().tolist()
        ([[2, 0]], [[2.0, 1.0]])
        >>> index(tf.constant([[1.0, 0.0]]), k=9, exclude=tf.constant([[2]]))[0].numpy().tolist()
        [[0, 1, -1]]
    """

    def __init__(self, dim: int, num_rows: int = 0, **kwargs):
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        self.dim = dim
        self.num_rows = num_rows
        # A worker of a parameter server ends at once when it is handed a variable of unknown shape.
        served = isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)
        self.vectors = tf.Variable(
            tf.zeros([num_rows, dim]),
            shape=[num_rows if served else None, dim],
            trainable=False,
            name="vectors",
            dtype=tf.float32,
        )

    def update(self, vectors) -> None:
        """Replaces all vectors by float [rows, dim]; the number of rows may change."""
        vectors = tf.convert_to_tensor(vectors, tf.float32)
        if vectors.shape.rank != 2 or vectors.shape[1] != self.dim:
            raise ValueError(f"vectors: expected shape [rows, {self.dim}], got {vectors.shape}")
        self.num_rows = int(vectors.shape[0])
        self.vectors.assign(vectors)

    def scores(
        self, queries: tf.Tensor, exclude: tf.Tensor | None = None, include: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the score of every row, float [batch, rows], minus infinity where a row must not be returned.

        Args:
            queries: Float [batch, dim].
            exclude: Integer [batch, n], rows to leave out, padded with -1.
            include: Boolean [rows] or [batch, rows], the only rows allowed.
        """
        scores = tf.matmul(queries, self.vectors, transpose_b=True)
        if include is not None:
            scores = tf.where(include, scores, -float("inf"))
        return scores if exclude is None else mask_rows(scores, exclude)

    def call(
        self,
        queries: tf.Tensor,
        k: int | tf.Tensor = 10,
        exclude: tf.Tensor | None = None,
        include: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `k` rows int32 [batch, k] (as many as there are) and their scores, both by score.

        A place for which no row is left holds -1 and the score minus infinity. Arguments as for `scores`.
        """
        scores = self.scores(queries, exclude, include)
        best, rows = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
        return tf.where(best > -float("inf"), rows, -1), best

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "num_rows": self.num_rows}
