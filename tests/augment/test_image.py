from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.augment.image import ImageAugmentation

PICTURES = tf.constant(np.random.default_rng(0).integers(1, 256, (64, 16, 16, 3), dtype=np.uint8))


def test_nothing_happens_outside_training():
    layer = ImageAugmentation(rotate=30, zoom=0.3, crop=0.3)
    np.testing.assert_array_equal(layer(PICTURES), PICTURES)
    np.testing.assert_array_equal(layer(PICTURES, training=False), PICTURES)
    assert int(layer.step) == 0


def test_a_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others():
    flipped = ImageAugmentation()(PICTURES, training=True).numpy()
    same = (flipped == PICTURES.numpy()).all(axis=(1, 2, 3))
    mirrored = (flipped == PICTURES.numpy()[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 15 < mirrored.sum() < 49


def test_a_rotation_keeps_the_centre_and_turns_the_rest():
    # A bright column through the centre of 15 pixels stays through the centre at every angle.
    lines = np.zeros((40, 15, 15, 1), np.float32)
    lines[:, :, 7] = 1
    turned = ImageAugmentation(flip=False, rotate=90)(lines, training=True).numpy()[..., 0]
    np.testing.assert_allclose(turned[:, 7, 7], 1, atol=1e-5)
    # The inertia of the line over both axes is that of its angle, which covers ± 90 degrees.
    y, x = np.mgrid[-7:8, -7:8]
    disc = turned * (x**2 + y**2 < 25)
    share = (disc * x**2).sum((1, 2)) / (disc * (x**2 + y**2)).sum((1, 2))
    assert share.min() < 0.1
    assert share.max() > 0.9


def test_a_zoom_changes_the_size_of_what_is_shown():
    square = np.zeros((60, 33, 33, 1), np.float32)
    square[:, 12:21, 12:21] = 1
    areas = ImageAugmentation(flip=False, zoom=0.3)(square, training=True).numpy().sum((1, 2, 3)) / 81
    # A lookup scale s in [0.7, 1.3] makes the area 1/s² of what it was.
    assert areas.min() > 1 / 1.3**2 - 0.1
    assert areas.max() < 1 / 0.7**2 + 0.1
    assert areas.min() < 0.75
    assert areas.max() > 1.5


def test_a_crop_shows_a_part_of_the_picture_and_nothing_beyond_it():
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32)[None, None, :, None], (60, 32, 32, 1))
    cropped = ImageAugmentation(flip=False, crop=0.5)(ramp, training=True).numpy()[:, 16, :, 0]
    left, right = cropped[:, 0], cropped[:, -1]
    assert (left >= -1e-4).all()
    assert (right <= 31 + 1e-4).all()
    shown = (right - left) / 31
    assert 0.5 <= shown.min() + 1e-4 < 0.65
    assert shown.max() > 0.9
    assert left.std() > 2


def test_the_draws_follow_the_seed_and_the_counted_step_only():
    tf.random.set_seed(1)
    first, second = ImageAugmentation(rotate=20), ImageAugmentation(rotate=20)
    a = [first(PICTURES, training=True).numpy() for _ in range(3)]
    assert (a[0] != a[1]).any()
    second.set_weights(first.get_weights())
    first_next, second_next = (layer(PICTURES, training=True).numpy() for layer in (first, second))
    np.testing.assert_array_equal(first_next, second_next)
    second.set_weights([np.int64(0)])
    np.testing.assert_array_equal(second(PICTURES, training=True), a[0])
    assert (ImageAugmentation(rotate=20, seed=1)(PICTURES, training=True).numpy() != a[0]).any()


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_type_and_shape_stay_in_one_graph_for_every_batch(dtype):
    layer = ImageAugmentation(rotate=5, zoom=0.1, crop=0.1)
    spec = tf.TensorSpec([None, 16, 16, 3], dtype)
    graph = tf.function(lambda x: layer(x, training=True), input_signature=[spec])
    for size in (0, 1, 5):
        out = graph(tf.cast(PICTURES[:size], dtype))
        assert out.shape == (size, 16, 16, 3)
        assert out.dtype == dtype
    assert graph.experimental_get_tracing_count() == 1


def test_it_works_under_a_strategy():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        layer = ImageAugmentation()
    out = strategy.run(tf.function(lambda: layer(PICTURES, training=True)))
    assert out.shape == PICTURES.shape
    assert int(layer.step) == 1


def test_the_config_makes_the_same_layer():
    layer = ImageAugmentation(flip=False, rotate=3, zoom=0.2, crop=0.1, seed=4)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize("change", [{"rotate": 181}, {"rotate": -1}, {"zoom": 1.0}, {"crop": -0.1}])
def test_impossible_settings_are_refused_by_name(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        ImageAugmentation(**change)
