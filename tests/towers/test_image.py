from __future__ import annotations

import io
import json

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.towers import image as image_module
from tfrec_div.towers.cache import ContentError, encode_cached
from tfrec_div.towers.image import ImageEncoder

Image = pytest.importorskip("PIL.Image")


def picture(size: tuple[int, int] = (32, 32), seed: int = 0, kind: str = "PNG", mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder(size=32, weights=None)


def by_keras(encoder: ImageEncoder, data: bytes) -> np.ndarray:
    """The vector of a picture of the encoder's own size: decoded by Pillow, the rest by Keras."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)[None]
    return encoder.network(keras.applications.resnet50.preprocess_input(pixels), training=False).numpy()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_vectors_are_those_of_keras_own_steps(encoder, mode):
    data = picture(mode=mode)
    np.testing.assert_allclose(encoder(tf.constant([data])), by_keras(encoder, data), rtol=1e-4, atol=1e-4)


def test_a_jpeg_is_read_like_the_picture_it_shows(encoder):
    file = io.BytesIO()
    Image.new("RGB", (40, 56), (200, 100, 50)).save(file, "JPEG", quality=95)
    plain = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 100, 50)).save(plain, "PNG")
    a, b = encoder(tf.constant([file.getvalue(), plain.getvalue()])).numpy()
    np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05)


def test_a_missing_picture_has_the_zero_vector_and_leaves_others_alone(encoder):
    data = picture()
    vectors = encoder(tf.constant([b"", data, b""])).numpy()
    assert vectors.shape == (3, 2048)
    assert vectors.dtype == np.float32
    assert not vectors[[0, 2]].any()
    np.testing.assert_allclose(vectors[1:2], by_keras(encoder, data), rtol=1e-4, atol=1e-4)


def test_pictures_of_any_size_share_a_batch_and_one_graph(encoder):
    graph = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    images = [
        picture((20, 50), 1),
        picture((64, 33), 2, "JPEG"),
        picture((1, 1), 3),
        picture((9, 9), 4, "GIF"),
    ]
    vectors = graph(tf.constant(images)).numpy()
    for row, data in enumerate(images):
        np.testing.assert_allclose(graph(tf.constant([data])), vectors[row : row + 1], rtol=1e-4, atol=1e-4)
    assert graph.experimental_get_tracing_count() == 1


def test_it_is_frozen_and_batch_normalisation_with_it(encoder):
    assert encoder.trainable_weights == []
    before = encoder.fingerprint()
    images = tf.constant([picture(), picture(seed=1)])
    np.testing.assert_array_equal(encoder(images, training=True), encoder(images, training=False))
    assert encoder.fingerprint() == before


def test_random_weights_and_the_fingerprint_depend_on_the_settings_only(encoder):
    keras.utils.set_random_seed(5)
    assert ImageEncoder(size=32, weights=None, name="other").fingerprint() == encoder.fingerprint()
    assert ImageEncoder(size=33, weights=None).fingerprint() != encoder.fingerprint()
    assert ImageEncoder(size=32, weights=None, seed=1).fingerprint() != encoder.fingerprint()


def test_a_restored_encoder_looks_for_no_weights(encoder, monkeypatch):
    monkeypatch.setattr(image_module, "find_image_weights", lambda w: w and pytest.fail("looked for weights"))
    changed = ImageEncoder(size=32, weights=None, seed=3)
    copy = ImageEncoder.from_config(json.loads(json.dumps(changed.get_config())))
    copy.set_weights(encoder.get_weights())
    assert copy.fingerprint() == encoder.fingerprint()
    assert copy.get_config() == changed.get_config()


def test_weights_come_from_a_keras_file(encoder, tmp_path):
    network = keras.applications.ResNet50(include_top=False, weights=None, pooling="avg")
    network.save_weights(tmp_path / "weights.h5")
    loaded = ImageEncoder(size=32, weights=tmp_path / "weights.h5")
    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    (tmp_path / "other.h5").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"other\.h5: no weights of a resnet50"):
        ImageEncoder(size=32, weights=tmp_path / "other.h5")


@pytest.mark.slow
def test_it_is_a_layer_of_a_keras_model_that_is_saved_and_loaded(encoder, tmp_path):
    inputs = keras.Input([], dtype=tf.string)
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = tf.constant([picture(), b""])
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-5)


def test_encode_reads_a_picture_when_its_batch_comes(encoder):
    events = []

    class Pictures:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, row: int) -> bytes:
            events.append(row)
            return b"" if row == 3 else picture(seed=row)

    vectors = encoder.encode(Pictures(), batch_size=2, progress=lambda done: events.append(f"{done} done"))
    assert events == [0, 1, "2 done", 2, 3, "2 done", 4, "1 done"]
    assert not vectors[3].any()
    expected = encoder(tf.constant([picture(seed=row) for row in range(5)])).numpy()
    np.testing.assert_allclose(vectors[[0, 1, 2, 4]], expected[[0, 1, 2, 4]], rtol=1e-4, atol=1e-4)


def test_nothing_is_encoded_to_nothing(encoder):
    assert encoder.encode([], progress=False).shape == (0, 2048)


def test_a_picture_that_does_not_decode_is_named(encoder, tmp_path):
    images = [picture(), b"", picture(), b"no picture", picture(seed=1)]
    with pytest.raises(ContentError, match="content 3 cannot be encoded: Unknown image file format"):
        encoder.encode(images, batch_size=2, progress=False)
    with pytest.raises(ContentError, match="content 3 cannot"):
        encode_cached(encoder, images, tmp_path, progress=False)


def test_weights_that_are_nowhere_list_the_options(monkeypatch):
    monkeypatch.setattr(image_module, "find_image_weights", lambda weights: None)
    with pytest.raises(FileNotFoundError, match=r"'imagenet'.*path.*None"):
        ImageEncoder(size=32)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"size": 31}, "at least 32 pixels, got 31"), ({"backbone": "vgg"}, "resnet50, got 'vgg'")],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(weights=None, **change)


@pytest.fixture(scope="module")
def small() -> ImageEncoder:
    return ImageEncoder(32, None, "mobilenet_v2", trainable_from="block_15")


def test_an_empty_batch_and_one_without_any_picture_are_encoded(small):
    frozen = ImageEncoder(32, None, "mobilenet_v2")
    graph = tf.function(frozen, input_signature=[tf.TensorSpec([None], tf.string)])
    for encode in (frozen, graph, small):
        assert encode(tf.constant([], tf.string)).shape == (0, 1280)
        vectors = encode(tf.constant([b"", b""])).numpy()
        assert vectors.shape == (2, 1280)
        assert not vectors.any()


def test_training_changes_the_stages_from_the_named_one_on_and_no_statistics_below():
    encoder = ImageEncoder(32, None, "mobilenet_v2", trainable_from="block_16")
    images = tf.constant([picture(seed=seed) for seed in range(4)])
    before = {weight.name: weight.numpy().copy() for weight in encoder.weights}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(encoder(images, training=True)))
    gradients = tape.gradient(loss, encoder.trainable_weights)
    assert all(gradient is not None for gradient in gradients)
    names = {weight.name.split("/")[0] for weight in encoder.trainable_weights}
    # After its stages, the network has one more convolution.
    assert {name for name in names if not name.startswith("block_16_")} == {"Conv_1", "Conv_1_bn"}
    moved = {w.name.split("/")[0] for w in encoder.weights if (w.numpy() != before[w.name]).any()}
    assert moved == {"block_16_expand_BN", "block_16_depthwise_BN", "block_16_project_BN", "Conv_1_bn"}


def test_stages_of_a_resnet50_are_known_by_name(encoder):
    fifth = ImageEncoder(32, None, trainable_from="conv5")
    trained = {weight.name.split("_")[0] for weight in fifth.trainable_weights}
    assert trained == {"conv5"}
    # Three blocks of three convolutions and one for the shortcut, each with bias and normalisation: He et al.
    assert len(fifth.trainable_weights) == (3 * 3 + 1) * 4
    assert fifth.fingerprint() == encoder.fingerprint()
    with pytest.raises(
        ValueError, match=r"a stage of resnet50 \(conv1, conv2, conv3, conv4, conv5\), got 'conv6'"
    ):
        ImageEncoder(32, None, trainable_from="conv6")


def test_rows_of_pixels_give_the_vectors_of_the_files(small):
    black = tf.io.encode_png(tf.zeros([32, 32, 3], tf.uint8)).numpy()
    images = [picture((40, 30), 1, "JPEG"), b"", black, picture(seed=2)]
    rows = small.to_rows(tf.constant(images))
    assert rows.dtype == tf.uint8
    assert rows.shape == (4, 32, 32, 3)
    assert small.present(rows).numpy().tolist() == [True, False, True, True]
    np.testing.assert_allclose(small.encode_rows(rows), small(tf.constant(images)), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(small.rows_of(images, batch_size=3), rows)
    # Rounding to whole pixels changes little.
    frozen = ImageEncoder(32, None, "mobilenet_v2")
    np.testing.assert_allclose(frozen(tf.constant(images)), small(tf.constant(images)), atol=0.05)
    with pytest.raises(ContentError, match="content 1 cannot be encoded"):
        small.rows_of([b"", b"no picture"])


def test_augmentation_needs_training_and_travels_in_the_config():
    from tfrec_div.augment.image import ImageAugmentation

    augment = ImageAugmentation(rotate=20)
    with pytest.raises(ValueError, match="augment: acts in training only, so it needs trainable_from"):
        ImageEncoder(32, None, "mobilenet_v2", augment=augment)
    encoder = ImageEncoder(32, None, "mobilenet_v2", trainable_from="all", augment=augment)
    copy = ImageEncoder.from_config(json.loads(json.dumps(encoder.get_config())))
    assert copy.get_config() == encoder.get_config()
    assert copy.fingerprint() == encoder.fingerprint()
    images = tf.constant([picture()])
    np.testing.assert_array_equal(encoder(images), encoder(images))
    assert int(augment.step) == 0
    encoder(images, training=True)
    assert int(augment.step) == 1


def test_no_weights_of_imagenet_are_known_for_a_mobilenet():
    with pytest.raises(ValueError, match="weights: no ImageNet weights of a mobilenet_v2"):
        ImageEncoder(32, backbone="mobilenet_v2")
