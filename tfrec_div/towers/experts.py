"""Experts that several tasks share, each task by a gate of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tfrec_div._keras import keras, tf


@keras.utils.register_keras_serializable(package="tfrec_div")
class MixtureOfExperts(keras.layers.Layer):
    """Multi-gate mixture of experts: a task's vector is the sum of the experts' outputs, weighed by the task's gate.

    An expert is a network of layers with an activation; a gate is a softmax over the experts, linear in the input.
    Tasks that have much in common come to use the same experts, others use different ones. The gates start equal.

    Args:
        tasks: Their names.
        units: Length of the output.
        num_experts: Experts, at least 1.
        hidden_units: Units of the experts' layers before the last; none by default.
        activation: Of all of the experts' layers, by its Keras name.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = MixtureOfExperts(("click", "rating"), units=8)
        >>> {task: output.shape.as_list() for task, output in layer(tf.ones([2, 5, 3])).items()}
        {'click': [2, 5, 8], 'rating': [2, 5, 8]}

    Ma, Zhao, Yi, Chen, Hong and Chi (2018), Modeling task relationships in multi-task learning with multi-gate
    mixture-of-experts.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        units: int,
        num_experts: int = 4,
        hidden_units: Sequence[int] = (),
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(tasks, str) or not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(f"tasks: expected different names, at least one, got {tasks!r}")
        if num_experts < 1:
            raise ValueError(f"num_experts: expected at least 1, got {num_experts}")
        if min(units, *hidden_units, units) < 1:
            raise ValueError(f"units: expected at least 1, got {[*hidden_units, units]}")
        self.tasks, self.units, self.num_experts = tuple(tasks), units, num_experts
        self.hidden_units, self.activation = tuple(hidden_units), activation
        self._activate = keras.activations.get(activation)

    def build(self, input_shape) -> None:
        """Makes the experts and the gates."""
        dim = input_shape[-1]
        lengths = [dim, *self.hidden_units, self.units]
        self.kernels, self.biases = [], []
        for place, (before, after) in enumerate(pairwise(lengths)):
            # Glorot's bound for one expert: Keras would count the experts as places of a convolution.
            bound = math.sqrt(6.0 / (before + after))
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{place}",
                    shape=(self.num_experts, before, after),
                    initializer=keras.initializers.RandomUniform(-bound, bound),
                )
            )
            self.biases.append(
                self.add_weight(name=f"bias_{place}", shape=(self.num_experts, after), initializer="zeros")
            )
        self.gate_kernel = self.add_weight(
            name="gate_kernel", shape=(len(self.tasks), dim, self.num_experts), initializer="zeros"
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns each task's vector, float [..., units], for inputs float [..., dim]."""
        # As rows: products of matrices that are broadcast are wrong in float16 on some processors.
        lead = tf.shape(inputs)[:-1]
        inputs = tf.reshape(inputs, [-1, inputs.shape[-1]])
        hidden = self._activate(tf.einsum("nd,edu->neu", inputs, self.kernels[0]) + self.biases[0])
        for kernel, bias in zip(self.kernels[1:], self.biases[1:], strict=True):
            hidden = self._activate(tf.einsum("ned,edu->neu", hidden, kernel) + bias)
        mixed = tf.einsum("nte,neu->ntu", tf.cast(self._gates(inputs), hidden.dtype), hidden)
        shape = tf.concat([lead, [self.units]], axis=0)
        return {task: tf.reshape(mixed[:, place], shape) for place, task in enumerate(self.tasks)}

    def expert_weights(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns each task's gate, float32 [..., experts], 1 in sum, for inputs float [..., dim]."""
        inputs = tf.cast(inputs, self.compute_dtype)
        self(inputs)  # makes the weights of a new layer
        return dict(zip(self.tasks, tf.unstack(self._gates(inputs), axis=-2), strict=True))

    def _gates(self, inputs: tf.Tensor) -> tf.Tensor:
        # In float32: half precision cannot tell small shares apart.
        kernel = tf.cast(self.gate_kernel, tf.float32)
        return tf.nn.softmax(tf.einsum("...d,tde->...te", tf.cast(inputs, tf.float32), kernel))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = {
            "tasks": self.tasks,
            "units": self.units,
            "num_experts": self.num_experts,
            "hidden_units": self.hidden_units,
            "activation": self.activation,
        }
        return {**super().get_config(), **config}
