"""Optimizers whose updates touch only the rows of a batch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tfrec_div._keras import keras, tf


@keras.utils.register_keras_serializable(package="tfrec_div")
class LazyAdam(keras.optimizers.legacy.Adam):
    """Adam that updates only the embedding rows that a batch used, with decoupled weight decay.

    Keras' Adam decays the moments of *every* row at every step, so a step on a table of a million users costs
    a million rows. Here a sparse gradient reads and writes its own rows only: the moments of other rows stay as
    they are until their next use. Dense gradients are treated as in Adam.

    Args:
        learning_rate: Step size, or a schedule.
        weight_decay: Share of a variable's value that a step removes, times the learning rate. Only rows that the
            step updates decay. Biases and other vectors (rank below 2) do not.
        rates: Factors of the learning rate by the name of a variable; 1 for others.
        beta_1: Decay of the first moment, in [0, 1).
        beta_2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment.
        name: Name of the optimizer.
        **kwargs: As for `keras.optimizers.legacy.Adam`.

    Example:
        >>> from tfrec_div._keras import tf
        >>> table = tf.Variable([[1.0], [1.0]])
        >>> with tf.GradientTape() as tape:
        ...     loss = tf.reduce_sum(tf.gather(table, [1]))
        >>> LazyAdam(0.1).apply_gradients([(tape.gradient(loss, table), table)])
        <tf.Variable 'UnreadVariable' shape=() dtype=int64, numpy=1>
        >>> print(table.numpy().ravel().round(3))
        [1.  0.9]

    The method is Adam (Kingma and Ba, 2015) with decoupled decay (Loshchilov and Hutter, 2019).
    """

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "LazyAdam",
        rates: Mapping[str, float] | None = None,
        **kwargs,
    ):
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, name=name, **kwargs)
        self.weight_decay = weight_decay
        self.rates = dict(rates or {})

    def _resource_apply_dense(self, grad, var, apply_state=None):
        if self.weight_decay and var.shape.rank >= 2:
            rate = self._coefficients(var, apply_state)["lr_t"]
            var.assign_sub(rate * self.weight_decay * var, use_locking=self._use_locking)
        key = (var.device, var.dtype.base_dtype)
        return super()._resource_apply_dense(grad, var, {key: self._coefficients(var, apply_state)})

    def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
        c = self._coefficients(var, apply_state)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        m_rows = c["beta_1_t"] * tf.gather(m, indices) + c["one_minus_beta_1_t"] * grad
        v_rows = c["beta_2_t"] * tf.gather(v, indices) + c["one_minus_beta_2_t"] * tf.square(grad)
        step = c["lr"] * m_rows / (tf.sqrt(v_rows) + c["epsilon"])
        if self.weight_decay and var.shape.rank >= 2:
            step += c["lr_t"] * self.weight_decay * tf.gather(var, indices)
        return tf.group(
            m.scatter_update(tf.IndexedSlices(m_rows, indices)),
            v.scatter_update(tf.IndexedSlices(v_rows, indices)),
            var.scatter_sub(tf.IndexedSlices(step, indices)),
        )

    def _coefficients(self, var, apply_state):
        key = (var.device, var.dtype.base_dtype)
        found = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        # A replica's copy of a variable has the variable's name with its number.
        factor = self.rates.get(re.sub(r"/replica_\d+", "", var.name), 1.0)
        return found if factor == 1.0 else {**found, **{k: found[k] * factor for k in ("lr", "lr_t")}}

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        config = super().get_config()
        for unused in ("decay", "amsgrad"):
            config.pop(unused)
        return {**config, "weight_decay": self.weight_decay, "rates": self.rates}


@keras.utils.register_keras_serializable(package="tfrec_div")
class FallingRate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that falls along a cosine from `rate` to zero, and is a function of the step only.

    Args:
        rate: Rate at the step `start`.
        steps: Steps until zero.
        start: First step, for a training that goes on with an optimizer that was used before.

    Example:
        >>> schedule = FallingRate(1.0, steps=10)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20)]
        [1.0, 0.5, 0.0, 0.0]

    Loshchilov and Hutter (2017), SGDR.
    """

    def __init__(self, rate: float, steps: int = 1, start: int = 0):
        self.rate = rate
        # Variables, so that another `fit` needs no new graph.
        self._steps = tf.Variable(float(max(steps, 1)), trainable=False, name="falling_rate_steps")
        self._start = tf.Variable(float(start), trainable=False, name="falling_rate_start")

    def restart(self, steps: int, start: int) -> None:
        """Makes the rate fall again, from the step `start` on."""
        self._steps.assign(float(max(steps, 1)))
        self._start.assign(float(start))

    def __call__(self, step):
        """Returns the rate at a step."""
        done = tf.clip_by_value((tf.cast(step, tf.float32) - self._start) / self._steps, 0.0, 1.0)
        return self.rate * 0.5 * (1.0 + tf.cos(math.pi * done))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"rate": self.rate, "steps": int(self._steps.numpy()), "start": int(self._start.numpy())}
