"""BERT's WordPiece tokenizer inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.subwords import SubwordTokenizer, distinct_ids, special_ids

# isort: split
# Only now, since it imports TensorFlow, and the choice of Keras comes before that.
import tensorflow_text as tf_text

# The characters that are words by themselves: punctuation, the ASCII symbols that BERT counts as punctuation,
# and the CJK ideographs.
_ISOLATED = (
    r"([\p{P}$+<=>^`|~\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}\x{2F800}-\x{2FA1F}])"
)
# Padding, unknown, first, last.
BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
MPNET_TOKENS = ("<pad>", "[UNK]", "<s>", "</s>")
# BERT gives up on words of more than 100 characters. A private character, all of which are removed before, is
# in no vocabulary, so it becomes one unknown token.
_LONG_WORD, _UNKNOWN_WORD = r"[^ ]{101,}", "\ue000"


@keras.utils.register_keras_serializable(package="tfrec_div")
class WordpieceTokenizer(SubwordTokenizer):
    """Turn strings into BERT's token ids, in the graph.

    The ids are those of the Hugging Face `BertTokenizerFast` (Devlin et al. 2019), with two exceptions: a
    special token written in a text, such as `[MASK]`, is text here; and combining marks and punctuation that
    entered Unicode after version 8 are recognised as such here.

    Args:
        vocabulary: The WordPieces; the position is the id. It must contain the special tokens, and travels in
            `get_config`.
        max_tokens: The longest sequence, `[CLS]` and `[SEP]` included, at least 3. Longer texts are cut.
        lowercase: Lower-case the text and strip its accents, as uncased models do.
        special_tokens: The pieces for padding, for an unknown word, and for the first and the last token.

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
        self,
        vocabulary: Sequence[str],
        max_tokens: int = 128,
        lowercase: bool = True,
        special_tokens: Sequence[str] = BERT_TOKENS,
        **kwargs: Any,
    ) -> None:
        ids = distinct_ids(vocabulary)
        pad, _, first, last = special_ids(ids, special_tokens, len(vocabulary))
        super().__init__((pad, first, last), max_tokens, **kwargs)
        self._vocabulary = tuple(vocabulary)
        self.num_pieces = len(self._vocabulary)
        self.lowercase = lowercase
        self.special_tokens = tuple(special_tokens)
        # The limit of 100 is one of characters, and a character has at most 4 bytes.
        self._wordpiece = tf_text.FastBertTokenizer(
            vocab=list(vocabulary),
            token_out_type=tf.int32,
            max_bytes_per_word=400,
            unknown_token=self.special_tokens[1],
            lower_case_nfd_strip_accents=False,
        )

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The WordPieces; the position is the id."""
        return self._vocabulary

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Split texts into token ids, without the first and the last token, uncut."""
        return self._wordpiece.tokenize(self._normalize(tf.convert_to_tensor(texts)))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "vocabulary": list(self.vocabulary),
            "max_tokens": self.max_tokens,
            "lowercase": self.lowercase,
            "special_tokens": list(self.special_tokens),
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
