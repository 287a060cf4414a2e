"""One list after the other under XLA: what belongs to a list stays in the cache while its page is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfrec_div._keras import tf
from tfrec_div.rerank.inputs import CONTEXT
from tfrec_div.rerank.rows import Rows

# XLA spreads what moves more bytes than this over threads, where the lists of other threads are in the way.
_BLOCK_BYTES = 256 * 1024


def in_xla() -> bool:
    """Whether the graph being traced is compiled by XLA (`jit_compile=True`)."""
    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()  # no public way to ask
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def by_query(
    inputs: Mapping[str, tf.Tensor],
    rerank: Callable[[dict], tf.Tensor],
    picks: int,
    first: int | tf.Tensor = 0,
    count: int | None = None,
) -> tf.Tensor:
    """Positions int32 `[count, picks]` of lists `first` to `first + count`, one after the other.

    Args:
        inputs: checked inputs with known shapes.
        rerank: positions `[1, picks]` of the inputs of one list.
        picks: length of the pages.
        first: the first list.
        count: how many lists; by default all.
    """
    count = inputs["scores"].shape[0] if count is None else count

    def body(number: tf.Tensor, pages: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        page = rerank({key: _one(key, value, first + number) for key, value in inputs.items()})
        return number + 1, tf.tensor_scatter_nd_update(pages, number[tf.newaxis, tf.newaxis], page)

    return tf.while_loop(lambda number, _: number < count, body, (0, tf.zeros([count, picks], tf.int32)))[1]


def _one(key: str, value: tf.Tensor, number: tf.Tensor) -> tf.Tensor | Rows:
    """What belongs to one list, its features in blocks."""
    if key == "k" or value.shape.rank == 0:
        return value
    if value.shape.rank < 3:
        return tf.slice(value, [number] + [0] * (value.shape.rank - 1), [1, *value.shape[1:]])
    length, dim = value.shape[1:]
    # Read and written: twice the bytes of a block.
    size = max(1, min(length, _BLOCK_BYTES // (8 * max(dim, 1)))) if not key.startswith(CONTEXT) else length
    blocks = -(-length // size)
    size = -(-length // blocks)
    starts = range(0, length, size)
    return Rows(
        *(tf.slice(value, [number, start, 0], [1, min(size, length - start), dim])[0] for start in starts)
    )
