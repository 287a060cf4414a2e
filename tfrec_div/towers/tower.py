"""A tower: the features of a user or an item in, one vector out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfrec_div._keras import keras, tf
from tfrec_div.towers.dropout import RepeatableDropout
from tfrec_div.towers.parts import PartsEncoder, parts_name


@keras.utils.register_keras_serializable(package="tfrec_div")
class Tower(keras.Model):
    """Encodes each feature, fuses the vectors, and passes the result through a network.

    Args:
        encoders: A layer for each feature, by the feature's name: called with the feature, it returns float
            [batch, dim], and its `present` tells bool [batch] which rows have the feature. One that returns its
            parts too (`PartsEncoder`, `ModelEncoder`) gives the fusion a sequence.
        fusion: Layer that takes float [batch, features, dim] and `modality_mask` bool [batch, features] to float
            [batch, embedding_dim].
        hidden_units: Units of the layers after the fusion; none by default.
        dropout: Share of the fused vector's entries that training drops, in [0, 1).
        normalize: Whether the result has length 1.
        modality_dropout: Share of the features that training takes for missing, row by row, in [0, 1); a row that
            would lose all of its features keeps them. It teaches the tower to manage without one of them.
        **kwargs: As for any Keras model.

    Example:
        >>> from tfrec_div.towers.encoders import CodeEncoder, NumberEncoder
        >>> from tfrec_div.towers.fusion import ConcatFusion
        >>> tower = Tower({"brand": CodeEncoder(5, 4), "price": NumberEncoder(4)}, ConcatFusion(4))
        >>> tower({"brand": tf.constant([2]), "price": tf.constant([[0.5, 1.0]])}).shape
        TensorShape([1, 4])
    """

    def __init__(
        self,
        encoders: Mapping[str, keras.layers.Layer],
        fusion: keras.layers.Layer,
        hidden_units: Sequence[int] = (),
        dropout: float = 0.0,
        normalize: bool = False,
        modality_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not encoders:
            raise ValueError("encoders is empty: a tower needs at least one feature")
        self.encoders = dict(encoders)
        self.fusion = fusion
        self.hidden_units = tuple(hidden_units)
        self.normalize = normalize
        self.dropout = RepeatableDropout(dropout)
        self.modality_dropout = RepeatableDropout(modality_dropout, whole_rows=True, seed=1)
        self._layers_after = [keras.layers.Dense(units, activation="relu") for units in self.hidden_units]
        if self._layers_after:
            self._layers_after.append(keras.layers.Dense(fusion.dim))

    def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Encodes a dictionary that holds each feature of the tower (others are passed over)."""
        vectors, mask, sequences = self._encoded(features)
        mask = self._drop_modalities(mask, training)
        output = self.dropout(self.fusion(vectors, modality_mask=mask, **sequences), training=training)
        for layer in self._layers_after:
            output = layer(output)
        return tf.math.l2_normalize(output, axis=-1) if self.normalize else output

    def fusion_weights(self, features: Mapping[str, tf.Tensor]) -> tuple[tuple[str, ...], tf.Tensor]:
        """Tells what each feature counts for in the fusion.

        Args:
            features: As for a call.

        Returns:
            The names of the features, and float [batch, features], 1 in sum over those that a row has.
        """
        vectors, mask, sequences = self._encoded(features)
        return tuple(self.encoders), self.fusion.modality_weights(vectors, modality_mask=mask, **sequences)

    def _encoded(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, dict[str, list]]:
        """Returns vectors, mask, and the sequences by the name of the argument, if an encoder gave any."""
        of_parts = [parts_name(n) for n, e in self.encoders.items() if isinstance(e, PartsEncoder)]
        missing = sorted({*self.encoders, *of_parts} - set(features))
        if missing:
            raise ValueError(
                f"the tower {self.name!r} expects {sorted(self.encoders)}, but {missing} is missing"
            )
        vectors, present, sequences = [], [], []
        for name, encoder in self.encoders.items():
            feature = features[name]
            if isinstance(encoder, PartsEncoder):
                feature = {"vectors": feature, "parts": features[parts_name(name)]}
            encoded = encoder(feature)
            vector, sequence = encoded if isinstance(encoded, tuple) else (encoded, None)
            vectors.append(vector)
            present.append(encoder.present(feature))
            sequences.append(sequence)
        given = {"sequences": sequences} if any(s is not None for s in sequences) else {}
        return tf.stack(vectors, axis=1), tf.stack(present, axis=1), given

    def _drop_modalities(self, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        ones = tf.ones([tf.size(mask)])
        keep = tf.reshape(self.modality_dropout(ones, training=training), tf.shape(mask)) > 0
        left = tf.reduce_any(mask & keep, axis=1, keepdims=True)
        return mask & (keep | ~left)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        serialize = keras.layers.serialize
        return {
            "name": self.name,
            "encoders": {name: serialize(layer) for name, layer in self.encoders.items()},
            "fusion": serialize(self.fusion),
            "hidden_units": self.hidden_units,
            "dropout": self.dropout.rate,
            "normalize": self.normalize,
            "modality_dropout": self.modality_dropout.rate,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Tower:
        """Makes a tower of what `get_config` returned."""
        build = keras.layers.deserialize
        encoders = {name: build(layer, custom_objects) for name, layer in config["encoders"].items()}
        return cls(**{**config, "encoders": encoders, "fusion": build(config["fusion"], custom_objects)})
