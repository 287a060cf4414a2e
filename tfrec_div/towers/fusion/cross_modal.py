"""Attention of each modality to the parts of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion, StackedIdentity, blank, masked_softmax


@keras.utils.register_keras_serializable(package="tfrec_div")
class CrossModalFusion(Fusion):
    """Lets the parts of each modality attend the parts of all the others, and adds up what they found.

    Parts are a text's tokens or a picture's regions, given as `sequences`. A modality without a sequence has one
    part, its vector, so that without any sequences the modalities' vectors attend each other. What the parts of a
    modality found is averaged and added to its vector; the sum over the modalities, each through its own projection,
    is the output. It starts as the sum of the vectors.

    Args:
        dim: Length of the output.
        num_heads: Heads of the attention.
        head_dim: Length of a head's queries, keys and values; the input's length over `num_heads` by default.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = CrossModalFusion(4, num_heads=2)
        >>> tokens = tf.ones([1, 7, 4]), tf.ones([1, 7], tf.bool)
        >>> regions = tf.ones([1, 9, 4]), tf.ones([1, 9], tf.bool)
        >>> fusion(tf.ones([1, 2, 4]), sequences=[tokens, regions]).numpy().tolist()
        [[2.0, 2.0, 2.0, 2.0]]

    Multi-head attention: Vaswani et al. (2017); between modalities: Tan and Bansal (2019), Tsai et al. (2019).
    """

    uses_sequences = True

    def __init__(self, dim: int, num_heads: int = 4, head_dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(dim, **kwargs)
        if num_heads < 1:
            raise ValueError(f"num_heads: expected at least 1, got {num_heads}")
        if head_dim is not None and head_dim < 1:
            raise ValueError(f"head_dim: expected at least 1, got {head_dim}")
        self.num_heads = num_heads
        self.head_dim = head_dim

    def build(self, input_shape) -> None:
        """Makes the attention and the projections."""
        _, modalities, dim = input_shape
        size = self.head_dim or max(1, dim // self.num_heads)
        for name in ("query", "key", "value"):
            kernel = self.add_weight(name=f"{name}_kernel", shape=(dim, self.num_heads, size))
            setattr(self, f"{name}_kernel", kernel)
        self.modality = self.add_weight(
            name="modality",
            shape=(modalities, dim),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        # Zero: the attention adds nothing until it has learned what.
        self.found_kernel = self.add_weight(
            name="found_kernel", shape=(self.num_heads, size, dim), initializer="zeros"
        )
        self.kernel = self.add_weight(
            name="kernel", shape=(modalities, dim, self.dim), initializer=StackedIdentity()
        )
        super().build(input_shape)

    def fuse(
        self,
        vectors: tf.Tensor,
        mask: tf.Tensor,
        sequences: Sequence[tuple[tf.Tensor, tf.Tensor] | None] | None = None,
    ) -> tf.Tensor:
        """Attends, and adds up."""
        parts, there, owner = self._parts(vectors, mask, sequences)
        marked = parts + tf.gather(self.modality, owner)
        queries = tf.einsum("bld,dhk->bhlk", marked, self.query_kernel)
        keys = tf.einsum("bld,dhk->bhlk", marked, self.key_kernel)
        values = tf.einsum("bld,dhk->bhlk", parts, self.value_kernel)
        others = owner[:, tf.newaxis] != owner[tf.newaxis, :]
        allowed = (others & there[:, tf.newaxis, :])[:, tf.newaxis]
        logits = tf.einsum("bhqk,bhlk->bhql", queries, keys) * keys.shape[-1] ** -0.5
        attention = tf.cast(masked_softmax(logits, allowed), values.dtype)
        found = tf.einsum("bhql,bhlk,hkd->bqd", attention, values, self.found_kernel)
        # The mean over the parts of each modality.
        of = (
            tf.one_hot(owner, vectors.shape[1], dtype=found.dtype)
            * tf.cast(there, found.dtype)[..., tf.newaxis]
        )
        mean = tf.math.divide_no_nan(
            tf.einsum("blm,bld->bmd", of, found), tf.reduce_sum(of, axis=1)[..., tf.newaxis]
        )
        return tf.einsum("bmd,mde->be", blank(vectors + mean, mask), self.kernel)

    def _parts(self, vectors, mask, sequences) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns all parts end to end, which are there, and the modality of each."""
        modalities = vectors.shape[1]
        sequences = [None] * modalities if sequences is None else list(sequences)
        if len(sequences) != modalities:
            raise ValueError(
                f"sequences: expected one (or None) for each of the {modalities} modalities, got {len(sequences)}"
            )
        parts, there, owner = [], [], []
        for modality, sequence in enumerate(sequences):
            inside = mask[:, modality : modality + 1]
            if sequence is None:
                part, part_there = vectors[:, modality : modality + 1], inside
            else:
                part = tf.cast(sequence[0], vectors.dtype)
                part_there = tf.cast(sequence[1], tf.bool) & inside
                part = blank(part, part_there)
            parts.append(part)
            there.append(part_there)
            owner.append(tf.fill([tf.shape(part)[1]], modality))
        return tf.concat(parts, axis=1), tf.concat(there, axis=1), tf.concat(owner, axis=0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_heads": self.num_heads, "head_dim": self.head_dim}
