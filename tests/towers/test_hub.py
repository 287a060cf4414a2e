from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.towers import hub as hub_module
from tfrec_div.towers.cache import encode_cached
from tfrec_div.towers.hub import HubTextEncoder

if importlib.util.find_spec("tensorflow_hub") is None:
    pytest.skip("tensorflow-hub is not installed", allow_module_level=True)


class Lengths(tf.Module):
    """A text model: the number of bytes and of words of a text, and one more name for their double."""

    def __init__(self, named: bool = False) -> None:
        super().__init__()
        self.named = named
        self.factor = tf.Variable([1.0, 3.0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts).row_lengths()
        vectors = tf.stack([tf.strings.length(texts), tf.cast(words, tf.int32)], axis=1)
        vectors = tf.cast(vectors, tf.float32) * self.factor
        return {"once": vectors, "twice": 2 * vectors} if self.named else vectors


class Upper(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        return tf.strings.join([texts, texts], " ")


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("hub") / "lengths")
    tf.saved_model.save(Lengths(), folder)
    return folder


def test_vectors_are_those_of_the_saved_model(handle):
    encoder = HubTextEncoder(handle, normalize=False)
    assert encoder.dim == 2
    assert encoder.trainable_weights == []
    # 8 bytes and 2 words times 3.
    np.testing.assert_array_equal(encoder(tf.constant(["toys are", "", "toy"])), [[8, 6], [0, 0], [3, 3]])
    done = []
    vectors = encoder.encode(["toys are", "", "toy"], batch_size=2, progress=done.append)
    np.testing.assert_array_equal(vectors, [[8, 6], [0, 0], [3, 3]])
    assert done == [2, 1]
    np.testing.assert_allclose(
        HubTextEncoder(handle)(tf.constant(["toys are", ""])), [[0.8, 0.6], [0, 0]], rtol=1e-6
    )


def test_a_preprocessor_goes_first_and_an_output_is_chosen_by_name(tmp_path):
    model, upper = str(tmp_path / "model"), str(tmp_path / "upper")
    tf.saved_model.save(Lengths(named=True), model)
    tf.saved_model.save(Upper(), upper)
    encoder = HubTextEncoder(model, preprocessor=upper, output="twice", normalize=False)
    # "toy toy": 7 bytes, 2 words.
    np.testing.assert_array_equal(encoder(tf.constant(["toy"])), [[14, 12]])
    with pytest.raises(ValueError, match=r"output: expected one of \['once', 'twice'\], got None"):
        HubTextEncoder(model)


def test_the_fingerprint_follows_model_and_settings(handle, tmp_path):
    encoder = HubTextEncoder(handle)
    assert HubTextEncoder(handle, name="other").fingerprint() == encoder.fingerprint()
    assert HubTextEncoder(handle, normalize=False).fingerprint() != encoder.fingerprint()
    changed = Lengths()
    changed.factor.assign([1.0, 4.0])
    tf.saved_model.save(changed, str(tmp_path / "changed"))
    assert HubTextEncoder(tmp_path / "changed").fingerprint() != encoder.fingerprint()


def test_the_config_makes_the_same_encoder_and_the_cache_keeps_its_vectors(handle, tmp_path):
    encoder = HubTextEncoder(handle)
    copy = keras.layers.deserialize(keras.layers.serialize(encoder))
    assert copy.get_config() == encoder.get_config()
    first = encode_cached(encoder, ["a toy", "toys"], tmp_path, progress=False)
    copy.__dict__["_encode"] = lambda texts: pytest.fail("encoded again")
    np.testing.assert_array_equal(encode_cached(copy, ["a toy", "toys"], tmp_path, progress=False), first)


def test_a_two_tower_model_reads_texts_by_it(handle, shop, tmp_path):
    model = TwoTower(shop.schema, text=HubTextEncoder(handle), embedding_dim=4)
    model.compile()
    model.adapt(shop, cache_dir=tmp_path, progress=False)
    expected = HubTextEncoder(handle).encode(shop.catalog.texts(), progress=False)
    np.testing.assert_allclose(model.content("text"), expected, rtol=1e-6)
    assert np.isfinite(model.fit(shop.batches(64, max_history=8), verbose=0).history["loss"][-1])
    again = TwoTower.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-6)


