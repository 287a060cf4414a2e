from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.byte_bpe import ByteBpeTokenizer, byte_alphabet

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [*SPECIAL, *byte_alphabet(), "to", "oy", "toy", "Ġt", "Ġto", "aa"]
MERGES = ["o y", "t o", "Ġ t", "t oy", "Ġ to", "a a"]


@pytest.fixture(scope="module")
def files(tmp_path_factory, adversarial, thousand):
    """The files of a byte-level BPE trained on what breaks tokenizers."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("bpe")
    trained = tokenizers.ByteLevelBPETokenizer()
    corpus = [*adversarial, *thousand, *["the old man and the sea the toy story of a family"] * 20]
    trained.train_from_iterator(
        corpus, vocab_size=700, min_frequency=1, special_tokens=[*SPECIAL, "<mask>"], show_progress=False
    )
    trained.save_model(str(folder))
    return folder


@functools.cache
def both(folder, prefix_space: bool):
    """This layer and Hugging Face's tokenizer."""
    transformers = pytest.importorskip("transformers")
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    ids = json.loads(vocab.read_text(encoding="utf-8"))
    lines = merges.read_text(encoding="utf-8").split("\n")[1:-1]
    ours = ByteBpeTokenizer(sorted(ids, key=ids.get), lines, prefix_space=prefix_space)
    assert len(lines) > 300
    theirs = transformers.RobertaTokenizerFast(
        vocab_file=str(vocab), merges_file=str(merges), add_prefix_space=prefix_space
    )
    return tf.function(ours, input_signature=[tf.TensorSpec([None], tf.string)]), theirs


@pytest.mark.parametrize("prefix_space", [False, True])
def test_a_thousand_adversarial_strings_are_tokenized_as_by_hugging_face(
    files, adversarial, thousand, prefix_space
):
    ours, theirs = both(files, prefix_space)
    more = [
        "",
        " x",
        "  x",
        "x  ",
        "a  b   c \n\n d\n e",
        "\n\nx\n\n",
        "don't we'LL I'm 'quote'",
        "a\x00b",
        "a" * 500,
    ]
    # The last character of Unicode is what the words are cut by.
    texts = [text.replace("\U0010ffff", "") for text in (*adversarial, *thousand, *more)]
    expected = theirs(texts, truncation=True, padding=True, max_length=128)
    # One by one, since NumPy drops zeros at the end of strings.
    found = ours(tf.stack([tf.constant(text.encode()) for text in texts]))
    rows = zip(texts, found["input_ids"].numpy().tolist(), expected["input_ids"], strict=True)
    assert [(text, a, b) for text, a, b in rows if a != b] == []
    assert found["attention_mask"].numpy().tolist() == expected["attention_mask"]


def test_ids_are_those_worked_out_by_hand():
    tokenizer = ByteBpeTokenizer(PIECES, MERGES, max_tokens=6)
    tokens = tokenizer(tf.constant(["toy to", "", "aaa\x00", "é", "toto to toy toys"]))
    names = [[PIECES[row] for row in ids] for ids in tokens["input_ids"].numpy()]
    assert names == [
        # "o y" comes before "t o"; " to" is "Ġ" and "to", since "t o" comes before "Ġ t".
        ["<s>", "toy", "Ġto", "</s>", "<pad>", "<pad>"],
        ["<s>", "</s>", *["<pad>"] * 4],
        ["<s>", "aa", "a", "Ā", "</s>", "<pad>"],
        ["<s>", "Ã", "©", "</s>", "<pad>", "<pad>"],
        # And "Ġ t" before "t oy".
        ["<s>", "to", "to", "Ġto", "Ġt", "</s>"],
    ]
    assert tokens["attention_mask"].numpy().sum(axis=1).tolist() == [4, 2, 5, 4, 6]


def test_one_graph_serves_every_batch_and_bytes_that_are_no_utf8_are_dropped():
    tokenizer = ByteBpeTokenizer(PIECES, MERGES)
    graph = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
    for texts in ([], ["a"], ["a toy", "toys " * 90]):
        texts = tf.constant(texts, tf.string)
        np.testing.assert_array_equal(graph(texts)["input_ids"], tokenizer(texts)["input_ids"])
    assert graph.experimental_get_tracing_count() == 1
    np.testing.assert_array_equal(graph(tf.constant([b"\xfftoy"]))["input_ids"], [[0, 262, 2]])


def test_the_vocabulary_travels_in_the_config():
    tokenizer = ByteBpeTokenizer(PIECES, MERGES, max_tokens=9, prefix_space=True, name="words")
    copy = keras.layers.deserialize(json.loads(json.dumps(keras.layers.serialize(tokenizer))))
    assert copy.get_config() == tokenizer.get_config()
    assert copy.vocabulary == {"pieces": PIECES, "merges": MERGES, "prefix_space": True}
    assert copy(tf.constant(["to"]))["input_ids"].numpy().tolist() == [[0, 264, 2]]


@pytest.mark.parametrize(
    ("pieces", "merges", "message"),
    [
        (PIECES[1:], MERGES, "<s> missing"),
        ([p for p in PIECES if p != "Q"], [], "Q missing"),
        ([*PIECES, "toy"], MERGES, "1 repeated"),
        (PIECES, [*MERGES, "x y"], "got 'x y'"),
    ],
)
def test_impossible_vocabularies_are_refused(pieces, merges, message):
    with pytest.raises(ValueError, match=message):
        ByteBpeTokenizer(pieces, merges)
