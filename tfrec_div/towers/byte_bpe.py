"""The byte-level BPE of RoBERTa inside the graph."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.towers.subwords import SubwordTokenizer, distinct_ids, special_ids

ROBERTA_TOKENS = ("<pad>", "<s>", "</s>")
_SPACE = r"\t-\r\x{85}\p{Z}"
# The last white space before a word belongs to the word. RE2 cannot look ahead, so that a character which is in no
# text (it is removed before) cuts it off.
_CUT = "\U0010ffff"
_LAST_SPACE = f"([{_SPACE}])([{_SPACE}][^{_SPACE}])"
_WORD = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+"
    rf"| ?[^{_SPACE}\p{{L}}\p{{N}}\x{{10ffff}}]+|[{_SPACE}]+"
)
# Bytes of a word that are read; and those of a word that goes with the short ones.
_LONGEST, _SHORT = 512, 32
_NEVER = np.iinfo(np.int32).max


@keras.utils.register_keras_serializable(package="tfrec_div")
class ByteBpeTokenizer(SubwordTokenizer):
    """Turn strings into RoBERTa's token ids, in the graph and by TensorFlow's own operations.

    The ids are those of the Hugging Face `RobertaTokenizerFast` (Sennrich et al. 2016; Radford et al. 2019), with
    three exceptions: a special token written in a text, such as `<mask>`, is text here; of a run of more than 512
    bytes without a break the first 512 count; and letters that entered Unicode lately may not be known as such.

    Args:
        vocabulary: The pieces in the alphabet of 256 printable characters that stands for the bytes; the position is
            the id. It must contain all of that alphabet, `<pad>`, `<s>` and `</s>`.
        merges: Pairs of pieces that become one, as "left right", the most frequent first.
        max_tokens: The longest sequence, `<s>` and `</s>` included, at least 3. Longer texts are cut.
        prefix_space: Whether a text is read as if a space came before its first word.

    Raises:
        ValueError: A piece is missing or appears twice, or `max_tokens` is less than 3.

    Example:
        >>> pieces = ["<s>", "<pad>", "</s>", *byte_alphabet(), "to", "Ġto"]
        >>> tokenizer = ByteBpeTokenizer(pieces, ["t o", "Ġ to"], max_tokens=8)
        >>> ids = tokenizer(tf.constant(["to to"]))["input_ids"].numpy()[0]
        >>> [pieces[row] for row in ids]
        ['<s>', 'to', 'Ġto', '</s>']
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        merges: Sequence[str],
        max_tokens: int = 128,
        prefix_space: bool = False,
        **kwargs: Any,
    ) -> None:
        ids = distinct_ids(vocabulary)
        pad, first, last = special_ids(ids, ROBERTA_TOKENS, len(vocabulary))
        super().__init__((pad, first, last), max_tokens, **kwargs)
        self.pieces, self.merges, self.prefix_space = tuple(vocabulary), tuple(merges), prefix_space
        self.num_pieces = len(self.pieces)
        self._byte_ids = np.array(special_ids(ids, byte_alphabet(), len(vocabulary)), np.int64)
        pairs = [tuple(merge.split(" ")) for merge in merges]
        known = [(pair, rank) for rank, pair in enumerate(pairs) if set(pair) | {"".join(pair)} <= set(ids)]
        if len(known) < len(pairs):
            broken = next(
                merge for merge, pair in zip(merges, pairs, strict=True) if (pair not in dict(known))
            )
            raise ValueError(f"merges: expected two pieces whose union is a piece, got {broken!r}")
        keys = np.array([ids[a] * len(ids) + ids[b] for (a, b), _ in known] or [-1], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._ranks = np.array([rank for _, rank in known] or [_NEVER], np.int32)[order]
        self._merged = np.array([ids[a + b] for (a, b), _ in known] or [0], np.int64)[order]

    @property
    def vocabulary(self) -> dict[str, Any]:
        """What a checkpoint says of its pieces."""
        return {"pieces": list(self.pieces), "merges": list(self.merges), "prefix_space": self.prefix_space}

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Split texts into token ids, without the first and the last token, uncut."""
        texts = tf.strings.unicode_transcode(tf.convert_to_tensor(texts), "UTF-8", "UTF-8", errors="ignore")
        texts = tf.strings.regex_replace(texts, _CUT, "")
        if self.prefix_space:
            bare = tf.strings.regex_full_match(texts, "(?s)[^ ].*")
            texts = tf.where(bare, tf.strings.join([" ", texts]), texts)
        texts = tf.strings.regex_replace(texts, _LAST_SPACE, rf"\1{_CUT}\2")
        words = tf.strings.split(tf.strings.regex_replace(texts, f"({_WORD})", rf"\1{_CUT}"), _CUT)
        words = tf.ragged.boolean_mask(words, words != "")
        distinct = tf.unique(words.flat_values)
        tokens = tf.gather(self._tokens_of(distinct.y), distinct.idx)
        return tf.RaggedTensor.from_row_splits(tokens, words.row_splits).merge_dims(1, 2)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "vocabulary": list(self.pieces),
            "merges": list(self.merges),
            "max_tokens": self.max_tokens,
            "prefix_space": self.prefix_space,
        }

    def _tokens_of(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the token ids of words [n], int32 [n, (tokens)]."""
        characters = tf.strings.bytes_split(tf.strings.substr(words, 0, _LONGEST))
        codes = tf.cast(tf.reshape(tf.io.decode_raw(characters.flat_values, tf.uint8), [-1]), tf.int32)
        tokens = characters.with_flat_values(tf.gather(self._byte_ids, codes))
        # One long word must not widen the table of all.
        long = characters.row_lengths() > _SHORT
        order = tf.concat([tf.where(~long), tf.where(long)], axis=0)[:, 0]
        parts = [self._merge(tf.ragged.boolean_mask(tokens, chosen)) for chosen in (~long, long)]
        return tf.gather(tf.concat(parts, axis=0), tf.math.invert_permutation(order))

    def _merge(self, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
        """Joins the pair of the lowest rank, the leftmost one, until none is left."""
        width = tf.maximum(tokens.bounding_shape(axis=1), 2)
        table = tokens.to_tensor(-1, shape=tf.stack([-1, width]))

        def pairs(table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            left, right = table[:, :-1], table[:, 1:]
            wanted = tf.where(right >= 0, left * len(self.pieces) + right, -2)
            place = tf.searchsorted(self._keys, tf.reshape(wanted, [-1]))
            place = tf.reshape(tf.minimum(place, len(self._keys) - 1), tf.shape(wanted))
            rank = tf.where(tf.gather(self._keys, place) == wanted, tf.gather(self._ranks, place), _NEVER)
            best = tf.argmin(rank, axis=1, output_type=tf.int32)
            place, rank = (tf.gather(values, best, batch_dims=1) for values in (place, rank))
            return best, rank, tf.gather(self._merged, place)

        def step(table: tf.Tensor, best: tf.Tensor, rank: tf.Tensor, merged: tf.Tensor):
            columns = tf.range(tf.shape(table)[1])[tf.newaxis, :]
            moved = tf.pad(table[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
            best = best[:, tf.newaxis]
            joined = tf.where(columns == best, merged[:, tf.newaxis], tf.where(columns < best, table, moved))
            table = tf.where((rank < _NEVER)[:, tf.newaxis], joined, table)
            return (table, *pairs(table))

        table, *_ = tf.while_loop(
            lambda table, best, rank, merged: tf.reduce_any(rank < _NEVER), step, (table, *pairs(table))
        )
        return tf.ragged.boolean_mask(tf.cast(table, tf.int32), table >= 0)


@functools.cache
def byte_alphabet() -> tuple[str, ...]:
    """Returns the printable character that stands for each byte, 256 of them.

    Example:
        >>> byte_alphabet()[ord("A")], byte_alphabet()[ord(" ")]
        ('A', 'Ġ')
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))
