"""Random changes of pictures that a restored training repeats exactly."""

from __future__ import annotations

import math

from tfrec_div._keras import keras, tf
from tfrec_div.draws import counted_step, step_seed


@keras.utils.register_keras_serializable(package="tfrec_div")
class ImageAugmentation(keras.layers.Layer):
    """Flips, turns, zooms and crops pictures at random, in training only.

    The four are one affine map, so a picture is interpolated (bilinear) once; what lies outside the picture is its
    mirror image. The draws depend on a seed and a counted step only, and the count is a weight, so it is in every
    checkpoint: a training that was interrupted goes on with the draws it would have made.

    Args:
        flip: Whether half of the pictures are mirrored left to right.
        rotate: Largest angle in degrees, in [0, 180]; the angle is uniform in ± this.
        zoom: Largest share by which a picture is enlarged or made smaller, in [0, 1).
        crop: Largest share of the width and height that is cut off, in [0, 1); the rest is stretched to full size,
            and where it was cut is uniform.
        seed: Seed of the draws.
        **kwargs: As for any Keras layer.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> layer = ImageAugmentation(flip=True, rotate=10)
        >>> pictures = tf.zeros([2, 32, 32, 3], tf.uint8)
        >>> layer(pictures, training=True).shape, layer(pictures) is pictures
        (TensorShape([2, 32, 32, 3]), True)
    """

    def __init__(
        self,
        flip: bool = True,
        rotate: float = 0.0,
        zoom: float = 0.0,
        crop: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 <= rotate <= 180:
            raise ValueError(f"rotate: expected degrees in [0, 180], got {rotate}")
        for name, share in (("zoom", zoom), ("crop", crop)):
            if not 0 <= share < 1:
                raise ValueError(f"{name}: expected a share in [0, 1), got {share}")
        self.flip, self.rotate, self.zoom, self.crop, self.seed = flip, rotate, zoom, crop, seed
        self.step = counted_step(self)

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Changes pictures [batch, height, width, channels] of any number type when `training` is true."""
        if not training or not (self.flip or self.rotate or self.zoom or self.crop):
            return images
        seed = step_seed(self.seed, self.step)
        self.step.assign_add(1)
        batch = tf.shape(images)[0]
        draws = tf.random.stateless_uniform([6, batch], seed, -1.0, 1.0)
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),
            transforms=self._transforms(draws, tf.cast(tf.shape(images)[1:3], tf.float32)),
            output_shape=tf.shape(images)[1:3],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )
        moved = tf.ensure_shape(moved, images.shape)
        if images.dtype.is_integer:
            moved = tf.round(moved)
        return tf.cast(moved, images.dtype)

    def _transforms(self, draws: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Returns where each place of the output is looked up in the input, float [batch, 8]."""
        flip, rotate, zoom, crop, right, down = tf.unstack(draws)
        mirror = tf.where((flip < 0) & self.flip, -1.0, 1.0)
        angle = rotate * self.rotate * math.pi / 180
        kept = 1 - self.crop * (crop + 1) / 2
        scale = kept * (1 + self.zoom * zoom)
        height, width = (size[0] - 1) / 2, (size[1] - 1) / 2
        # About the centre of the picture, which a crop moves by at most half of what it cuts off.
        cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
        centre_x, centre_y = width * (1 + (1 - kept) * right), height * (1 + (1 - kept) * down)
        row_x = [cos * mirror, -sin, centre_x - cos * mirror * width + sin * height]
        row_y = [sin * mirror, cos, centre_y - sin * mirror * width - cos * height]
        nothing = tf.zeros_like(angle)
        return tf.stack([*row_x, *row_y, nothing, nothing], axis=1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {"flip": self.flip, "rotate": self.rotate, "zoom": self.zoom, "crop": self.crop}
        return {**super().get_config(), **config, "seed": self.seed}
