"""Gates that decide, entry by entry, how much of each modality passes."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion, StackedIdentity, blank, masked_softmax, present, shares

GATES = ("softmax", "sigmoid")


@keras.utils.register_keras_serializable(package="tfrec_div")
class GatedFusion(Fusion):
    """Adds up the modalities' projections, each entry times a gate that is computed from all modalities.

    The gates start equal, and the projections as the identity.

    Args:
        dim: Length of the output.
        gate: "softmax" (the gates of an entry are 1 in sum over the modalities that are there) or "sigmoid" (each is
            in (0, 1) by itself).
        activation: Of the projections, by its Keras name; "tanh" in the paper. The default leaves the length of the
            vectors free, which a dot product needs.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = GatedFusion(2)
        >>> fusion(tf.constant([[[2.0, 0.0], [0.0, 4.0]]])).numpy().tolist()
        [[1.0, 2.0]]

    Arevalo et al. (2017), Gated multimodal units for information fusion.
    """

    def __init__(self, dim: int, gate: str = "softmax", activation: str = "linear", **kwargs: Any) -> None:
        super().__init__(dim, **kwargs)
        if gate not in GATES:
            raise ValueError(f"gate: expected one of {', '.join(GATES)}, got {gate!r}")
        self.gate = gate
        self.activation = activation
        self._activate = keras.activations.get(activation)

    def build(self, input_shape) -> None:
        """Makes the projections and the gates."""
        _, modalities, dim = input_shape
        self.kernel = self.add_weight(
            name="kernel", shape=(modalities, dim, self.dim), initializer=StackedIdentity()
        )
        self.gate_kernel = self.add_weight(
            name="gate_kernel", shape=(modalities, dim, modalities, self.dim), initializer="zeros"
        )
        self.gate_bias = self.add_weight(name="gate_bias", shape=(modalities, self.dim), initializer="zeros")
        super().build(input_shape)

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Weighs the projections by their gates."""
        projected = self._activate(tf.einsum("bmi,mid->bmd", vectors, self.kernel))
        return tf.reduce_sum(tf.cast(self._gates(vectors, mask), projected.dtype) * projected, axis=1)

    def modality_weights(
        self, vectors: tf.Tensor, modality_mask: tf.Tensor | None = None, sequences=None
    ) -> tf.Tensor:
        """Tells the mean gate of each modality, float32 `[batch, modalities]`, scaled to 1 in sum."""
        vectors = tf.convert_to_tensor(vectors)
        mask = present(vectors, modality_mask)
        self(vectors, modality_mask=mask)  # makes the weights of a new layer
        vectors = blank(tf.cast(vectors, tf.float32), mask)
        return shares(tf.reduce_mean(self._gates(vectors, mask), axis=-1), mask)

    def _gates(self, vectors: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        logits = tf.einsum("bmi,mind->bnd", vectors, self.gate_kernel) + self.gate_bias
        if self.gate == "softmax":
            return masked_softmax(logits, mask[..., tf.newaxis], axis=1)
        return tf.where(mask[..., tf.newaxis], tf.sigmoid(tf.cast(logits, tf.float32)), 0.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gate": self.gate, "activation": self.activation}
