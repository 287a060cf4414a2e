"""What the encoders of texts and pictures have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.towers.cache import Contents

Progress = bool | Callable[[int], object]


class ContentEncoder(keras.Model):
    """Base of the models that turn strings (texts, encoded pictures) into vectors: `[batch]` → `[batch, dim]`.

    Their weights exist when the constructor has ended. A subclass has `dim`, and may go through many contents with
    `_in_batches`.
    """

    def build(self, input_shape: tuple) -> None:
        """Do nothing: the weights are there, and Keras' own would try with numbers where strings belong."""

    def compute_output_shape(self, input_shape: tuple) -> tf.TensorShape:
        """Return `[batch, dim]`."""
        return tf.TensorShape([input_shape[0], self.dim])

    def _in_batches(
        self,
        contents: Contents,
        encode: Callable[[list, int], np.ndarray],
        batch_size: int,
        progress: Progress,
        unit: str,
    ) -> np.ndarray:
        """Encode many contents, each read when its batch comes, so that `contents` may read them from disk.

        Args:
            contents: `n` contents.
            encode: Takes the contents of a batch and the row of the first one to vectors.
            batch_size: Contents in a batch.
            progress: Whether to show a bar; or a function that is called with the number of contents done since.
            unit: What a content is called.

        Returns:
            Vectors float32 `[n, dim]`.
        """
        vectors = np.zeros([len(contents), self.dim], np.float32)
        title = f"Encoding {unit}s"
        with tqdm(total=len(contents), unit=unit, desc=title, disable=progress is not True) as bar:
            advance = progress if callable(progress) else bar.update
            for start in range(0, len(contents), batch_size):
                batch = [contents[row] for row in range(start, min(start + batch_size, len(contents)))]
                vectors[start : start + len(batch)] = encode(batch, start)
                advance(len(batch))
        return vectors
