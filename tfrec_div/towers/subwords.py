"""What the tokenizers in the graph have in common."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from tfrec_div._keras import keras, tf

Vocabulary = Sequence[str] | Mapping[str, Any]


class SubwordTokenizer(keras.layers.Layer, abc.ABC):
    """Base of the layers that turn strings into token ids, framed and padded as a BERT-like model wants them.

    A subclass has `vocabulary`, what a checkpoint says of its pieces, as values that JSON takes, and `num_pieces`.

    Args:
        special: The ids of padding, of the first and of the last token.
        max_tokens: The longest sequence, first and last token included, at least 3. Longer texts are cut.
        **kwargs: As for any Keras layer.

    Raises:
        ValueError: `max_tokens` is less than 3.
    """

    num_pieces: int

    def __init__(self, special: tuple[int, int, int], max_tokens: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_tokens < 3:
            raise ValueError(
                f"max_tokens: expected at least 3 (one piece between the first and the last), got {max_tokens}"
            )
        self.max_tokens = max_tokens
        self.pad, self.first, self.last = special

    @property
    @abc.abstractmethod
    def vocabulary(self) -> Vocabulary:
        """What a checkpoint says of the pieces."""

    @abc.abstractmethod
    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Split texts into token ids, without the first and the last token, uncut.

        Args:
            texts: Strings in UTF-8 `[batch]`; bytes that are no UTF-8 are dropped.

        Returns:
            Ids int32 `[batch, (tokens)]`.
        """

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tokenize a batch.

        Args:
            texts: Strings `[batch]`.

        Returns:
            `input_ids` and `attention_mask` (1 for a token, 0 for padding), int32 `[batch, longest]`.
        """
        pieces = self.tokenize(texts)[:, : self.max_tokens - 2]
        edge = tf.ones([pieces.nrows(out_type=tf.int32), 1], tf.int32)
        tokens = tf.concat([edge * self.first, pieces, edge * self.last], axis=1)
        # At least two wide, even without a row: attention over nothing fails.
        width = tf.maximum(tokens.bounding_shape(axis=1), 2)
        ids = tokens.to_tensor(self.pad, shape=tf.stack([-1, width]))
        return {
            "input_ids": ids,
            "attention_mask": tf.sequence_mask(tokens.row_lengths(), width, tf.int32),
        }


def special_ids(ids: Mapping[str, int], tokens: Sequence[str], pieces: int) -> list[int]:
    """Returns the ids of special tokens; refuses a vocabulary without one of them."""
    missing = [token for token in tokens if token not in ids]
    if missing:
        raise ValueError(f"vocabulary: {', '.join(missing)} missing among its {pieces} pieces")
    return [ids[token] for token in tokens]


def distinct_ids(pieces: Sequence[str]) -> dict[str, int]:
    """Returns the id of each piece, its position; refuses a piece that appears twice."""
    ids = {piece: row for row, piece in enumerate(pieces)}
    if len(ids) != len(pieces):
        raise ValueError(f"vocabulary: expected distinct pieces, got {len(pieces) - len(ids)} repeated ones")
    return ids
