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
