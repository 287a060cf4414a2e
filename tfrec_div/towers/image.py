"""A ResNet50 that reads encoded pictures: the image tower."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.precision import precision_scope
from tfrec_div.towers.cache import ContentError, Contents
from tfrec_div.towers.content_encoder import ContentEncoder, Progress
from tfrec_div.towers.pretrained import IMAGE_OPTIONS, PretrainedImage, find_image_weights

BACKBONES = {
    "mobilenet_v2": functools.partial(keras.applications.MobileNetV2, alpha=0.35),
    "resnet50": keras.applications.ResNet50,
}
_PREPROCESS = {
    "mobilenet_v2": keras.applications.mobilenet_v2.preprocess_input,
    "resnet50": keras.applications.resnet50.preprocess_input,
}


# A picture's regions that a fusion of tokens with regions reads: this many in a row and in a column.
MAX_GRID = 7


@keras.utils.register_keras_serializable(package="tfrec_div")
class ImageEncoder(ContentEncoder):
    """Encode JPEG or PNG bytes by a ResNet50: `[batch]` → `[batch, dim]`.

    The vector is the global average of the last feature map (He et al. 2016). Decoding, resizing (bilinear
    with antialiasing, to a square) and preprocessing are in the graph. Weights are looked for when the
    constructor names them; `get_config` names none, so that a restored encoder takes them from `load_weights`
    or `set_weights`. Batch normalisation in a frozen stage uses its stored statistics. A missing picture does not
    reach the network.

    Args:
        size: Height and width that pictures are resized to, in pixels, at least 32.
        weights: `"imagenet"`, the path of an `.h5` weights file without the top layer, what
            `find_image_weights` found, or `None` for random weights made from `seed`.
        backbone: `"resnet50"`, or `"mobilenet_v2"` (alpha 0.35; small, no published weights known here).
        seed: Seed of the random weights.
        trainable_from: The first stage that training changes, such as `"conv5"` or `"conv4"` of a ResNet50 or
            `"block_13"` of a MobileNetV2; `"all"`, or `None`: frozen.
        augment: Layer that changes uint8 pictures `[batch, size, size, 3]` in training, such as
            `ImageAugmentation`; not for a frozen encoder, whose vectors are made once.
        trainable: Short for `trainable_from="all"`.

    Raises:
        FileNotFoundError: The weights are not on this machine and cannot be downloaded.
        ValueError: An unknown backbone or stage, a size below 32, a file with other weights, or augmentation of a
            frozen encoder.

    Example:
        >>> encoder = ImageEncoder(size=32, weights=None)
        >>> picture = tf.io.encode_jpeg(tf.zeros([48, 32, 3], tf.uint8))
        >>> vectors = encoder(tf.stack([picture, tf.constant(b"")]))
        >>> vectors.shape, float(tf.norm(vectors[1]))
        (TensorShape([2, 2048]), 0.0)
    """

    def __init__(
        self,
        size: int = 224,
        weights: str | os.PathLike | PretrainedImage | None = "imagenet",
        backbone: str = "resnet50",
        seed: int = 0,
        trainable_from: str | None = None,
        augment: keras.layers.Layer | None = None,
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, got {backbone!r}")
        if size < 32:
            raise ValueError(f"size: expected at least 32 pixels, got {size}")
        if trainable and trainable_from is None:
            trainable_from = "all"
        if augment is not None and trainable_from is None:
            raise ValueError('augment: acts in training only, so it needs trainable_from (a stage or "all")')
        if backbone != "resnet50" and weights == "imagenet":
            raise ValueError(
                f"weights: no ImageNet weights of a {backbone} are known; name an .h5 file, or None"
            )
        found = weights if isinstance(weights, PretrainedImage) else find_image_weights(weights)
        if weights is not None and found is None:
            raise FileNotFoundError(
                f"image weights {weights!r}: not to be had on this machine; use {IMAGE_OPTIONS}"
            )
        self.size = size
        self.backbone = backbone
        self.seed = seed
        with precision_scope(self.dtype_policy.name):
            self.network = BACKBONES[backbone](
                include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
            )
        if found is None:
            _randomize(self.network, seed)
        else:
            try:
                self.network.load_weights(str(found.weights))
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"{found.weights}: no weights of a {backbone} without its top layer: {error}"
                ) from error
        self.trainable_from = trainable_from
        self.augment = augment
        self._freeze()
        self.built = True

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.network.output_shape[-1]

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode a batch.

        Args:
            images: Encoded pictures, strings `[batch]`; `b""` is a missing one.
            training: Whether batch normalisation uses the batch's statistics; never while frozen.

        Returns:
            Vectors float32 `[batch, dim]`; a missing picture has the zero vector.
        """
        images = tf.convert_to_tensor(images)
        if self.trained:
            return self.encode_rows(self.to_rows(images), training)
        return self._where(
            tf.strings.length(images) > 0, images, lambda there: self._vectors(self._decoded(there), False)
        )

    @property
    def trained(self) -> bool:
        """Whether training changes some of the weights; then a tower runs it on `to_rows` of the pictures."""
        return self.trainable_from is not None

    @property
    def row_spec(self) -> tuple[tuple[int, ...], str]:
        """Shape and type of what `to_rows` makes of a picture."""
        return (self.size, self.size, 3), "uint8"

    def to_rows(self, images: tf.Tensor) -> tf.Tensor:
        """Decode pictures, strings `[batch]`, to uint8 `[batch, size, size, 3]`; zeros for a missing one."""

        def pixels(there: tf.Tensor) -> tf.Tensor:
            # From 1 on, so that a black picture is not a missing one.
            return tf.cast(tf.clip_by_value(tf.round(self._decoded(there)), 1.0, 255.0), tf.uint8)

        return self._where(tf.strings.length(images) > 0, images, pixels, self.row_spec[0])

    @staticmethod
    def present(rows: tf.Tensor) -> tf.Tensor:
        """Tell which rows `[batch, size, size, 3]` hold a picture, bool `[batch]`."""
        return rows[:, 0, 0, 0] > 0

    def encode_rows(
        self, rows: tf.Tensor, training: bool | None = None, step: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Encode what `to_rows` made.

        Args:
            rows: Uint8 `[batch, size, size, 3]`.
            training: Whether to augment, and whether batch normalisation in trainable stages uses the batch's
                statistics; never while frozen.
            step: Not needed: the augmentation counts its own steps.

        Returns:
            Vectors float32 `[batch, dim]`; a missing picture has the zero vector.
        """
        training = bool(training) and self.trainable
        return self._where(
            self.present(rows), rows, lambda there: self._vectors(self._augmented(there, training), training)
        )

    @property
    def max_parts(self) -> int:
        """Regions of a picture that `encode_parts` gives: the last feature map's, at most 7 by 7."""
        return min(self._side, MAX_GRID) ** 2

    def encode_parts(
        self, rows: tf.Tensor, training: bool | None = None, step: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encode what `to_rows` made, and its regions, in one pass.

        Args:
            rows: As for `encode_rows`.
            training: As for `encode_rows`.
            step: As for `encode_rows`.

        Returns:
            Vectors float32 `[batch, dim]`, and the regions float32 `[batch, max_parts, dim]`, row by row, each of
            length 1; zeros for a missing picture. A larger feature map is averaged down to 7 by 7.
        """
        training = bool(training) and self.trainable
        side, grid = self._side, min(self._side, MAX_GRID)

        def maps(there: tf.Tensor) -> tf.Tensor:
            return self._run_network(self._maps, self._augmented(there, training), training)

        found = self._where(self.present(rows), rows, maps, (side, side, self.dim))
        regions = tf.image.resize(found, [grid, grid], method="area") if grid < side else found
        regions = tf.reshape(regions, [-1, grid * grid, self.dim])
        # Activations of random weights are small: only what is zero shall stay zero.
        regions = tf.math.l2_normalize(regions, axis=2, epsilon=1e-24)
        return tf.reduce_mean(found, axis=[1, 2]), regions

    def _augmented(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        rows = rows if self.augment is None else self.augment(rows, training=training)
        return tf.cast(rows, tf.float32)

    # A function, so that Keras does not find the network's layers twice when it saves.
    @functools.cached_property
    def _maps(self) -> Callable[..., tf.Tensor]:
        """The network without its last layer, the average over the last feature map."""
        maps = keras.Model(self.network.inputs, self.network.layers[-2].output)
        return lambda pixels, training: maps(pixels, training=training)

    @property
    def _side(self) -> int:
        return self.network.layers[-2].output_shape[1]

    def _where(self, mask: tf.Tensor, inputs: tf.Tensor, function, shape: tuple[int, ...] = ()) -> tf.Tensor:
        """Applies a function where the mask is true; zeros elsewhere."""
        place = tf.where(mask)
        found = function(tf.gather(inputs, place[:, 0]))
        shape = shape or (self.dim,)
        rows = tf.shape(inputs, tf.int64)[:1]
        return tf.ensure_shape(tf.scatter_nd(place, found, tf.concat([rows, shape], axis=0)), [None, *shape])

    def _decoded(self, images: tf.Tensor) -> tf.Tensor:
        spec = tf.TensorSpec([self.size, self.size, 3], tf.float32)
        return tf.map_fn(self._decode, images, fn_output_signature=spec)

    def _vectors(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        return self._run_network(self.network, pixels, training)

    def _run_network(self, network: Callable[..., tf.Tensor], pixels: tf.Tensor, training: bool) -> tf.Tensor:
        # Convolutions fail on an empty batch: a grey picture stands in for one.
        count = tf.shape(pixels)[0]
        blank = tf.fill([tf.cast(count == 0, tf.int32), self.size, self.size, 3], 128.0)
        pixels = tf.concat([pixels, blank], axis=0)
        vectors = network(_PREPROCESS[self.backbone](pixels), training=training)
        return tf.cast(vectors, tf.float32)[:count]

    def _freeze(self) -> None:
        """Leaves trainable what `trainable_from` says."""
        self.trainable = self.trained
        if self.trainable_from in (None, "all"):
            return
        names = [layer.name for layer in self.network.layers]
        stages = list(dict.fromkeys(_stage(name) for name in names if _stage(name)))
        if self.trainable_from not in stages:
            raise ValueError(
                f"trainable_from: expected 'all' or a stage of {self.backbone} ({', '.join(stages)}), "
                f"got {self.trainable_from!r}"
            )
        first = [_stage(name) for name in names].index(self.trainable_from)
        for layer in self.network.layers[:first]:
            layer.trainable = False

    def encode(self, images: Contents, batch_size: int = 32, progress: Progress = True) -> np.ndarray:
        """Encode many pictures; each is asked for when its batch comes, so `images` may read them from disk.

        Args:
            images: `n` encoded pictures; anything with `len` and `[row]`.
            batch_size: Pictures in a batch.
            progress: Whether to show a bar; or a function that is called with the number of pictures done
                since.

        Returns:
            Vectors float32 `[n, dim]`.

        Raises:
            ContentError: A picture does not decode; the message tells which.
        """
        return self._in_batches(images, self._encode_present, batch_size, progress, "image")

    def _encode_present(self, batch: list[bytes], start: int) -> np.ndarray:
        vectors = np.zeros([len(batch), self.dim], np.float32)
        rows = [row for row, image in enumerate(batch) if image]
        if rows:
            vectors[rows] = self._encode_batch([batch[row] for row in rows], start, rows)
        return vectors

    def fingerprint(self) -> str:
        """Return a SHA-256 of all that decides the vectors: the weights, the backbone and the size."""
        digest = hashlib.sha256(json.dumps([self.backbone, self.size, "bilinear antialias"]).encode())
        for weight in self.network.get_weights():
            digest.update(f"{weight.dtype}{weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def get_config(self) -> dict:
        """Return the constructor's arguments, without the weights."""
        return {
            "name": self.name,
            "size": self.size,
            "weights": None,
            "backbone": self.backbone,
            "seed": self.seed,
            "trainable_from": self.trainable_from,
            "dtype": self.dtype_policy.name,
            "augment": self.augment and keras.layers.serialize(self.augment),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ImageEncoder:
        """Make an encoder of what `get_config` returned."""
        augment = config.get("augment")
        return cls(**{**config, "augment": augment and keras.layers.deserialize(augment, custom_objects)})

    def _decode(self, image: tf.Tensor) -> tf.Tensor:
        shape = [self.size, self.size, 3]

        def decode() -> tf.Tensor:
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
            return tf.ensure_shape(tf.image.resize(pixels, shape[:2], antialias=True), shape)

        return tf.cond(tf.strings.length(image) > 0, decode, lambda: tf.zeros(shape))

    def rows_of(self, images: Contents, batch_size: int = 64) -> np.ndarray:
        """Decode many pictures as `to_rows` does, uint8 `[n, size, size, 3]`.

        Raises:
            ContentError: A picture does not decode; the message tells which.
        """
        rows = np.zeros([len(images), *self.row_spec[0]], np.uint8)
        for start in range(0, len(images), batch_size):
            stop = min(start + batch_size, len(images))
            batch = [images[row] for row in range(start, stop)]
            rows[start:stop] = self._run(self._to_rows, batch, start, list(range(len(batch))))
        return rows

    def _encode_batch(self, batch: list[bytes], start: int, rows: list[int]) -> np.ndarray:
        return self._run(self._encode, batch, start, rows)

    def _run(self, function: Callable, batch: list[bytes], start: int, rows: list[int]) -> np.ndarray:
        try:
            return function(tf.constant(batch, tf.string)).numpy()
        except tf.errors.InvalidArgumentError as error:
            for row, image in zip(rows, batch, strict=True):
                try:
                    self._decode(tf.constant(image))
                except tf.errors.InvalidArgumentError as reason:
                    # Without the names of TensorFlow's nodes.
                    words = reason.message.split("}} ")[-1].split(" [Op:")[0]
                    raise ContentError(start + row, words) from error
            raise

    # Kept out of Keras' sight (a cached property goes to the instance's dictionary directly), so that an
    # export does not hold it as well.
    @functools.cached_property
    def _encode(self) -> Callable[[tf.Tensor], tf.Tensor]:
        strings = tf.TensorSpec([None], tf.string)
        return tf.function(lambda images: self(images, training=False), input_signature=[strings])

    @functools.cached_property
    def _to_rows(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return tf.function(self.to_rows, input_signature=[tf.TensorSpec([None], tf.string)])


def _stage(name: str) -> str:
    """Returns the stage that a backbone's layer belongs to, "" for one before or after all stages."""
    found = re.match(r"(conv\d|block_\d+)_", name)
    return found.group(1) if found else ""


def _randomize(network: keras.Model, seed: int) -> None:
    # From NumPy, since TensorFlow's own generator depends on the state of the program. Only the kernels are
    # random; biases and batch normalisation keep their constant start. Glorot's scale, as ResNet50 has by
    # default.
    random = np.random.default_rng(seed)
    for variable in network.trainable_weights:
        if variable.shape.rank > 1:
            *receptive, fan_in, fan_out = variable.shape
            limit = np.sqrt(6.0 / (np.prod(receptive) * (fan_in + fan_out)))
            variable.assign(random.uniform(-limit, limit, variable.shape).astype(np.float32))


def image_encoder_of(image: str | ImageEncoder | None) -> ImageEncoder | None:
    """Returns the encoder that a model's argument `image` asks for.

    Args:
        image: "resnet50" (ImageNet weights), an encoder, or None.

    Raises:
        ValueError: If it is none of these.
    """
    if image is None or isinstance(image, ImageEncoder):
        return image
    if image != "resnet50":
        raise ValueError(f"image: expected 'resnet50', an ImageEncoder or None, got {image!r}")
    return ImageEncoder()
