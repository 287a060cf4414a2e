"""Tokens and regions: what encoders give, and what a fusion makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion import ConcatFusion, CrossModalFusion
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.model_encoder import ModelEncoder
from tfrec_div.towers.parts import PartsEncoder, all_parts, parts_of
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.tower import Tower
from tfrec_div.towers.transformer import Transformer


def test_the_tokens_of_a_text_are_its_words_in_order_each_of_length_one():
    encoder = TextEncoder.from_pretrained("tiny", max_tokens=8)
    rows = encoder.to_rows(tf.constant(["a toy", "", "a toy", "one two three four five six seven"]))
    vectors, parts = encoder.encode_parts(rows)
    assert parts.shape == (4, 6, 64)
    there = np.linalg.norm(parts, axis=2)
    words = [int(tf.math.count_nonzero(row)) - 2 for row in rows]
    assert words[0] >= 2
    assert words[1:] == [0, words[0], 6]
    np.testing.assert_allclose(there, [[1.0] * n + [0.0] * (6 - n) for n in words], atol=1e-5)
    np.testing.assert_array_equal(parts[0], parts[2])
    np.testing.assert_allclose(vectors, encoder.encode_rows(rows), atol=1e-6)
    # They are what BERT gives at the places after [CLS].
    tokens = encoder.tokenizer(tf.constant(["a toy"]))
    hidden = encoder.layer(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state[0]
    expected = hidden[1 : 1 + words[0]] / np.linalg.norm(hidden[1 : 1 + words[0]], axis=1, keepdims=True)
    np.testing.assert_allclose(parts[0, : words[0]], expected, atol=1e-5)


def test_a_long_text_gives_its_first_thirty_two_tokens():
    encoder = TextEncoder.from_pretrained("tiny", max_tokens=128)
    assert encoder.max_parts == 32
    long, cut = (encoder.to_rows(tf.constant([" ".join(["toy"] * n)])) for n in (60, 31))
    assert np.linalg.norm(encoder.encode_parts(long)[1][0], axis=1).min() == pytest.approx(1, abs=1e-5)
    pieces = int(tf.math.count_nonzero(encoder.encode_parts(cut)[1][0, :, 0]))
    assert pieces == min(32, int(tf.math.count_nonzero(cut)) - 2)


def picture(left: int, right: int, size: int = 64) -> bytes:
    pixels = np.full((size, size, 3), left, np.uint8)
    pixels[:, size // 2 :] = right
    return tf.io.encode_png(pixels).numpy()


def test_the_regions_of_a_picture_average_to_its_vector():
    encoder = ImageEncoder(64, None, "mobilenet_v2")
    rows = encoder.to_rows(tf.constant([picture(10, 240), b"", picture(240, 10)]))
    vectors, regions = encoder.encode_parts(rows)
    assert encoder.max_parts == 4
    assert regions.shape == (3, 4, 1280)
    np.testing.assert_allclose(vectors, encoder.encode_rows(rows), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(regions, axis=2), [[1.0] * 4, [0.0] * 4, [1.0] * 4], atol=1e-5)
    maps = keras.Model(encoder.network.inputs, encoder.network.get_layer("out_relu").output)
    pixels = keras.applications.mobilenet_v2.preprocess_input(tf.cast(rows[:1], tf.float32))
    expected = maps(pixels).numpy().reshape(4, 1280)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(regions[0], expected, atol=1e-5)


def test_a_large_picture_has_no_more_than_seven_by_seven_regions():
    encoder = ImageEncoder(288, None, "mobilenet_v2")
    assert encoder.network.layers[-2].output_shape[1:3] == (9, 9)
    assert encoder.encode_parts(encoder.to_rows(tf.constant([picture(0, 255)])))[1].shape == (1, 49, 1280)


def test_parts_of_many_contents_are_those_of_each_in_half_precision():
    encoder = TextEncoder.from_pretrained("tiny", max_tokens=8)
    texts = [f"toy number {number}" for number in range(40)] + [""]
    kept = all_parts(encoder, texts, progress=False)
    assert (kept.dtype, kept.shape) == (np.float16, (41, 6, 64))
    np.testing.assert_allclose(kept[35:37], parts_of(encoder, tf.constant(texts[35:37])), atol=1e-3)
    assert not kept[40].any()


def test_parts_are_centred_apart_from_the_vectors():
    encoder = PartsEncoder(2, 2)
    parts = np.array([[[2.0, 0.0], [0.0, 2.0]], [[2.0, 2.0], [0.0, 0.0]]], np.float16)
    encoder.adapt(np.array([[1.0, 0.0], [3.0, 0.0]], np.float32), parts)
    assert encoder.project.mean.numpy().tolist() == [2.0, 0.0]
    # Of the three that are there.
    np.testing.assert_allclose(encoder.project_parts.mean, [4 / 3, 4 / 3], rtol=1e-6)
    _, (_, there) = encoder({"vectors": tf.ones([2, 2]), "parts": tf.constant(parts)})
    assert there.numpy().tolist() == [[True, True], [True, False]]
    assert PartsEncoder.from_config(encoder.get_config()).get_config() == encoder.get_config()


def bound():
    """Items with two tokens and two regions, each a key and a value; pooled, all of the items are equal.

    The tokens are {(k0, a), (k1, b)} with {a, b} = {0, 1}, and so are the regions; 1 where they say the same.
    """

    def pair(first: int) -> np.ndarray:
        return np.stack([[1.0, 0, 1 - first, first], [0, 1.0, first, 1 - first]]) / np.sqrt(2)

    said = [(t, r) for t in (0, 1) for r in (0, 1)]
    ones = np.ones((4, 4), np.float32)
    features = {
        "text": ones,
        "image": ones,
        "text_parts": np.stack([pair(t) for t, _ in said]).astype(np.float16),
        "image_parts": np.stack([pair(r) for _, r in said]).astype(np.float16),
    }
    assert np.ptp(features["text_parts"].mean(1), axis=0).max() == 0
    return {name: tf.constant(v) for name, v in features.items()}, np.array([t == r for t, r in said], float)


def losses_of(fusion, features, same, steps=300):
    keras.utils.set_random_seed(1)
    kind = PartsEncoder
    tower = Tower({"text": kind(4, 8), "image": kind(4, 8)}, fusion)
    read, optimizer, losses = keras.layers.Dense(1), keras.optimizers.legacy.Adam(0.02), []

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = read(tower(features))[:, 0]
            loss = tf.reduce_mean(
                tf.nn.sigmoid_cross_entropy_with_logits(tf.constant(same, tf.float32), logits)
            )
        weights = tower.trainable_weights + read.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    for _ in range(steps):
        losses.append(float(step()))
    return losses


def test_only_what_tokens_and_regions_say_of_each_other_tells_these_items_apart():
    features, same = bound()
    # ln 2 is what a guess costs.
    assert losses_of(CrossModalFusion(8), features, same)[-1] < 0.05

    class Pooled(ConcatFusion):
        """Reads the mean of each sequence, all that there is without the interaction."""

        def fuse(self, vectors, mask, sequences=None):
            return super().fuse(vectors + tf.stack([tf.reduce_mean(p, 1) for p, _ in sequences], 1), mask)

    assert losses_of(Pooled(8), features, same)[-1] == pytest.approx(np.log(2), abs=1e-3)


def test_a_tower_without_the_parts_that_its_encoder_reads_says_so():
    tower = Tower({"text": PartsEncoder(4, 8)}, CrossModalFusion(8))
    with pytest.raises(ValueError, match=r"\['text_parts'\] is missing"):
        tower({"text": tf.ones([1, 4])})


def test_a_trained_model_gives_vectors_and_parts_in_one_pass(monkeypatch):
    model = TextEncoder.from_pretrained("tiny", max_tokens=8, trainable_layers=1)
    encoder = ModelEncoder(model, 4, parts=True)
    rows = model.to_rows(tf.constant(["a toy", "", "one two"]))
    encoder.adapt(rows.numpy())
    passes = []
    original = Transformer.hidden
    monkeypatch.setattr(Transformer, "hidden", lambda *a: passes.append(len(a[1])) or original(*a))
    with tf.GradientTape() as tape:
        vector, (parts, there) = encoder(rows, training=True)
        loss = tf.reduce_sum(tf.where(there[..., tf.newaxis], parts, 0.0) ** 2)
    assert passes == [2]
    assert (vector.shape, parts.shape) == ((3, 4), (3, 6, 4))
    assert not vector[1].numpy().any()
    assert not there[1].numpy().any()
    moved = [g for g in tape.gradient(loss, model.trainable_weights) if g is not None]
    assert any(np.abs(tf.convert_to_tensor(g)).max() > 0 for g in moved)
    again = ModelEncoder.from_config(encoder.get_config())
    assert again.parts
    again(rows)
    again.set_weights(encoder.get_weights())
    np.testing.assert_allclose(again(rows)[1][0], encoder(rows)[1][0], atol=1e-6)
