"""What the fusions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf


class Fusion(keras.layers.Layer):
    """Fuses the vectors of several modalities into one; a masked modality has no influence whatever it holds.

    A subclass implements `fuse`, which gets masked vectors as zeros, and may define its own `weights`.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Attributes:
        uses_sequences: Whether a call reads `sequences`; a tower gives them only then.
    """

    uses_sequences = False

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, got {dim}")
        self.dim = dim

    def call(
        self,
        vectors: tf.Tensor,
        modality_mask: tf.Tensor | None = None,
        sequences: Sequence[tuple[tf.Tensor, tf.Tensor] | None] | None = None,
    ) -> tf.Tensor:
        """Fuses a batch.

        Args:
            vectors: Float `[batch, modalities, input_dim]`.
            modality_mask: Bool `[batch, modalities]`, which modalities are there; all by default.
            sequences: For each modality None, or its parts (tokens, regions) as float `[batch, length, input_dim]`
                and bool `[batch, length]`, which of them are there. Only `CrossModalFusion` reads them; without
                them a modality has one part, its vector.

        Returns:
            Float `[batch, dim]`; zero where every modality is masked.
        """
        mask = present(vectors, modality_mask)
        output = self.fuse(blank(vectors, mask), mask, sequences)
        return blank(output, tf.reduce_any(mask, axis=1))

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Fuses float `[batch, modalities, input_dim]`, zero where bool `[batch, modalities]` says no."""
        raise NotImplementedError

    def modality_weights(
        self, vectors: tf.Tensor, modality_mask: tf.Tensor | None = None, sequences=None
    ) -> tf.Tensor:
        """Tells what each modality counts for, float32 `[batch, modalities]`; 1 in sum over those that are there.

        Here it is how far the output moves when the modality is left out, as a share of all such moves; fusions
        with gates or attention tell those. Zero for a masked modality.

        Args:
            vectors: As for a call.
            modality_mask: As for a call.
            sequences: As for a call.
        """
        vectors = tf.convert_to_tensor(vectors)
        mask = present(vectors, modality_mask)
        whole = self(vectors, modality_mask=mask, sequences=sequences)
        moves = []
        for modality in range(vectors.shape[1]):
            rest = mask & ~tf.one_hot(modality, vectors.shape[1], on_value=True, off_value=False)
            moves.append(tf.norm(whole - self(vectors, modality_mask=rest, sequences=sequences), axis=-1))
        return shares(tf.stack(moves, axis=1), mask)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}


def present(vectors: tf.Tensor, modality_mask: tf.Tensor | None) -> tf.Tensor:
    """Returns the mask, bool `[batch, modalities]`; everything is there when none is given."""
    if modality_mask is None:
        return tf.ones(tf.shape(vectors)[:2], tf.bool)
    return tf.cast(modality_mask, tf.bool)


def blank(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Puts zeros where a mask of one axis less says no: chosen, not multiplied, so that NaN does not get through."""
    return tf.where(mask[..., tf.newaxis], values, tf.zeros([], values.dtype))


def masked_softmax(logits: tf.Tensor, mask: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """Softmax in float32 over the entries that a mask allows; all zeros where it allows none."""
    logits = tf.where(mask, tf.cast(logits, tf.float32), -1e9)
    powers = tf.exp(logits - tf.stop_gradient(tf.reduce_max(logits, axis=axis, keepdims=True)))
    powers = tf.where(mask, powers, 0.0)
    return tf.math.divide_no_nan(powers, tf.reduce_sum(powers, axis=axis, keepdims=True))


def shares(amounts: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Divides amounts `[batch, modalities]` by their sum over what is there; equal shares where all are zero."""
    there = tf.cast(mask, tf.float32)
    amounts = tf.cast(amounts, tf.float32) * there
    total = tf.reduce_sum(amounts, axis=1, keepdims=True)
    equal = tf.math.divide_no_nan(there, tf.reduce_sum(there, axis=1, keepdims=True))
    return tf.where(total > 0, tf.math.divide_no_nan(amounts, total), equal)


@keras.utils.register_keras_serializable(package="tfrec_div")
class StackedIdentity(keras.initializers.Initializer):
    """Makes a kernel `[modalities, input_dim, dim]` of identities: a fusion then starts as the sum."""

    def __call__(self, shape, dtype=None, **kwargs):
        """Returns the kernel."""
        modalities, rows, columns = shape
        return tf.tile(tf.eye(rows, columns, dtype=dtype or tf.float32)[tf.newaxis], [modalities, 1, 1])
