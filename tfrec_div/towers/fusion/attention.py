"""Attention over the modalities."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.towers.fusion.base import Fusion, StackedIdentity, blank, masked_softmax, present


@keras.utils.register_keras_serializable(package="tfrec_div")
class AttentionFusion(Fusion):
    """Averages the modalities' projections, weighted by how well each answers a learned query.

    A modality's weight is the softmax of q · tanh(W x + e), with a vector e of its own, over the modalities that are
    there. The weights start equal, and the projections as the identity.

    Args:
        dim: Length of the output.
        **kwargs: As for any Keras layer.

    Example:
        >>> fusion = AttentionFusion(2)
        >>> vectors = tf.constant([[[2.0, 0.0], [0.0, 4.0]]])
        >>> fusion(vectors).numpy().tolist()
        [[1.0, 2.0]]
        >>> fusion.modality_weights(vectors, tf.constant([[False, True]])).numpy().tolist()
        [[0.0, 1.0]]

    The score is that of Bahdanau et al. (2015), the learned query that of Yang et al. (2016).
    """

    def build(self, input_shape) -> None:
        """Makes the keys, the query and the projections."""
        _, modalities, dim = input_shape
        self.kernel = self.add_weight(
            name="kernel", shape=(modalities, dim, self.dim), initializer=StackedIdentity()
        )
        self.key_kernel = self.add_weight(name="key_kernel", shape=(dim, self.dim))
        self.key_bias = self.add_weight(
            name="key_bias",
            shape=(modalities, self.dim),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        self.query = self.add_weight(name="query", shape=(self.dim,), initializer="zeros")
        super().build(input_shape)

    def fuse(self, vectors: tf.Tensor, mask: tf.Tensor, sequences=None) -> tf.Tensor:
        """Weighs the projections."""
        projected = tf.einsum("bmi,mid->bmd", vectors, self.kernel)
        return tf.einsum("bm,bmd->bd", tf.cast(self._attention(vectors, mask), projected.dtype), projected)

    def modality_weights(
        self, vectors: tf.Tensor, modality_mask: tf.Tensor | None = None, sequences=None
    ) -> tf.Tensor:
        """Tells the attention that each modality gets, float32 `[batch, modalities]`."""
        vectors = tf.convert_to_tensor(vectors)
        mask = present(vectors, modality_mask)
        self(vectors, modality_mask=mask)  # makes the weights of a new layer
        vectors = blank(tf.cast(vectors, tf.float32), mask)
        return self._attention(vectors, mask)

    def _attention(self, vectors: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        keys = tf.tanh(tf.einsum("bmi,id->bmd", vectors, self.key_kernel) + self.key_bias)
        return masked_softmax(tf.einsum("bmd,d->bm", keys, self.query), mask)
