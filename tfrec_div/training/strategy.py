"""On which devices a model is trained."""

from __future__ import annotations

import re
from functools import cache

from tfrec_div._keras import tf
from tfrec_div.data.errors import DataError, Problem


def resolve_strategy(strategy: str | tf.distribute.Strategy | None = "auto") -> tf.distribute.Strategy:
    """Returns the `tf.distribute` strategy of a name.

    Args:
        strategy: "auto" (all GPUs where there are several, else one device), "none" (one device), "mirrored" (all
            GPUs, else the CPU), "multi_worker" (several processes, which `TF_CONFIG` names), "cpu:N" (N replicas on
            N logical CPUs, to try a strategy out; before TensorFlow has used its devices), or any strategy, which
            is returned.

    Raises:
        DataError: If there is no such strategy, or it cannot be had any more.

    Example:
        >>> resolve_strategy("none").num_replicas_in_sync
        1
    """
    if isinstance(strategy, tf.distribute.Strategy):
        return strategy
    return _named(strategy or "none")


# Twice the same devices in one process would mix up what their replicas say to each other.
@cache
def _named(name: str) -> tf.distribute.Strategy:
    gpus = len(tf.config.list_logical_devices("GPU")) if name in ("auto", "mirrored") else 0
    if name == "none" or (name == "auto" and gpus < 2):
        return tf.distribute.get_strategy()
    if name in ("auto", "mirrored"):
        return tf.distribute.MirroredStrategy(None if gpus else ["CPU:0"])
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if match := re.fullmatch(r"cpu:([1-9]\d?)", name):
        return _logical_cpus(int(match[1]))
    expected = "auto, none, mirrored, multi_worker or cpu:N"
    raise DataError([Problem("strategy", None, None, expected, name)])


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether this process is the one, out of those that train together, that writes.

    Example:
        >>> is_chief(resolve_strategy("none"))
        True
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and "chief" not in resolver.cluster_spec().jobs
    )


def _logical_cpus(count: int) -> tf.distribute.Strategy:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < count:
            expected = (
                f"TensorFlow not to have used its devices yet, so that it can divide the CPU into {count}"
            )
            raise DataError([Problem("strategy", None, None, expected, str(error))]) from error
    return tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(count)])