class Words(tf.__internal__.tracking.AutoTrackable):
    """A text model that can be trained: the mean of the vectors of its words, by their first letter."""

    def __init__(self) -> None:
        super().__init__()
        table = np.random.default_rng(1).normal(size=(256, 3)).astype(np.float32)
        self.table = tf.Variable(table, name="letters")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)
        first = tf.cast(
            tf.reshape(tf.io.decode_raw(tf.strings.substr(words.flat_values, 0, 1), tf.uint8), [-1]), tf.int32
        )
        return tf.math.divide_no_nan(
            tf.reduce_sum(words.with_flat_values(tf.gather(self.table, first)), axis=1),
            tf.cast(words.row_lengths(), tf.float32)[:, tf.newaxis],
        )


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("hub") / "words")
    module = Words()
    # As the authors of a model for TF-Hub do.
    module.trainable_variables = [module.table]
    tf.saved_model.save(module, folder)
    return folder


def test_rows_of_bytes_give_the_vectors_of_the_strings_equal_ones_once(words, monkeypatch):
    encoder = HubTextEncoder(words, trainable=True, max_bytes=9)
    texts = tf.constant(["a toy", "", "ü b", " \t", "a toy", "eight..é!"])
    rows = encoder.to_rows(texts)
    assert rows.shape == (6, 9)
    assert rows.dtype == tf.uint8
    assert rows[0].numpy().tolist() == [*b"a toy", 0, 0, 0, 0]
    # Ten bytes: "!" is cut off. Of a character of two bytes, the half that would be left is dropped.
    assert bytes(rows[5].numpy()) == "eight..é".encode()
    assert bytes(encoder.to_rows(tf.constant(["eight...é"]))[0].numpy()) == b"eight...\0"
    assert encoder.present(rows).numpy().tolist() == [True, False, True, False, True, True]
    np.testing.assert_array_equal(encoder.rows_of(["a toy", ""], batch_size=1), rows[:2])
    read = []
    original = HubTextEncoder.call
    monkeypatch.setattr(
        HubTextEncoder,
        "call",
        lambda self, texts, training=None: read.extend(texts.numpy()) or original(self, texts, training),
    )
    np.testing.assert_allclose(encoder.encode_rows(rows)[:5], encoder(texts)[:5], atol=1e-6)
    assert read[:5] == [b"a toy", b"", "ü b".encode(), b" \t", "eight..é".encode()]
    assert encoder.encode_rows(rows[:0]).shape == (0, 3)


def test_a_model_that_is_trained_moves_and_comes_back_from_a_file(words, shop, tmp_path):
    keras.utils.set_random_seed(0)
    encoder = HubTextEncoder(words, trainable=True, max_bytes=64)
    first = encoder.get_weights()[0]
    assert len(encoder.trainable_weights) == 1
    model = TwoTower(shop.schema, text=encoder, embedding_dim=4, features=["history"], max_history=8)
    assert model.trains_models
    model.compile(optimizer=keras.optimizers.legacy.Adam(1e-2))
    model.fit(shop.batches(64, max_history=8), verbose=0)
    moved = np.abs(encoder.get_weights()[0] - first).max(axis=1) > 1e-3
    letters = {text.encode()[0] for texts in shop.catalog.texts() for text in texts.split()}
    # The letters that words begin with, and no others.
    assert set(np.flatnonzero(moved)) <= letters
    assert moved.sum() > len(letters) / 2
    assert encoder.fingerprint() != HubTextEncoder(words, trainable=True, max_bytes=64).fingerprint()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.text_encoder.get_weights()[0], encoder.get_weights()[0])
    np.testing.assert_allclose(again.item_vectors(), model.item_vectors(), atol=1e-6)


def test_a_model_without_trainable_variables_is_not_trained(tmp_path):
    class Fixed(Lengths):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.constant([1.0, 3.0])

    tf.saved_model.save(Fixed(), str(tmp_path / "fixed"))
    with pytest.raises(
        ValueError, match=r"trainable: expected a model with trainable_variables, and .*fixed has"
    ):
        HubTextEncoder(tmp_path / "fixed", trainable=True)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"handle: no SavedModel .*nothing"):
        HubTextEncoder(tmp_path / "nothing")


def test_without_tensorflow_hub_the_extra_is_named(monkeypatch, handle):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    hub_module._tensorflow_hub.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'tfrec_div\[hub\]'"):
        HubTextEncoder(handle)
    hub_module._tensorflow_hub.cache_clear()


def test_a_model_that_gives_no_vectors_is_refused(tmp_path):
    tf.saved_model.save(Upper(), str(tmp_path / "upper"))
    with pytest.raises(
        ValueError, match=r"expected .*upper to return float vectors \[batch, dim\], got string"
    ):
        HubTextEncoder(tmp_path / "upper")
