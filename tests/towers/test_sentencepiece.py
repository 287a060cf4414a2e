from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.sentencepiece import SentencepieceTokenizer
from tfrec_div.towers.text import TextEncoder

# isort: split
import tensorflow_text as tf_text

transformers = pytest.importorskip("transformers")
proto = pytest.importorskip("transformers.utils.sentencepiece_model_pb2_new")

WORDS = [
    "▁",
    "▁the",
    "▁a",
    "▁toy",
    "to",
    "y",
    "▁of",
    "ing",
    "▁story",
    "the",
    '"',
    "▁e",
    "e",
    *"abcdfghijklmnopqrstuvwxz.",
]
TEXTS = ["The toy story.", "toys of the sea", "", "Étoile  a\ttoy", "東 ``toy''", "a" * 60]
UNKNOWN, CONTROL = 2, 3


def spm(special: list[tuple[str, int]]) -> bytes:
    """A unigram model of a few words, each character as likely as another and words likelier."""
    model = proto.ModelProto()
    random = np.random.default_rng(0)
    pieces = [(name, 0.0, kind) for name, kind in special]
    pieces += [(word, float(-random.uniform(1, 8)), 1) for word in WORDS]
    for name, score, kind in pieces:
        piece = model.pieces.add()
        piece.piece, piece.score, piece.type = name, score, kind
    model.trainer_spec.model_type = 1
    names = [name for name, _ in special]
    model.trainer_spec.unk_id = names.index("<unk>")
    model.trainer_spec.bos_id, model.trainer_spec.eos_id, model.trainer_spec.pad_id = -1, -1, -1
    model.normalizer_spec.name = "identity"
    return model.SerializeToString()


ALBERT = spm([("<pad>", CONTROL), ("<unk>", UNKNOWN), ("[CLS]", CONTROL), ("[SEP]", CONTROL)])
XLM_R = spm([("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)])


def converts(data: bytes) -> bool:
    try:
        tf_text.FastSentencepieceTokenizer(data)
    except ValueError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    not converts(ALBERT),
    reason=f"tensorflow_text {tf_text.__version__} cannot convert a SentencePiece model without a table of foldings",
)


def base(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_pieces_are_those_of_the_reference_on_a_thousand_adversarial_strings(thousand):
    tokenizer = SentencepieceTokenizer(base(ALBERT), "albert")
    reference = tf_text.SentencepieceTokenizer(model=ALBERT)
    # White space and control characters are a matter of the model's own folding, which this one has none of.
    texts = [t for t in ("".join(c for c in text if c == " " or c.isprintable()) for text in thousand) if t]
    assert len(texts) > 900
    assert (
        tokenizer.tokenize(tf.constant(texts)).to_list() == reference.tokenize(tf.constant(texts)).to_list()
    )


def test_ids_are_those_of_hugging_face_for_xlm_r_on_a_thousand_adversarial_strings(thousand):
    tokenizers = pytest.importorskip("tokenizers")
    model = proto.ModelProto.FromString(XLM_R)
    # The tables that Transformers makes of such a model, see its XLMRobertaConverter.
    pieces = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [(piece.piece, piece.score) for piece in model.pieces[3:]]
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 3, False))
    space = tokenizers.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    split = tokenizers.pre_tokenizers.WhitespaceSplit()
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, space])
    ours = SentencepieceTokenizer(base(XLM_R), "xlm-roberta")
    # The control characters are a matter of the model's own folding, which this one has none of.
    texts = ["".join(c for c in text if c.isspace() or c.isprintable()) for text in thousand]
    found = ours.tokenize(tf.stack([tf.constant(text.encode()) for text in texts])).to_list()
    rows = zip(texts, found, (encoding.ids for encoding in theirs.encode_batch(texts)), strict=True)
    assert [(text, a, b) for text, a, b in rows if a != b] == []


def test_ids_are_framed_and_folded_as_albert_does():
    tokenizer = SentencepieceTokenizer(base(ALBERT), "albert", max_tokens=7, lowercase=True)
    pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", *WORDS]
    tokens = tokenizer(tf.constant(["ÉTOY", "", "``''"]))
    names = [[pieces[row] for row in ids] for ids in tokens["input_ids"].numpy()]
    assert names == [
        ["[CLS]", "▁e", "to", "y", "[SEP]"],
        ["[CLS]", "[SEP]", "<pad>", "<pad>", "<pad>"],
        ["[CLS]", "▁", '"', '"', "[SEP]"],
    ]


