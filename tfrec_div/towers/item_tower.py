"""The item side: which features an item has, how the catalogue is encoded, and the tower that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfrec_div._keras import keras
from tfrec_div.data.catalog import Catalog
from tfrec_div.data.entities import Entities
from tfrec_div.data.features import MAX_VALUES, Category, Number, Timestamp
from tfrec_div.data.schema import Schema
from tfrec_div.towers.cache import encode_cached
from tfrec_div.towers.encoders import CodeEncoder, NumberEncoder, VectorEncoder
from tfrec_div.towers.fusion import ConcatFusion
from tfrec_div.towers.tower import Tower

FeatureSpec = Mapping[str, tuple[tuple[int, ...], str]]


def item_spec(schema: Schema, text=None, image=None) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of each encoded item feature, by name.

    Args:
        schema: Describes the items.
        text: Text encoder or None; it adds "text".
        image: Image encoder or None; it adds "image".
    """
    spec = {"item_id": ((), "int32"), **column_spec(schema.item_features)}
    encoders = {"text": text, "image": image}
    return spec | {name: ((e.dim,), "float32") for name, e in encoders.items() if e is not None}


def column_spec(features: Sequence) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of the encoded categories and numbers among `features`."""
    spec: dict[str, tuple[tuple[int, ...], str]] = {}
    for feature in features:
        if isinstance(feature, Category):
            spec[feature.name] = ((MAX_VALUES if feature.multivalued else 1,), "int32")
        elif isinstance(feature, Number | Timestamp):
            spec[feature.name] = ((2,), "float32")
    return spec


def encode_items(
    catalog: Catalog, known: np.ndarray, text=None, image=None, cache_dir=None, progress: bool = True
) -> dict[str, np.ndarray]:
    """Encodes a catalogue for `FeatureTable`; the frozen towers read each item once and keep what they made.

    Args:
        catalog: The items.
        known: Boolean [items], whether an item has been seen in training; others have no id for the tower.
        text: Text encoder or None.
        image: Image encoder or None.
        cache_dir: Where the frozen towers' vectors are kept.
        progress: Whether to show progress bars.
    """
    features = {"item_id": known_codes(known), **encode_columns(catalog)}
    if text is not None:
        features["text"] = encode_cached(text, catalog.texts(), cache_dir=cache_dir, progress=progress)
    if image is not None:
        features["image"] = encode_cached(image, _Pictures(catalog), cache_dir=cache_dir, progress=progress)
    return features


def encode_columns(entities: Entities) -> dict[str, np.ndarray]:
    """Encodes categories and numbers in the shapes of `column_spec`: codes are padded to the widest possible."""
    encoded = dict(entities.encoded())
    for name, (shape, dtype) in column_spec(entities.schema.features(entities.side)).items():
        if dtype == "int32":
            encoded[name] = np.pad(encoded[name], [(0, 0), (0, shape[0] - encoded[name].shape[1])])
    return encoded


def known_codes(known: np.ndarray) -> np.ndarray:
    """Returns row + 1 where known, else 0: the code of an id."""
    return np.where(known, np.arange(1, len(known) + 1), 0).astype(np.int32)


def column_encoders(
    schema: Schema, side: str, dim: int, kinds: tuple[type, ...]
) -> dict[str, keras.layers.Layer]:
    """Returns an encoder for each category or number of one side ("item" or "user")."""
    encoders: dict[str, keras.layers.Layer] = {}
    for feature in schema.features(side):
        if isinstance(feature, kinds):
            if isinstance(feature, Category):
                codes = len(schema.vocabularies[f"{side}/{feature.name}"])
                encoders[feature.name] = CodeEncoder(codes, dim, name=f"{side}_{feature.name}")
            else:
                encoders[feature.name] = NumberEncoder(dim, name=f"{side}_{feature.name}")
    return encoders


class _Pictures(Sequence):
    """The encoded pictures of a catalogue, each read when it is asked for."""

    def __init__(self, catalog: Catalog):
        self._catalog = catalog

    def __len__(self) -> int:
        return len(self._catalog)

    def __getitem__(self, row):
        return self._catalog.image_bytes(row)


def build_item_tower(
    schema: Schema,
    spec: FeatureSpec,
    dim: int,
    features: Sequence[str],
    hidden_units: Sequence[int] = (),
    normalize: bool = False,
    id_dropout: float = 0.0,
) -> Tower:
    """Makes the item tower.

    Args:
        schema: Describes the items.
        spec: What `item_spec` returned.
        dim: Length of the vectors.
        features: Which of "id", "categories" and "numbers" to use; text and image are used where `spec` has them.
        hidden_units: Layers after the fusion.
        normalize: Whether vectors have length 1.
        id_dropout: Share of the items that training takes for new ones.
    """
    encoders: dict[str, keras.layers.Layer] = {}
    if "id" in features:
        encoders["item_id"] = CodeEncoder(schema.num_items, dim, dropout=id_dropout, name="item_id")
    if "categories" in features:
        encoders |= column_encoders(schema, "item", dim, (Category,))
    if "numbers" in features:
        encoders |= column_encoders(schema, "item", dim, (Number, Timestamp))
    for name in ("text", "image"):
        if name in spec:
            encoders[name] = VectorEncoder(spec[name][0][0], dim, name=name)
    if not encoders:
        raise ValueError(
            f"features: {list(features)} leaves the item tower without any feature of the schema"
        )
    return Tower(encoders, ConcatFusion(dim), hidden_units, normalize=normalize, name="item_tower")
