"""Reads and refuses arguments of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec_div.data.schema import Schema
from tfrec_div.models.arguments import check_number
from tfrec_div.precision import check_precision
from tfrec_div.towers.item_tower import is_trained
from tfrec_div.towers.text import TextEncoder

CHOICES = {
    "encoder": ("bert", "mlp"),
    "mode": ("next", "masked"),
    "loss": ("softmax", "binary"),
    "sampling": ("auto", "full", "sampled"),
}
COUNTS = (
    *("negatives", "text_dim", "embedding_dim", "num_blocks", "num_heads"),
    *("max_history", "batch_users"),
)
# Items up to which the sampling "auto" takes all of them.
FULL_LIMIT = 10_000


def checked_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of an encoder-decoder as its configuration holds them, without schema and text.

    Args:
        given: What the constructor was given, by name; the mode None stands for what suits the encoder.

    Raises:
        ValueError: If one does not fit.
    """
    check_precision(given["precision"])
    mode = given["mode"]
    if mode is None:
        mode = "next" if given["encoder"] == "mlp" else "masked"
    arguments = {**given, "mode": mode, "hidden_units": tuple(given["hidden_units"])}
    for name, choices in CHOICES.items():
        if arguments[name] not in choices:
            raise ValueError(f"{name}: expected one of {list(choices)}, got {arguments[name]!r}")
    if mode == "masked" and arguments["encoder"] == "mlp":
        raise ValueError("mode: expected 'next' with the encoder 'mlp', which has no positions, got 'masked'")
    for name in COUNTS:
        check_number(name, arguments[name], lambda value: value >= 1, "at least 1", whole=True)
    for number in arguments["hidden_units"]:
        check_number("hidden_units", number, lambda value: value >= 1, "at least 1 each", whole=True)
    check_number("masked_share", arguments["masked_share"], lambda value: 0 < value < 1, "a share in (0, 1)")
    check_number("dropout", arguments["dropout"], lambda value: 0 <= value < 1, "a share in [0, 1)")
    return arguments


def frozen_text_encoder(text: str | TextEncoder | None, schema: Schema) -> TextEncoder | None:
    """Returns a text tower by its name; refuses one that is trained, or that has nothing to read."""
    encoder = TextEncoder.from_pretrained(text) if isinstance(text, str) else text
    if encoder is not None and is_trained(encoder):
        raise ValueError("text: expected a frozen encoder, got one with trainable layers")
    if encoder is not None and not schema.features_of("item", "text"):
        raise ValueError("text: expected a schema whose items have a text, got one without")
    return encoder
