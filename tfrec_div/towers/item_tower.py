"""The item side: which features an item has, how the catalogue is encoded, and the tower that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.catalog import Catalog
from tfrec_div.data.entities import Entities
from tfrec_div.data.features import MAX_VALUES, Category, Number, Timestamp
from tfrec_div.data.schema import Schema
from tfrec_div.towers.cache import Contents, encode_cached
from tfrec_div.towers.encoders import CodeEncoder, NumberEncoder, VectorEncoder
from tfrec_div.towers.fusion import fusion_layer, uses_sequences
from tfrec_div.towers.model_encoder import ModelEncoder
from tfrec_div.towers.parts import PartsEncoder, all_parts, gives_parts, parts_name, parts_spec
from tfrec_div.towers.tower import Tower
from tfrec_div.towers.views import CodeView, NumberView, VectorView, View

# The pieces of each item's title, for queries that read the titles of a history.
TITLE = "title_pieces"


def is_trained(encoder) -> bool:
    """Tells whether training changes an encoder, so that its vectors cannot be kept; False for None."""
    return bool(getattr(encoder, "trained", False))


def content_spec(encoder) -> tuple[tuple[int, ...], str]:
    """Returns shape and type of what is kept of a content: a frozen encoder's vector, else what it reads."""
    return encoder.row_spec if is_trained(encoder) else ((encoder.dim,), "float32")


def encode_contents(encoder, contents: Contents, cache_dir=None, progress: bool = True) -> np.ndarray:
    """Makes what `content_spec` says of all contents: vectors, or token ids or pixels, each read once."""
    if is_trained(encoder):
        return encoder.rows_of(contents)
    return encode_cached(encoder, contents, cache_dir=cache_dir, progress=progress)


def content_encoder(encoder, dim: int, name: str, parts: bool = False) -> keras.layers.Layer:
    """Returns the layer of a tower that reads what `encode_contents` made, and perhaps its parts."""
    parts = parts and gives_parts(encoder)
    if is_trained(encoder):
        return ModelEncoder(encoder, dim, parts=parts, name=name)
    return (PartsEncoder if parts else VectorEncoder)(encoder.dim, dim, name=name)


def keeps_parts(encoder, parts: bool) -> bool:
    """Tells whether the parts of all contents are made before training, as those of a frozen encoder are."""
    return parts and gives_parts(encoder) and not is_trained(encoder)


