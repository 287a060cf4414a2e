"""Each family of models against Transformers' own class and tokenizer, with small random checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.serving.signatures import ServingModule
from tfrec_div.towers import text as text_module
from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.text import TextEncoder

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["A toy story, for 7 old men!", "Naïve café: 東京…  ok", "", "toy", "the sea and the city " * 9]
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
DISTIL = {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24}
# Configuration, model and tokenizer of each family, sizes, and the weights of one block (MPNet's and ALBERT's differ).
FAMILIES = {
    "bert": ("BertConfig", "TFBertModel", "BertTokenizerFast", SIZES, 16),
    "distilbert": ("DistilBertConfig", "TFDistilBertModel", "DistilBertTokenizerFast", DISTIL, 16),
    "electra": (
        "ElectraConfig",
        "TFElectraModel",
        "ElectraTokenizerFast",
        {**SIZES, "embedding_size": 12},
        16,
    ),
    "mpnet": ("MPNetConfig", "TFMPNetModel", "MPNetTokenizerFast", SIZES, 16),
    "roberta": ("RobertaConfig", "TFRobertaModel", "RobertaTokenizerFast", SIZES, 16),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A checkpoint folder, its model and its tokenizer."""
    config_class, model_class, tokenizer_class, sizes, _ = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = _tokenizer(tokenizer_class, folder)
    roberta_like = request.param in ("roberta", "mpnet")
    config = getattr(transformers, config_class)(
        **sizes,
        vocab_size=len(tokenizer),
        max_position_embeddings=42 if roberta_like else 40,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = getattr(transformers, model_class)(config)
    model.build_in_name_scope()
    # Larger weights than the initial ones, so that positions, segments and padding matter.
    random = np.random.default_rng(3)
    model.set_weights([w + random.normal(0, 0.2, w.shape) for w in model.get_weights()])
    model.save_pretrained(folder)
    return request.param, folder, model, tokenizer


def _tokenizer(name: str, folder):
    if name == "RobertaTokenizerFast":
        trained = tokenizers.ByteLevelBPETokenizer()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        trained.train_from_iterator(
            TEXTS * 3, vocab_size=320, min_frequency=2, special_tokens=special, show_progress=False
        )
        trained.save_model(str(folder))
        files = {"vocab_file": str(folder / "vocab.json"), "merges_file": str(folder / "merges.txt")}
        return transformers.RobertaTokenizerFast(**files)
    pieces = [*find_text_model("tiny").vocabulary]
    if name == "MPNetTokenizerFast":
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *(p for p in pieces if p != "[PAD]"), "<mask>"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return getattr(transformers, name)(vocab_file=str(folder / "vocab.txt"))


def hidden_states(model, tokenizer, text: str) -> np.ndarray:
    """What Transformers makes of one text, by itself and without padding, [tokens, hidden]."""
    tokens = tokenizer([text], truncation=True, max_length=40, return_tensors="tf")
    return model(dict(tokens)).last_hidden_state.numpy()[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_transformers(family, pooling):
    _, folder, model, tokenizer = family
    encoder = TextEncoder.from_pretrained(folder, pooling=pooling, normalize=False, max_tokens=40)
    states = [hidden_states(model, tokenizer, text) for text in TEXTS]
    # The last text is longer than the model, the third has nothing but the first and the last token.
    assert [len(s) for s in states][2::2] == [2, 40]
    expected = np.stack([s.mean(axis=0) if pooling == "mean" else s[0] for s in states])
    expected[2] = 0
    np.testing.assert_allclose(encoder(tf.constant(TEXTS)), expected, atol=1e-5)
    rows = encoder.to_rows(tf.constant(TEXTS))
    np.testing.assert_allclose(encoder.encode_rows(rows), expected, atol=1e-5)
    with pytest.raises(
        ValueError, match="max_tokens: expected at most 40, the positions of this model, got 41"
    ):
        TextEncoder.from_pretrained(folder, max_tokens=41)


def test_attention_pooling_is_a_softmax_over_the_tokens(family):
    _, folder, model, tokenizer = family
    encoder = TextEncoder.from_pretrained(
        folder, pooling="attention", normalize=False, max_tokens=40, trainable_layers=1
    )
    vector = np.random.default_rng(0).normal(size=16).astype(np.float32)
    encoder.attention.assign(vector)
    states = hidden_states(model, tokenizer, TEXTS[0])
    weights = np.exp(states @ vector)
    expected = weights @ states / weights.sum()
    np.testing.assert_allclose(encoder(tf.constant(TEXTS))[0], expected, atol=1e-4)


def test_safetensors_give_the_same_vectors_as_h5(family, tmp_path):
    _, folder, model, _ = family
    for file in folder.iterdir():
        if file.suffix != ".h5":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    model.save_pretrained(tmp_path, safe_serialization=True)
    assert (tmp_path / "model.safetensors").is_file()
    assert not (tmp_path / "tf_model.h5").exists()
    both = [TextEncoder.from_pretrained(path, max_tokens=40) for path in (folder, tmp_path)]
    assert both[0].fingerprint() == both[1].fingerprint()


def test_only_the_last_layers_are_trained_and_all_of_them_get_gradients(family):
    name, folder, *_ = family
    in_a_block = FAMILIES[name][-1]
    for layers in (1, 2):
        encoder = TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers=layers)
        assert len(encoder.trainable_weights) == layers * in_a_block
        last = {id(w) for block in encoder.transformer.blocks[-layers:] for w in block.weights}
        assert {id(w) for w in encoder.trainable_weights} == last
    for layers in (2, "all"):
        encoder = TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers=layers)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder(tf.constant(TEXTS))[:, :3])
        gradients = tape.gradient(loss, encoder.trainable_weights)
        assert all(g is not None for g in gradients)
    # All but a pooler, which MPNet has and nobody reads.
    assert len(encoder.weights) - len(encoder.trainable_weights) == (2 if name == "mpnet" else 0)
    frozen = TextEncoder.from_pretrained(folder, max_tokens=40)
    assert frozen.trainable_weights == []
    assert len(frozen.weights) == len(encoder.weights)
    np.testing.assert_allclose(
        encoder(tf.constant(TEXTS)),
        TextEncoder.from_pretrained(folder, max_tokens=40)(tf.constant(TEXTS)),
        atol=1e-5,
    )


