"""One list after the other under XLA: what belongs to a list stays in the cache while its page is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfrec_div._keras import tf
from tfrec_div.rerank.inputs import CONTEXT
from tfrec_div.rerank.rows import Rows
from tfrec_div.rerank.xla import BLOCK_BYTES


def by_query(
    inputs: Mapping[str, tf.Tensor],
    rerank: Callable[[dict], tf.Tensor],
    picks: int,
    first: int | tf.Tensor = 0,
    count: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pages of lists `first` to `first + count`, one after the other.

    Args:
        inputs: checked inputs with known shapes.
        rerank: positions `[1, picks]` of the inputs of one list.
        picks: length of the pages.
        first: the first list.
        count: how many lists; by default all.

    Returns:
        Positions int32 `[count, picks]`, and whether the features of all candidates are finite: XLA finds the
        sums that tell it among those that the method takes anyway.
    """
    count = inputs["scores"].shape[0] if count is None else count

    def body(number: tf.Tensor, pages: tf.TensorArray, seen: tuple[tf.Tensor, ...]) -> tuple:
        one = {key: _one(key, value, first + number) for key, value in inputs.items()}
        norms = [value.norms() for value in one.values() if isinstance(value, Rows)]
        # 0 but where there is a norm that is not finite: one vector for all lists is quicker than a word on each.
        seen = tuple(before + 0.0 * norm for before, norm in zip(seen, norms, strict=True))
        return number + 1, pages.write(number, rerank(one)[0]), seen

    pages = tf.TensorArray(tf.int32, count, element_shape=[picks])
    seen = tuple(tf.zeros([1, value.shape[1]]) for value in inputs.values() if value.shape.rank == 3)
    _, pages, seen = tf.while_loop(lambda number, *_: number < count, body, (tf.constant(0), pages, seen))
    finite = [tf.reduce_all(tf.math.is_finite(each)) for each in seen]
    return pages.stack(), tf.reduce_all(tf.stack(finite)) if finite else tf.constant(True)


def _one(key: str, value: tf.Tensor, number: tf.Tensor) -> tf.Tensor | Rows:
    """What belongs to one list, its features in blocks."""
    if key == "k" or value.shape.rank == 0:
        return value
    if value.shape.rank < 3:
        return tf.slice(value, [number] + [0] * (value.shape.rank - 1), [1, *value.shape[1:]])
    length, dim = value.shape[1:]
    # Read and written: twice the bytes of a block.
    size = length if key.startswith(CONTEXT) else min(length, BLOCK_BYTES // (8 * max(dim, 1)))
    blocks = -(-length // max(size, 1))
    size = -(-length // max(blocks, 1))
    starts = range(0, length, size) if length else [0]  # a context may be empty
    return Rows(
        *(tf.slice(value, [number, start, 0], [1, min(size, length - start), dim])[0] for start in starts)
    )