def item_spec(
    schema: Schema,
    text=None,
    image=None,
    titles: int = 0,
    texts: Sequence[str] = ("text",),
    parts: bool = False,
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and type of each encoded item feature, by name.

    Args:
        schema: Describes the items.
        text: Text encoder or None; it adds `texts`.
        image: Image encoder or None; it adds "image".
        titles: Pieces of each title that are kept for queries; 0 keeps none.
        texts: Names of the texts that are told apart.
        parts: Whether tokens and regions are read; it adds "text_parts" and "image_parts" of frozen encoders.
    """
    spec = {"item_id": ((), "int32"), **column_spec(schema.item_features)}
    if titles:
        spec[TITLE] = ((titles,), "int32")
    encoders = {**dict.fromkeys(texts, text), "image": image}
    spec |= {name: content_spec(e) for name, e in encoders.items() if e is not None}
    return spec | {parts_name(name): parts_spec(e) for name, e in encoders.items() if keeps_parts(e, parts)}


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
    catalog: Catalog,
    known: np.ndarray,
    text=None,
    image=None,
    cache_dir=None,
    progress: bool = True,
    texts: Mapping[str, Sequence[str]] | None = None,
    titles: int = 0,
    parts: bool = False,
) -> dict[str, np.ndarray]:
    """Encodes a catalogue for `FeatureTable`; the frozen towers read each item once and keep what they made.

    Of a tower that is trained, the token ids or the decoded pictures are kept, in memory: a picture of 224 pixels
    takes 150 kB.

    Args:
        catalog: The items.
        known: Boolean [items], whether an item has been seen in training; others have no id for the tower.
        text: Text encoder or None.
        image: Image encoder or None.
        cache_dir: Where the frozen towers' vectors are kept.
        progress: Whether to show progress bars.
        texts: By name, the text of each item; by default "text", all its text features joined.
        titles: Pieces of each title that are kept for queries.
        parts: Whether tokens and regions are read. Those of frozen encoders are kept in memory, too, 2 bytes a
            number: 25 kB for the 32 tokens of MiniLM, 200 kB for the 49 regions of a ResNet50 at 224 pixels.
    """
    features = {"item_id": known_codes(known), **encode_columns(catalog)}
    contents: dict[str, tuple[Any, Contents]] = {}
    if text is not None:
        named = {"text": catalog.texts()} if texts is None else texts
        contents |= {name: (text, values) for name, values in named.items()}
    if image is not None:
        contents["image"] = image, _Pictures(catalog)
    for name, (encoder, values) in contents.items():
        features[name] = encode_contents(encoder, values, cache_dir, progress)
        if keeps_parts(encoder, parts):
            features[parts_name(name)] = all_parts(encoder, values, progress)
    if titles:
        pieces = text.tokenizer.tokenize(tf.constant(_titles(catalog), tf.string)) + 1
        features[TITLE] = pieces[:, :titles].to_tensor(shape=[len(catalog), titles]).numpy()
    return features


def _titles(catalog: Catalog) -> list[str]:
    names = [feature.name for feature in catalog.schema.features_of("item", "text")]
    return catalog.texts(["title" if "title" in names else names[0]])


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
    dim: int,
    features: Sequence[str],
    hidden_units: Sequence[int] = (),
    normalize: bool = False,
    fusion: str | keras.layers.Layer = "concat",
    modality_dropout: float = 0.0,
    text=None,
    image=None,
    texts: Sequence[str] = ("text",),
) -> Tower:
    """Makes the item tower.

    Args:
        schema: Describes the items.
        dim: Length of the vectors.
        features: Which of "id", "categories" and "numbers" to use.
        hidden_units: Layers after the fusion.
        normalize: Whether vectors have length 1.
        fusion: Name of a fusion, or a layer.
        modality_dropout: Share of an item's features that training takes for missing.
        text: Text encoder, which is then used, or None.
        image: Image encoder or None.
        texts: Names of the texts that are told apart; the encoder is one for all of them.
    """
    encoders: dict[str, keras.layers.Layer] = {}
    if "id" in features:
        encoders["item_id"] = CodeEncoder(schema.num_items, dim, name="item_id")
    if "categories" in features:
        encoders |= column_encoders(schema, "item", dim, (Category,))
    if "numbers" in features:
        encoders |= column_encoders(schema, "item", dim, (Number, Timestamp))
    for name, encoder in (*((name, text) for name in texts), ("image", image)):
        if encoder is not None:
            encoders[name] = content_encoder(
                encoder, dim, name.replace("/", "_"), parts=uses_sequences(fusion)
            )
    if not encoders:
        raise ValueError(
            f"features: {list(features)} leaves the item tower without any feature of the schema"
        )
    return Tower(
        encoders,
        fusion_layer(fusion, dim),
        hidden_units,
        normalize=normalize,
        modality_dropout=modality_dropout,
        name="item_tower",
    )


def build_views(item_tower: Tower, dim: int) -> dict[str, View]:
    """Makes a view of each feature of an item tower that has a fixed meaning: not of ids nor of trained models.

    Args:
        item_tower: The tower.
        dim: Length that a view has at most.
    """
    views: dict[str, View] = {}
    for name, encoder in item_tower.encoders.items():
        if isinstance(encoder, VectorEncoder | PartsEncoder):
            views[name] = VectorView(encoder.input_dim, dim, name=f"view_of_{name}")
        elif isinstance(encoder, NumberEncoder):
            views[name] = NumberView(name=f"view_of_{name}")
        elif isinstance(encoder, CodeEncoder) and name != "item_id":
            views[name] = CodeView(encoder.num_codes, dim, name=f"view_of_{name}")
    return views
