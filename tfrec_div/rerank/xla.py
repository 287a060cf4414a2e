"""What the graphs do otherwise when XLA compiles them."""

from __future__ import annotations

from tfrec_div._keras import tf

# XLA spreads what moves more bytes than this over threads, where the lists of other threads are in the way.
BLOCK_BYTES = 512 * 1024


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
