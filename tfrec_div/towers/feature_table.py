"""The encoded features of all users or items, kept by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec_div._keras import keras, tf


@keras.utils.register_keras_serializable(package="tfrec_div")
class FeatureTable(keras.layers.Layer):
    """Looks up encoded features by row: integer rows in, the dictionary that a tower takes out.

    What a frozen tower makes of an item is computed once and stands here, so that a training step only gathers.
    The row -1 (unknown, padding) gives zeros for every feature.

    Args:
        num_rows: Rows of the table.
        features: Shape after the row and type of each feature, such as `{"text": ((384,), "float32")}`.
        **kwargs: As for any Keras layer.

    Example:
        >>> table = FeatureTable(2, {"price": ((1,), "float32")})
        >>> table.fill({"price": [[3.0], [5.0]]})
        >>> table(tf.constant([1, -1]))["price"].numpy().tolist()
        [[5.0], [0.0]]
    """

    def __init__(self, num_rows: int, features: Mapping[str, tuple], **kwargs):
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        self.num_rows = num_rows
        self.features = {name: (tuple(shape), str(dtype)) for name, (shape, dtype) in features.items()}
        # Row 0 stays zero and answers for the row -1.
        self.values = {
            name: self.add_weight(
                name=name, shape=(num_rows + 1, *shape), dtype=dtype, initializer="zeros", trainable=False
            )
            for name, (shape, dtype) in self.features.items()
        }

    def fill(self, values: Mapping[str, np.ndarray]) -> None:
        """Stores the features of all rows.

        Args:
            values: An array [num_rows, ...] for each feature of the table.

        Raises:
            ValueError: If a feature is missing or has another shape.
        """
        for name, (shape, dtype) in self.features.items():
            expected = (self.num_rows, *shape)
            if name not in values or np.shape(values[name]) != expected:
                found = np.shape(values[name]) if name in values else f"only {sorted(values)}"
                raise ValueError(f"feature {name!r}: expected an array of shape {expected}, got {found}")
            rows = np.asarray(values[name], dtype)
            self.values[name].assign(np.concatenate([np.zeros_like(rows[:1], shape=(1, *shape)), rows]))

    def call(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns each feature [..., *shape] of the rows int32 [...]; -1 gives zeros."""
        return {name: tf.gather(value, rows + 1) for name, value in self.values.items()}

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_rows": self.num_rows, "features": self.features}
