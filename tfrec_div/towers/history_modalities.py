"""Attention of a candidate's text and picture to those of a history's items."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import masked_softmax


@keras.utils.register_keras_serializable(package="tfrec_div")
class HistoryModalities(keras.layers.Layer):
    """Lets each modality of a candidate attend the modalities of all items of a user's history.

    A candidate's text finds what is like it among the texts and the pictures of the history, and so does its
    picture; what they found is averaged over the candidate's modalities.

    Args:
        num_heads: Heads of the attention, which divide the length of a vector.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = HistoryModalities()
        >>> layer(tf.ones([2, 5, 2, 4]), tf.ones([2, 3, 2, 4]), tf.ones([2, 3])).shape
        TensorShape([2, 5, 4])

    Multi-head attention: Vaswani et al. (2017); between modalities: Tsai et al. (2019).
    """

    def __init__(self, num_heads: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_heads < 1:
            raise ValueError(f"num_heads: expected at least 1, got {num_heads}")
        self.num_heads = num_heads

    def build(self, input_shape) -> None:
        """Makes the projections and a vector for each modality."""
        modalities, dim = input_shape[-2], input_shape[-1]
        if dim % self.num_heads:
            raise ValueError(
                f"num_heads: expected a divisor of the vectors' length {dim}, got {self.num_heads}"
            )
        size = dim // self.num_heads
        for name in ("query", "key", "value"):
            kernel = self.add_weight(name=f"{name}_kernel", shape=(dim, self.num_heads, size))
            setattr(self, f"{name}_kernel", kernel)
        self.out_kernel = self.add_weight(name="out_kernel", shape=(self.num_heads, size, dim))
        self.modality = self.add_weight(
            name="modality",
            shape=(modalities, dim),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        super().build(input_shape)

    def call(
        self, candidates: tf.Tensor, history: tf.Tensor, strength: tf.Tensor, apart: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Attends.

        Args:
            candidates: Float `[batch, n, modalities, dim]`, zeros for a modality that is missing.
            history: Float `[batch, steps, modalities, dim]`; alike.
            strength: Float `[batch, steps]`, 0 for padding; what has more of it is attended more.
            apart: Bool `[batch, n, steps]`, which items a candidate may be told by; all by default.

        Returns:
            Float `[batch, n, dim]`; zeros where the candidate has no modality, or the history none.
        """
        shape, modalities, dim = tf.shape(history), history.shape[-2], history.shape[-1]
        asks = tf.reduce_any(candidates != 0, axis=-1)
        answers = tf.reduce_any(history != 0, axis=-1) & (strength > 0)[:, :, tf.newaxis]
        keys_of = history + self.modality
        flat = tf.reshape(keys_of, [shape[0], shape[1] * modalities, dim])
        plain = tf.reshape(history, [shape[0], shape[1] * modalities, dim])
        queries = tf.einsum("bnmd,dhk->bhnmk", candidates + self.modality, self.query_kernel)
        keys = tf.einsum("bld,dhk->bhlk", flat, self.key_kernel)
        values = tf.einsum("bld,dhk->bhlk", plain, self.value_kernel)
        logits = tf.einsum("bhnmk,bhlk->bhnml", queries, keys) * keys.shape[-1] ** -0.5
        weight = tf.repeat(tf.math.log(tf.maximum(tf.cast(strength, tf.float32), 1e-6)), modalities, axis=1)
        logits = tf.cast(logits, tf.float32) + weight[:, tf.newaxis, tf.newaxis, tf.newaxis, :]
        allowed = tf.reshape(answers, [shape[0], 1, 1, 1, shape[1] * modalities])
        if apart is not None:
            allowed &= tf.repeat(apart, modalities, axis=2)[:, tf.newaxis, :, tf.newaxis, :]
        shares = tf.cast(masked_softmax(logits, tf.broadcast_to(allowed, tf.shape(logits))), values.dtype)
        found = tf.einsum("bhnml,bhlk,hkd->bnmd", shares, values, self.out_kernel)
        there = tf.cast(asks, found.dtype)[..., tf.newaxis]
        return tf.math.divide_no_nan(tf.reduce_sum(found * there, axis=2), tf.reduce_sum(there, axis=2))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_heads": self.num_heads}
