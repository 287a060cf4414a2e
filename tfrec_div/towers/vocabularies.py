"""Which tokenizer a text model reads its texts by."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec_div.towers.byte_bpe import ByteBpeTokenizer
from tfrec_div.towers.sentencepiece import SentencepieceTokenizer
from tfrec_div.towers.subwords import SubwordTokenizer, Vocabulary
from tfrec_div.towers.tokenizer import BERT_TOKENS, MPNET_TOKENS, WordpieceTokenizer


def tokenizer_of(
    family: str, vocabulary: Vocabulary, max_tokens: int, lowercase: bool = True
) -> SubwordTokenizer:
    """Makes the tokenizer of a text model.

    Args:
        family: The `model_type` of the model, such as "bert".
        vocabulary: WordPieces by id; or a mapping: the `pieces`, `merges` and `prefix_space` of a byte-level BPE, or
            the `sentencepiece` model in base64.
        max_tokens: The longest sequence.
        lowercase: Whether the model reads lower-cased text without accents; nothing to a byte-level BPE.

    Example:
        >>> tokenizer_of("bert", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "toy"], 8).vocabulary[4]
        'toy'
    """
    if not isinstance(vocabulary, Mapping):
        special = MPNET_TOKENS if family == "mpnet" else BERT_TOKENS
        return WordpieceTokenizer(vocabulary, max_tokens, lowercase, special, name="tokenizer")
    if "sentencepiece" in vocabulary:
        return SentencepieceTokenizer(
            vocabulary["sentencepiece"], family, max_tokens, lowercase, name="tokenizer"
        )
    return ByteBpeTokenizer(
        vocabulary["pieces"],
        vocabulary["merges"],
        max_tokens,
        vocabulary.get("prefix_space", False),
        name="tokenizer",
    )