def test_the_ids_of_xlm_r_are_shifted_by_one_and_the_unknown_is_three():
    tokenizer = SentencepieceTokenizer(base(XLM_R), "xlm-roberta")
    # <s> 0, <pad> 1, </s> 2, <unk> 3, then the words from the model's third on.
    ids = tokenizer(tf.constant(["the", "東"]))["input_ids"].numpy().tolist()
    assert ids == [[0, 4 + WORDS.index("▁the"), 2, 1], [0, 4 + WORDS.index("▁"), 3, 2]]
    assert tokenizer.num_pieces == 4 + len(WORDS)


@pytest.fixture(scope="module", params=["albert", "xlm-roberta"])
def checkpoint(request, tmp_path_factory):
    """A checkpoint folder and its model."""
    folder = tmp_path_factory.mktemp(request.param)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    if request.param == "albert":
        (folder / "spiece.model").write_bytes(ALBERT)
        config = transformers.AlbertConfig(
            **sizes, vocab_size=4 + len(WORDS), embedding_size=12, max_position_embeddings=40, pad_token_id=0
        )
        model = transformers.TFAlbertModel(config)
    else:
        (folder / "sentencepiece.bpe.model").write_bytes(XLM_R)
        config = transformers.XLMRobertaConfig(
            **sizes, vocab_size=5 + len(WORDS), max_position_embeddings=42, pad_token_id=1
        )
        model = transformers.TFXLMRobertaModel(config)
    model.build_in_name_scope()
    random = np.random.default_rng(3)
    model.set_weights([w + random.normal(0, 0.2, w.shape) for w in model.get_weights()])
    model.save_pretrained(folder)
    return folder, model


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_transformers(checkpoint, pooling):
    folder, model = checkpoint
    encoder = TextEncoder.from_pretrained(folder, pooling=pooling, normalize=False, max_tokens=40)
    for row, text in enumerate(TEXTS):
        ids = encoder.tokenizer(tf.constant([text]))["input_ids"]
        hidden = model(ids, attention_mask=tf.ones_like(ids)).last_hidden_state.numpy()[0]
        expected = hidden.mean(axis=0) if pooling == "mean" else hidden[0]
        found = encoder(tf.constant(TEXTS))[row]
        np.testing.assert_allclose(found, expected if text else np.zeros(16), atol=1e-5)


def test_its_last_layers_are_found_and_a_restored_one_needs_no_files(checkpoint):
    folder, _ = checkpoint
    # The three layers of ALBERT share their weights.
    blocks = 1 if "albert" in str(folder.name) else 3
    with pytest.raises(
        ValueError, match=f"trainable_layers: expected 0 to the {blocks} of this model, got 4"
    ):
        TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers=4)
    encoder = TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers=1)
    assert len(encoder.trainable_weights) == 16
    copy = TextEncoder.from_config(json.loads(json.dumps(encoder.get_config())))
    copy.set_weights(encoder.get_weights())
    assert copy.fingerprint() == encoder.fingerprint()
    rows = encoder.to_rows(tf.constant(TEXTS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder.encode_rows(rows, training=True, step=tf.constant(1))[:, :3])
    assert all(g is not None for g in tape.gradient(loss, encoder.trainable_weights))


def test_the_model_travels_in_the_config_and_needs_no_resource_in_an_export(tmp_path):
    tokenizer = SentencepieceTokenizer(base(ALBERT), "albert", max_tokens=9, lowercase=True, name="words")
    copy = keras.layers.deserialize(json.loads(json.dumps(keras.layers.serialize(tokenizer))))
    assert copy.get_config() == tokenizer.get_config()
    module = tf.Module()
    module.ids = tf.function(
        lambda texts: copy(texts)["input_ids"], input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "export"))
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_array_equal(loaded.ids(tf.constant(TEXTS)), tokenizer(tf.constant(TEXTS))["input_ids"])
    assert loaded.ids(tf.constant([], tf.string)).shape == (0, 2)


def test_what_is_no_model_or_lacks_a_special_token_is_refused():
    with pytest.raises(ValueError, match="SentencePiece model in base64"):
        SentencepieceTokenizer(base(b"nothing"), "albert")
    with pytest.raises(ValueError, match=r"vocabulary: <pad>, \[CLS\], \[SEP\] missing among its"):
        SentencepieceTokenizer(base(XLM_R), "albert")
