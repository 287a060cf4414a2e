"""Item vectors to look at in TensorBoard's projector."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from PIL import Image, ImageOps
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tfrec_div._keras import keras
from tfrec_div.data.catalog import Catalog

CONFIG = "projector_config.pbtxt"
# Where TensorBoard's page gives up: a texture of 8,192 pixels a side.
LARGEST_SIDE = 8192


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes the item vectors at the end of a training, with titles, categories and thumbnails.

    TensorBoard looks for the projector's file in the log directory itself and in each run below it; here it goes into
    the log directory itself, where it is found with and without other runs. A TensorBoard that was started before the
    file was there shows it after a restart.

    Args:
        catalog: The items, in the order of the model's rows.
        log_dir: TensorBoard's log directory.
        max_items: At most so many items, drawn by a fixed seed; a browser is slow with many more.
        thumbnail: Height and width of a thumbnail in pixels; pictures of different shapes are fitted in.

    Raises:
        ValueError: If the thumbnails of `max_items` would not fit in one picture that browsers take.
    """

    def __init__(self, catalog: Catalog, log_dir: str | Path, max_items: int = 5000, thumbnail: int = 48):
        super().__init__()
        if max_items < 1 or thumbnail < 1 or math.ceil(math.sqrt(max_items)) * thumbnail > LARGEST_SIDE:
            raise ValueError(
                f"max_items, thumbnail: expected a square of thumbnails of at most {LARGEST_SIDE} pixels a side, "
                f"got {max_items} of {thumbnail} pixels"
            )
        self.catalog, self.log_dir, self.thumbnail = catalog, Path(log_dir), thumbnail
        self._rows = np.arange(len(catalog))
        if len(catalog) > max_items:
            drawn = np.random.default_rng(0).choice(len(catalog), max_items, replace=False)
            self._rows = np.sort(drawn)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Writes the vectors of the trained model."""
        # The last entry is the bias, which is no place in the space.
        self.write(self.model.item_vectors().numpy()[:, :-1])

    def write(self, vectors: np.ndarray) -> Path:
        """Writes the files; returns the one that TensorBoard looks for.

        Args:
            vectors: Float [items, dim], by row of the catalogue.
        """
        folder = self.log_dir / "projector"
        folder.mkdir(parents=True, exist_ok=True)
        config = ProjectorConfig()
        embedding = config.embeddings.add(
            tensor_name="items",
            tensor_path="projector/items.tsv",
            metadata_path="projector/metadata.tsv",
        )
        # As text: TensorBoard reads numbers in binary only where they happen to be no valid UTF-8.
        np.savetxt(folder / "items.tsv", vectors[self._rows], fmt="%.6g", delimiter="\t")
        (folder / "metadata.tsv").write_text(self._metadata(), "utf-8")
        sprite = self._sprite()
        if sprite is not None:
            sprite.save(folder / "sprite.png", optimize=False)
            embedding.sprite.image_path = "projector/sprite.png"
            embedding.sprite.single_image_dim.extend([self.thumbnail, self.thumbnail])
        path = self.log_dir / CONFIG
        path.write_text(text_format.MessageToString(config), "utf-8")
        return path

    def _metadata(self) -> str:
        titles, name = self.catalog.titles(), self.catalog.category_feature
        columns = {
            "title": [titles[row] for row in self._rows],
            "item_id": self.catalog.ids[self._rows].tolist(),
        }
        if name is not None:
            names = np.asarray(self.catalog.schema.vocabularies[f"item/{name}"], object)
            matrix = self.catalog.category_matrix()[self._rows]
            columns[name] = ["|".join(names[row > 0]) for row in matrix]
            # A page colours points by a column of few values only.
            first = matrix.argmax(axis=1) if matrix.shape[1] else np.zeros(len(matrix), int)
            columns[f"first of {name}"] = [
                names[code] if row.any() else "" for code, row in zip(first, matrix, strict=True)
            ]
        lines = [list(columns), *zip(*columns.values(), strict=True)]
        # One line an item, whatever its title holds.
        return "".join("\t".join(" ".join(str(cell).split()) for cell in line) + "\n" for line in lines)

    def _sprite(self) -> Image.Image | None:
        """Returns the thumbnails in rows from the top left, None when no item has a picture."""
        has = self.catalog.has_image[self._rows]
        if not has.any():
            return None
        side, size = math.ceil(math.sqrt(len(self._rows))), self.thumbnail
        sprite = Image.new("RGB", (side * size, side * size), "white")
        for place in np.flatnonzero(has):
            picture = _thumbnail(self.catalog.image_bytes(int(self._rows[place])), size)
            if picture is not None:
                down, right = divmod(int(place), side)
                left, top = (size - picture.width) // 2, (size - picture.height) // 2
                sprite.paste(picture, (right * size + left, down * size + top))
        return sprite


def _thumbnail(data: bytes, size: int) -> Image.Image | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = Image.open(io.BytesIO(data))
            # A JPEG is decoded at an eighth of its size where that is enough.
            file.draft("RGB", (size, size))
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    picture.thumbnail((size, size))
    return picture
