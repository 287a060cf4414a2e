"""The layers of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec_div._keras import keras
from tfrec_div.towers.behavior_bag import BehaviorBag
from tfrec_div.towers.behavior_sequence import BehaviorSequence
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.token_texts import TokenTexts


def encoder_of(num_items: int, arguments: Mapping[str, Any]) -> BehaviorSequence | BehaviorBag:
    """Returns the encoder that arguments ask for.

    Args:
        num_items: Items of the catalogue.
        arguments: As of `checked_arguments`.
    """
    dim, dropout = arguments["embedding_dim"], arguments["dropout"]
    if arguments["encoder"] == "mlp":
        return BehaviorBag(num_items, dim, dropout, name="encoder")
    # One more step for the token that stands for what comes.
    sizes = (arguments["num_blocks"], arguments["num_heads"], dropout, arguments["max_history"] + 1)
    return BehaviorSequence(num_items, dim, *sizes, name="encoder")


def decoder_of(arguments: Mapping[str, Any]) -> keras.Sequential:
    """Returns the MLP but for its last layer, which are the items' vectors.

    Args:
        arguments: As of `checked_arguments`.
    """
    dim, units = arguments["embedding_dim"], arguments["hidden_units"]
    layers: list[keras.layers.Layer] = [keras.layers.Dense(count, "gelu") for count in units]
    drop = RepeatableDropout(arguments["dropout"], seed=6)
    decoder = keras.Sequential([*layers, keras.layers.Dense(dim), drop], name="decoder")
    decoder.build([None, dim])
    return decoder


def texts_of(num_items: int, encoder: TextEncoder | None, arguments: Mapping[str, Any]) -> TokenTexts | None:
    """Returns what texts add to the tokens; None without a text tower.

    Args:
        num_items: Items of the catalogue.
        encoder: The text tower.
        arguments: As of `checked_arguments`.
    """
    if encoder is None:
        return None
    dims = arguments["text_dim"], arguments["embedding_dim"]
    return TokenTexts(num_items, encoder.dim, *dims, name="texts")
