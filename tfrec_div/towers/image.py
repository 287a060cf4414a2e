"""A ResNet50 that reads encoded pictures: the frozen image tower."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.towers.cache import ContentError, Contents
from tfrec_div.towers.pretrained import IMAGE_OPTIONS, PretrainedImage, find_image_weights

BACKBONES = {"resnet50": keras.applications.ResNet50}
_PREPROCESS = {"resnet50": keras.applications.resnet50.preprocess_input}


@keras.utils.register_keras_serializable(package="tfrec_div")
class ImageEncoder(keras.Model):
    """Encode JPEG or PNG bytes by a ResNet50: `[batch]` → `[batch, dim]`.

    The vector is the global average of the last feature map (He et al. 2016). Decoding, resizing (bilinear
    with antialiasing, to a square) and preprocessing are in the graph. Weights are looked for when the
    constructor names them; `get_config` names none, so that a restored encoder takes them from `load_weights`
    or `set_weights`. It is frozen unless `trainable=True`, and a frozen encoder's batch normalisation uses
    its stored statistics.

    Args:
        size: Height and width that pictures are resized to, in pixels, at least 32.
        weights: `"imagenet"`, the path of an `.h5` weights file without the top layer, what
            `find_image_weights` found, or `None` for random weights made from `seed`.
        backbone: `"resnet50"`.
        seed: Seed of the random weights.
        trainable: Whether training changes the weights.

    Raises:
        FileNotFoundError: The weights are not on this machine and cannot be downloaded.
        ValueError: An unknown backbone, a size below 32, or a file with other weights.

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
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, got {backbone!r}")
        if size < 32:
            raise ValueError(f"size: expected at least 32 pixels, got {size}")
        found = weights if isinstance(weights, PretrainedImage) else find_image_weights(weights)
        if weights is not None and found is None:
            raise FileNotFoundError(
                f"image weights {weights!r}: not to be had on this machine; use {IMAGE_OPTIONS}"
            )
        self.size = size
        self.backbone = backbone
        self.seed = seed
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
        self.trainable = trainable
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
        pixels = tf.map_fn(
            self._decode, images, fn_output_signature=tf.TensorSpec([self.size, self.size, 3], tf.float32)
        )
        vectors = self.network(
            _PREPROCESS[self.backbone](pixels), training=training if self.trainable else False
        )
        present = tf.strings.length(images)[:, tf.newaxis] > 0
        return tf.where(present, tf.cast(vectors, tf.float32), 0.0)

    def build(self, input_shape: tuple) -> None:
        """Do nothing: the weights are there, and Keras' own would try with numbers where strings belong."""

    def compute_output_shape(self, input_shape: tuple) -> tf.TensorShape:
        """Return `[batch, dim]`."""
        return tf.TensorShape([input_shape[0], self.dim])

    def encode(
        self, images: Contents, batch_size: int = 32, progress: bool | Callable[[int], object] = True
    ) -> np.ndarray:
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
        vectors = np.zeros([len(images), self.dim], np.float32)
        with tqdm(
            total=len(images), unit="image", desc="Encoding images", disable=progress is not True
        ) as bar:
            advance = progress if callable(progress) else bar.update
            for start in range(0, len(images), batch_size):
                stop = min(start + batch_size, len(images))
                batch = [images[row] for row in range(start, stop)]
                rows = [row for row, image in enumerate(batch) if image]
                if rows:
                    vectors[start + np.array(rows)] = self._encode_batch(
                        [batch[row] for row in rows], start, rows
                    )
                advance(stop - start)
        return vectors

    def fingerprint(self) -> str:
        """Return a SHA-256 of all that decides the vectors: the weights, the backbone and the size."""
        digest = hashlib.sha256(json.dumps([self.backbone, self.size, "bilinear antialias"]).encode())
        for weight in self.get_weights():
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
            "trainable": self.trainable,
        }

    def _decode(self, image: tf.Tensor) -> tf.Tensor:
        shape = [self.size, self.size, 3]

        def decode() -> tf.Tensor:
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
            return tf.ensure_shape(tf.image.resize(pixels, shape[:2], antialias=True), shape)

        return tf.cond(tf.strings.length(image) > 0, decode, lambda: tf.zeros(shape))

    def _encode_batch(self, batch: list[bytes], start: int, rows: list[int]) -> np.ndarray:
        try:
            return self._encode(tf.constant(batch, tf.string)).numpy()
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
