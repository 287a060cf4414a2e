from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.tokenizer import WordpieceTokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "toy", "story", "##s", "a", ".", "!", "Toy"]


@functools.cache
def tokenizers(file, max_tokens: int, lowercase: bool):
    """This layer and Hugging Face's tokenizer."""
    transformers = pytest.importorskip("transformers")
    vocabulary = file.read_text(encoding="utf-8").split("\n")[:-1]
    theirs = transformers.BertTokenizerFast(vocab_file=str(file), do_lower_case=lowercase)
    return WordpieceTokenizer(vocabulary, max_tokens, lowercase), theirs


def both(file, texts: list[str], max_tokens: int = 128, lowercase: bool = True):
    """Token ids and masks of both."""
    layer, theirs = tokenizers(file, max_tokens, lowercase)
    expected = theirs(texts, truncation=True, padding=True, max_length=max_tokens)
    # One by one, since NumPy drops zeros at the end of strings.
    ours = layer(tf.stack([tf.constant(text.encode()) for text in texts]))
    return {key: value.numpy().tolist() for key, value in ours.items()}, {key: expected[key] for key in ours}


@pytest.fixture(scope="module", params=["tiny", "minilm"])
def vocabulary_file(request, tmp_path_factory):
    model = find_text_model("tiny") if request.param == "tiny" else request.getfixturevalue("minilm_model")
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in model.vocabulary), encoding="utf-8")
    return path


@pytest.mark.parametrize("lowercase", [True, False])
def test_adversarial_strings_are_tokenized_as_by_hugging_face(vocabulary_file, adversarial, lowercase):
    for text in adversarial:
        ours, theirs = both(vocabulary_file, [text], lowercase=lowercase)
        assert ours == theirs, repr(text)


def test_a_thousand_adversarial_strings_are_tokenized_as_by_hugging_face(vocabulary_file, thousand):
    texts = thousand
    for lowercase in (True, False):
        ours, theirs = both(vocabulary_file, texts, lowercase=lowercase)
        rows = zip(texts, ours["input_ids"], theirs["input_ids"], strict=True)
        assert [(text, a, b) for text, a, b in rows if a != b] == []
        assert ours == theirs


def test_a_batch_is_padded_to_its_longest_as_by_hugging_face(vocabulary_file, adversarial):
    ours, theirs = both(vocabulary_file, adversarial, max_tokens=40)
    assert ours == theirs


def test_every_real_title_and_description_is_tokenized_as_by_hugging_face(movies, minilm_model, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in minilm_model.vocabulary), encoding="utf-8")
    texts = [movie[field] for movie in movies for field in ("title", "description")]
    ours, theirs = both(path, texts, max_tokens=512)
    assert ours == theirs


def test_a_special_token_in_a_text_is_text():
    ids = WordpieceTokenizer(PIECES)(tf.constant(["[MASK]"]))["input_ids"].numpy().tolist()
    assert PIECES.index("[MASK]") not in ids[0]


def test_ids_are_those_worked_out_by_hand():
    tokens = WordpieceTokenizer(PIECES, max_tokens=6)(tf.constant(["A toy. Toys!", "", "storys films"]))
    # "a toy . toy" is cut before "##s"; "films" is no piece.
    assert tokens["input_ids"].numpy().tolist() == [
        [2, 8, 5, 9, 5, 3],
        [2, 3, 0, 0, 0, 0],
        [2, 6, 7, 1, 3, 0],
    ]
    assert tokens["attention_mask"].numpy().tolist() == [[1] * 6, [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]]


def test_a_cased_vocabulary_keeps_its_capitals():
    tokens = WordpieceTokenizer(PIECES, lowercase=False)(tf.constant(["Toy toy"]))
    assert tokens["input_ids"].numpy().tolist() == [[2, 11, 5, 3]]


def test_bytes_that_are_no_utf8_are_dropped():
    tokens = WordpieceTokenizer(PIECES)(tf.constant([b"\xff\xfetoy", b"a\xc3"]))
    assert tokens["input_ids"].numpy().tolist() == [[2, 5, 3], [2, 8, 3]]


def test_one_graph_serves_every_batch_size_and_length():
    tokenizer = WordpieceTokenizer(PIECES)
    graph = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
    for texts in ([], ["a"], ["a toy", "toys toys toys"]):
        eager = tokenizer(tf.constant(texts, tf.string))
        for key, value in graph(tf.constant(texts, tf.string)).items():
            np.testing.assert_array_equal(value, eager[key])
    assert graph.experimental_get_tracing_count() == 1


def test_the_vocabulary_travels_in_the_config():
    tokenizer = WordpieceTokenizer(PIECES, max_tokens=9, lowercase=False, name="words")
    copy = keras.layers.deserialize(keras.layers.serialize(tokenizer))
    assert copy.get_config() == tokenizer.get_config()
    assert list(copy.vocabulary) == PIECES
    texts = tf.constant(["Toys a story! " * 3])
    np.testing.assert_array_equal(copy(texts)["input_ids"], tokenizer(texts)["input_ids"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_a_row_is_framed_masked_and_never_too_long(texts):
    tokens = _TOKENIZER(tf.constant(texts))
    ids, mask = tokens["input_ids"].numpy(), tokens["attention_mask"].numpy()
    lengths = mask.sum(axis=1)
    assert ids.shape == mask.shape == (len(texts), lengths.max())
    assert lengths.max() <= 12
    assert (ids[:, 0] == 2).all()
    assert (ids[np.arange(len(texts)), lengths - 1] == 3).all()
    assert (ids[mask == 0] == 0).all()
    assert (ids[mask == 1] > 0).all()


_TOKENIZER = WordpieceTokenizer(PIECES, max_tokens=12)


@pytest.mark.parametrize(
    ("vocabulary", "max_tokens", "message"),
    [
        (["[PAD]", "[UNK]", "[CLS]", "toy"], 128, r"\[SEP\] missing"),
        ([*PIECES, "toy"], 128, "1 repeated"),
        (PIECES, 2, "at least 3.*got 2"),
    ],
)
def test_impossible_settings_are_refused(vocabulary, max_tokens, message):
    with pytest.raises(ValueError, match=message):
        WordpieceTokenizer(vocabulary, max_tokens)
