"""Histories: the items that a user met before in, one vector out, all with one signature."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec_div._keras import keras
from tfrec_div.towers.history.attention_block import check_heads
from tfrec_div.towers.history.base import HistoryEncoder
from tfrec_div.towers.history.gru import GRUHistoryEncoder
from tfrec_div.towers.history.mean import MeanHistoryEncoder
from tfrec_div.towers.history.pools import PooledHistoryEncoder
from tfrec_div.towers.history.self_attention import SelfAttentionHistoryEncoder

HISTORY_ENCODERS: dict[str, type[HistoryEncoder]] = {
    "pools": PooledHistoryEncoder,
    "mean": MeanHistoryEncoder,
    "gru": GRUHistoryEncoder,
    "self_attention": SelfAttentionHistoryEncoder,
}


def history_layer(
    encoder: str | keras.layers.Layer, dim: int, half_lives: Sequence[float] = (4.0, 16.0)
) -> keras.layers.Layer:
    """Returns an encoder of histories to vectors of `dim` entries.

    Args:
        encoder: A name of `HISTORY_ENCODERS`, or a layer, which must have that output; it reads vectors as long.
        dim: Length of the output.
        half_lives: Of the pools.

    Raises:
        ValueError: An unknown name, or a layer with another output, or with heads that do not divide `dim`.

    Example:
        >>> history_layer("gru", 8).dim
        8
    """
    if isinstance(encoder, keras.layers.Layer):
        found = getattr(encoder, "dim", None)
        if found != dim:
            expected = f"a layer whose dim is {dim}, the embedding_dim"
            raise ValueError(f"history_encoder: expected {expected}, got {found}")
        if isinstance(encoder, SelfAttentionHistoryEncoder):
            # The models' item vectors are as long as the output.
            check_heads(encoder.num_heads, dim)
        return encoder
    if encoder not in HISTORY_ENCODERS:
        known = ", ".join(HISTORY_ENCODERS)
        raise ValueError(f"history_encoder: expected one of {known}, or a layer, got {encoder!r}")
    if encoder == "pools":
        return PooledHistoryEncoder(dim, half_lives, name="history")
    return HISTORY_ENCODERS[encoder](dim, name="history")


__all__ = [
    "HISTORY_ENCODERS",
    "GRUHistoryEncoder",
    "HistoryEncoder",
    "MeanHistoryEncoder",
    "PooledHistoryEncoder",
    "SelfAttentionHistoryEncoder",
    "history_layer",
]
