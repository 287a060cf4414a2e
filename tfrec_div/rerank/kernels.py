"""Similarities between candidates, cheap enough to be taken once a pick."""

from __future__ import annotations

from tfrec_div._keras import tf

_SMALLEST_NORM = 1.19e-7  # float32 epsilon: a shorter vector counts as missing


def row_norms(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each row.

    Args:
        vectors: `[batch, candidates, dim]`.

    Returns:
        `[batch, candidates, 1]`.
    """
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True))


def scaled_unit_rows(vectors: tf.Tensor, norms: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Rows of length `scale`; a zero row (a missing vector) stays zero, so it is similar to nothing.

    A row that is not finite (possible in a graph, or where candidates are masked) becomes a missing one.

    The product of two such rows is `scale_i * scale_j * cosine`: a weight of the similarity costs nothing
    per step.

    Args:
        vectors: `[batch, candidates, dim]`.
        norms: `[batch, candidates, 1]`, from `row_norms`.
        scale: broadcasts to `[batch, candidates, 1]`.

    Returns:
        `[batch, candidates, dim]`.
    """
    factor = tf.where(tf.math.is_finite(norms), scale / tf.maximum(norms, _SMALLEST_NORM), 0.0)
    return tf.math.multiply_no_nan(vectors, factor)


def take_row(rows: tf.Tensor, pick: tf.Tensor) -> tf.Tensor:
    """The picked row of each list: `[batch, candidates, dim]` and `[batch, 1]` give `[batch, 1, dim]`."""
    return tf.gather(rows, pick, batch_dims=1)


def dot_rows(row: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Products of one row with all rows of its list.

    Args:
        row: `[batch, 1, dim]`.
        rows: `[batch, candidates, dim]`.

    Returns:
        `[batch, 1, candidates]`.
    """
    if rows.shape[0] == 1:
        return tf.matmul(row[0], rows[0], transpose_b=True)[tf.newaxis]
    return _batched_product(row, rows, adj_y=True)


def mix_rows(weights: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Weighted sum of rows: `[batch, 1, n]` and `[batch, n, dim]` give `[batch, 1, dim]`."""
    if rows.shape[0] == 1:
        return tf.matmul(weights[0], rows[0])[tf.newaxis]
    return _batched_product(weights, rows, adj_y=False)


def _batched_product(x: tf.Tensor, y: tf.Tensor, adj_y: bool) -> tf.Tensor:
    # Not tf.matmul: oneDNN's rewrite of it costs 60 microseconds a call, more than a product with a few
    # lists.
    return tf.raw_ops.BatchMatMulV3(x=x, y=y, adj_y=adj_y, Tout=x.dtype)
