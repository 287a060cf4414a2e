"""The SentencePiece models of ALBERT and XLM-R inside the graph."""

from __future__ import annotations

import base64
from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.subwords import SubwordTokenizer, special_ids

# isort: split
# Only now, since it imports TensorFlow, and the choice of Keras comes before that.
import tensorflow_text as tf_text

_UNKNOWN = "<unk>"
# Padding, first, last.
_ALBERT_TOKENS = ("<pad>", "[CLS]", "[SEP]")


@keras.utils.register_keras_serializable(package="tfrec_div")
class SentencepieceTokenizer(SubwordTokenizer):
    """Turn strings into the token ids of a unigram model, in the graph.

    The model is that of Kudo and Richardson (2018). White space of any kind counts as a space, a special token written
    in a text, such as `[MASK]`, is text, and a comma after a digit is taken as the model has it, where Hugging Face's
    ALBERT cuts it off. Exports refuse its operation, which is in none of the libraries that they count on.

    Args:
        model: The SentencePiece model file, in base64 so that it travels in `get_config`.
        family: Whose special tokens to use, "albert" or "xlm-roberta"; the ids of the latter are not the model's own.
        max_tokens: The longest sequence, first and last token included, at least 3. Longer texts are cut.
        lowercase: Lower-case the text and strip its accents, as ALBERT does.

    Raises:
        ValueError: `model` is no SentencePiece model, a special token is missing, or `max_tokens` is less than 3.
    """

    def __init__(
        self, model: str, family: str, max_tokens: int = 128, lowercase: bool = False, **kwargs: Any
    ) -> None:
        data = base64.b64decode(model)
        try:
            with tf.init_scope():
                native = tf_text.SentencepieceTokenizer(model=data)
                found = {name: int(native.string_to_id(name)) for name in (_UNKNOWN, *_ALBERT_TOKENS)}
                # What it does not know has the id of the unknown piece.
                known = {name: row for name, row in found.items() if native.id_to_string(row) == name}
                pieces = int(native.vocab_size())
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise ValueError("vocabulary: expected a SentencePiece model in base64") from error
        if family == "xlm-roberta":
            special, self._unknown, self._shift = (1, 0, 2), 3, 1
        else:
            pad, first, last = special_ids(known, _ALBERT_TOKENS, pieces)
            special = (pad, first, last)
            self._unknown, self._shift = found[_UNKNOWN], 0
        super().__init__(special, max_tokens, **kwargs)
        self.model, self.family, self.lowercase = model, family, lowercase
        self.num_pieces = pieces + self._shift
        self._own_unknown = found[_UNKNOWN]
        # It keeps nothing but a constant, so that an export needs no resource of it.
        try:
            self._pieces = tf_text.FastSentencepieceTokenizer(data)
        except ValueError as error:
            raise ValueError(
                f"vocabulary: expected a SentencePiece model that tensorflow_text {tf_text.__version__} can convert, "
                f"got one at which it says {str(error)!r}; 2.21 converts more of them"
            ) from error

    @property
    def vocabulary(self) -> dict[str, str]:
        """What a checkpoint says of its pieces."""
        return {"sentencepiece": self.model}

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Split texts into token ids, without the first and the last token, uncut."""
        texts = tf.strings.unicode_transcode(tf.convert_to_tensor(texts), "UTF-8", "UTF-8", errors="ignore")
        if self.lowercase:
            texts = tf.strings.regex_replace(texts, "``|''", '"')
            texts = tf.strings.regex_replace(tf_text.normalize_utf8(texts, "NFKD"), r"\p{Mn}", "")
            # ASCII first, since the Unicode rule follows the machine's language.
            texts = tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")
        texts = tf.strings.regex_replace(texts, r"[\t-\r\x{85}\p{Z}]+", " ")
        ids = self._pieces.tokenize(texts)
        return tf.ragged.map_flat_values(
            lambda flat: tf.where(flat == self._own_unknown, self._unknown, flat + self._shift), ids
        )

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "model": self.model,
            "family": self.family,
            "max_tokens": self.max_tokens,
            "lowercase": self.lowercase,
        }