def test_a_restored_one_needs_no_files(family, tmp_path, monkeypatch):
    _, folder, *_ = family
    encoder = TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers=1)
    monkeypatch.setattr(text_module, "find_text_model", lambda *a, **k: pytest.fail("looked for weights"))
    copy = TextEncoder.from_config(json.loads(json.dumps(encoder.get_config())))
    assert copy.get_config() == encoder.get_config()
    copy.set_weights(encoder.get_weights())
    assert copy.fingerprint() == encoder.fingerprint()
    texts = tf.constant(TEXTS)
    np.testing.assert_allclose(copy(texts), encoder(texts), atol=1e-6)
    inputs = keras.Input([], dtype=tf.string)
    model = keras.Model(inputs, keras.layers.Dense(3)(encoder(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(texts), model(texts), atol=1e-6)
    graph = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    np.testing.assert_allclose(graph(texts), encoder(texts), atol=1e-5)


def test_dropout_follows_the_step_only(family):
    _, folder, *_ = family
    encoder = TextEncoder.from_pretrained(folder, max_tokens=40, trainable_layers="all")
    rows = encoder.to_rows(tf.constant(TEXTS[:2]))

    def vectors(step):
        return encoder.encode_rows(rows, training=True, step=tf.constant(step, tf.int64)).numpy()

    np.testing.assert_array_equal(vectors(5), vectors(5))
    assert np.abs(vectors(5) - vectors(6)).max() > 1e-3
    assert np.abs(vectors(5) - encoder.encode_rows(rows)).max() > 1e-3


@pytest.mark.parametrize("family", ["distilbert", "roberta"], indirect=True)
def test_it_is_trained_in_a_two_tower_model_and_served(family, shop):
    name, folder, *_ = family
    encoder = TextEncoder.from_pretrained(folder, max_tokens=12, trainable_layers=1)
    before = [weight.numpy() for weight in encoder.weights]
    model = TwoTower(shop.schema, text=encoder, embedding_dim=4, features=["history"], max_history=8)
    model.compile(optimizer=keras.optimizers.legacy.Adam(1e-2))
    model.fit(shop.batches(256, max_history=8), verbose=0)
    moved = [bool((w.numpy() != b).any()) for w, b in zip(encoder.weights, before, strict=True)]
    # The bias of the keys adds the same to all scores of a softmax, so that hardly anything moves it.
    last = {id(weight) for weight in encoder.trainable_weights}
    assert not any(m for m, w in zip(moved, encoder.weights, strict=True) if id(w) not in last)
    assert sum(moved) >= 15
    texts = shop.catalog.texts()
    np.testing.assert_allclose(model.content("text"), encoder(tf.constant(texts)), atol=1e-5)
    cold = ServingModule(model.recommender(shop, k=3)).functions["recommend_cold"](
        text=tf.constant(texts[:5]), image=tf.constant([""] * 5), k=tf.fill([5], 1), diversity=tf.zeros([5])
    )
    first = [item.decode() for item in cold["item_ids"].numpy()[:, 0]]
    # An item's own text finds it, or one whose text begins alike.
    starts = dict(zip(shop.catalog.ids, (text[:12] for text in texts), strict=True))
    assert [starts[item] for item in first] == [text[:12] for text in texts[:5]], name


def test_a_model_of_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match=r"expected model_type bert, distilbert.*albert, got 'gpt2'"):
        TextEncoder.from_pretrained(tmp_path)
