"""BERT's WordPiece tokenizer inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf

# isort: split
# Only now, since it imports TensorFlow, and the choice of Keras comes before that.
import tensorflow_text as tf_text

# The characters that are words by themselves: punctuation, the ASCII symbols that BERT counts as punctuation,
# and the CJK ideographs.
_ISOLATED = (
    r"([\p{P}$+<=>^`|~\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}\x{2F800}-\x{2FA1F}])"
)
# BERT gives up on words of more than 100 characters. A private character, all of which are removed before, is
# in no vocabulary, so it becomes one unknown token.
_LONG_WORD, _UNKNOWN_WORD = r"[^ ]{101,}", "\ue000"


@keras.utils.register_keras_serializable(package="tfrec_div")
class WordpieceTokenizer(keras.layers.Layer):
    """Turn strings into BERT's token ids, in the graph.

    The ids are those of the Hugging Face `BertTokenizerFast` (Devlin et al. 2019), with two exceptions: a
    special token written in a text, such as `[MASK]`, is text here; and combining marks and punctuation that
    entered Unicode after version 8 are recognised as such here.

    Args:
        vocabulary: The WordPieces; the position is the id. It must contain `[PAD]`, `[UNK]`, `[CLS]` and
            `[SEP]`, and travels in `get_config`.
        max_tokens: The longest sequence, `[CLS]` and `[SEP]` included, at least 3. Longer texts are cut.
        lowercase: Lower-case the text and strip its accents, as uncased models do.

    Raises:
        ValueError: A special token is missing, a piece appears twice, or `max_tokens` is less than 3.

    Example:
        >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "toy", "story", "##s"]
        >>> tokenizer = WordpieceTokenizer(pieces, max_tokens=8)
        >>> tokens = tokenizer(tf.constant(["Toy stories", "toys"]))
        >>> tokens["input_ids"].numpy().tolist()
        [[2, 4, 1, 3], [2, 4, 6, 3]]
    """

    def __init__(
        self, vocabulary: Sequence[str], max_tokens: int = 128, lowercase: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        ids = {piece: row for row, piece in enumerate(vocabulary)}
        if len(ids) != len(vocabulary):
            raise ValueError(
                f"vocabulary: expected distinct pieces, got {len(vocabulary) - len(ids)} repeated ones"
            )
        missing = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if token not in ids]
        if missing:
            raise ValueError(f"vocabulary: {', '.join(missing)} missing among its {len(vocabulary)} pieces")
        if max_tokens < 3:
            raise ValueError(
                f"max_tokens: expected at least 3 (one piece between [CLS] and [SEP]), got {max_tokens}"
            )
        self.vocabulary = tuple(vocabulary)
        self.max_tokens = max_tokens
        self.lowercase = lowercase
        self.pad, self.first, self.last = ids["[PAD]"], ids["[CLS]"], ids["[SEP]"]
        # The limit of 100 is one of characters, and a character has at most 4 bytes.
        self._wordpiece = tf_text.FastBertTokenizer(
            vocab=list(vocabulary),
            token_out_type=tf.int32,
            max_bytes_per_word=400,
            lower_case_nfd_strip_accents=False,
        )

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Split texts into token ids, without `[CLS]` and `[SEP]`, uncut.

        Args:
            texts: Strings in UTF-8 `[batch]`; bytes that are no UTF-8 are dropped.

        Returns:
            Ids int32 `[batch, (tokens)]`.
        """
        return self._wordpiece.tokenize(self._normalize(tf.convert_to_tensor(texts)))

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
        # At least [CLS] and [SEP] wide, even without a row: attention over nothing fails.
        width = tf.maximum(tokens.bounding_shape(axis=1), 2)
        ids = tokens.to_tensor(self.pad, shape=tf.stack([-1, width]))
        return {
            "input_ids": ids,
            "attention_mask": tf.sequence_mask(tokens.row_lengths(), width, tf.int32),
        }

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "vocabulary": list(self.vocabulary),
            "max_tokens": self.max_tokens,
            "lowercase": self.lowercase,
        }

    def _normalize(self, text: tf.Tensor) -> tf.Tensor:
        replace = tf.strings.regex_replace
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD)
        text = replace(text, r"[\t\n\r\p{Z}]", " ")
        text = replace(text, r"[\x00\x{FFFD}\p{Cc}\p{Cf}\p{Co}]", "")
        if self.lowercase:
            text = replace(tf_text.normalize_utf8(text, "NFD"), r"\p{Mn}", "")
            # ASCII first, since the Unicode rule follows the machine's language (Turkish makes a dotless i of
            # I); and the capital sigma by itself, since that rule has a special form for the end of a word.
            text = replace(tf.strings.lower(text), "\u03a3", "\u03c3")
            text = tf.strings.lower(text, encoding="utf-8")
        return replace(replace(text, _ISOLATED, r" \1 "), _LONG_WORD, _UNKNOWN_WORD)
