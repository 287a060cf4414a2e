"""Encodes raw features in the graph: what a request brings, as the tower wants it."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.data.features import MAX_VALUES, Category, Feature, Image, Number, Text
from tfrec_div.data.schema import Schema
from tfrec_div.towers.item_tower import is_trained, keeps_parts
from tfrec_div.towers.parts import parts_name, parts_of
from tfrec_div.towers.texts import TextFields, text_parts


class RawItemFeatures(keras.layers.Layer):
    """Raw columns of items in, the dictionary that an item tower takes out; for serving.

    The result equals what `encode_items` makes of the same columns.

    Args:
        schema: Describes the items.
        text_encoder: The text tower, or None. A frozen one makes vectors; of one that is trained, the item tower
            wants token ids.
        image_encoder: The image tower, or None; likewise vectors or pixels.
        fields: The text columns that the text tower reads, in their order, or by name those of each text, as for
            `text_parts`; all by default.
        parts: Whether the item tower reads tokens and regions.
        **kwargs: As for any Keras layer.
    """

    def __init__(
        self,
        schema: Schema,
        text_encoder=None,
        image_encoder=None,
        fields: TextFields | None = None,
        parts: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.schema = schema
        self.text_encoder = text_encoder
        self.image_encoder = image_encoder
        self.parts = parts
        self.texts = text_parts(schema, fields) if text_encoder is not None else {}
        self.fields = [name for names in self.texts.values() for name in names]
        self._rows = id_table(schema.item_ids)
        self._codes = {
            feature.name: id_table(schema.vocabularies[f"item/{feature.name}"])
            for feature in schema.features_of("item", "category")
        }

    @property
    def tables(self) -> list[tf.lookup.StaticHashTable]:
        """The look-ups that an export must hold."""
        return [self._rows, *self._codes.values()]

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Returns what a request holds: a string or a number [batch] for each column, pictures as JPEG or PNG."""
        features = [f for f in self.schema.item_features if self._is_read(f)]
        spec = {f.name: tf.TensorSpec([None], f.serving_dtype, name=f.name) for f in features}
        # What is said of items outside of their columns, such as reviews.
        spec |= {
            name: tf.TensorSpec([None], tf.string, name=name) for name in self.fields if name not in spec
        }
        return {"item_id": tf.TensorSpec([None], tf.string, name="item_id"), **spec}

    def call(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encodes raw columns [batch]; an empty string and NaN are missing values."""
        encoded = {"item_id": self._rows.lookup(raw["item_id"]) + 1}
        for feature in self.schema.item_features:
            if isinstance(feature, Category):
                encoded[feature.name] = self._encode_category(feature, raw[feature.name])
            elif isinstance(feature, Number):
                encoded[feature.name] = self._encode_number(feature, raw[feature.name])
        for text, names in self.texts.items():
            encoded |= self._content(text, self.text_encoder, join_texts([raw[name] for name in names]))
        images = self.schema.features_of("item", "image")
        if self.image_encoder is not None and images:
            encoded |= self._content("image", self.image_encoder, raw[images[0].name])
        return encoded

    def _content(self, name: str, encoder, contents: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encodes texts or pictures [batch] as `encode_items` does."""
        if is_trained(encoder):
            return {name: encoder.to_rows(contents)}
        encoded = {name: encoder(contents)}
        return encoded | (
            {parts_name(name): parts_of(encoder, contents)} if keeps_parts(encoder, self.parts) else {}
        )

    def _is_read(self, feature: Feature) -> bool:
        if isinstance(feature, Text):
            return feature.name in self.fields
        if isinstance(feature, Image):
            return self.image_encoder is not None and feature == self.schema.features_of("item", "image")[0]
        return isinstance(feature, Category | Number)

    def _encode_category(self, feature: Category, values: tf.Tensor) -> tf.Tensor:
        table = self._codes[feature.name]
        if not feature.multivalued:
            return table.lookup(strip(values))[:, tf.newaxis] + 1
        parts = tf.strings.split(values, feature.separator)
        codes = tf.ragged.map_flat_values(lambda v: table.lookup(strip(v)) + 1, parts)
        dense = codes.to_tensor()
        # A value counts once, at its first place, as it does when data is read.
        first = tf.argmax(dense[:, :, tf.newaxis] == dense[:, tf.newaxis, :], axis=2, output_type=tf.int32)
        counts = (dense > 0) & (first == tf.range(tf.shape(dense)[1]))
        return tf.ragged.boolean_mask(dense, counts).to_tensor(shape=[None, MAX_VALUES])

    def _encode_number(self, feature: Number, values: tf.Tensor) -> tf.Tensor:
        statistics = self.schema.statistics[f"item/{feature.name}"]
        present = tf.math.is_finite(values)
        standard = (tf.where(present, values, 0.0) - statistics["mean"]) / statistics["std"]
        return tf.stack([tf.where(present, standard, 0.0), tf.cast(present, tf.float32)], axis=1)


def join_texts(fields: list[tf.Tensor]) -> tf.Tensor:
    """Joins text columns [batch] by ". " in the graph, leaving out those that are empty, as `Catalog.texts` does.

    Example:
        >>> join_texts([tf.constant(["Tea", ""]), tf.constant([" Hot. ", "Cold."])]).numpy().tolist()
        [b'Tea. Hot.', b'Cold.']
    """
    joined = strip(fields[0])
    for field in fields[1:]:
        field = strip(field)
        both = tf.logical_and(joined != "", field != "")
        joined = tf.strings.join([joined, tf.where(both, ". ", ""), field])
    return joined


def strip(texts: tf.Tensor) -> tf.Tensor:
    """Removes white space at both ends, that of Unicode too, as `str.strip` does."""
    return tf.strings.regex_replace(
        texts, r"^[\s\p{Z}\x{1c}-\x{1f}\x{85}]+|[\s\p{Z}\x{1c}-\x{1f}\x{85}]+$", ""
    )


def id_table(ids: tuple[str, ...]) -> tf.lookup.StaticHashTable:
    """Returns a look-up from ids to rows int32; -1 for an unknown id."""
    # A table cannot be empty: a key that no request can hold stands in for one.
    keys = tf.constant(list(ids) or ["\0"], tf.string)
    values = tf.range(len(ids), dtype=tf.int32) if ids else tf.constant([-1])
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=-1)
