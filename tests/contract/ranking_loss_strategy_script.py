"""Every ranking loss, and the sum of tasks, on one device and on two logical ones; run as a process of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from tfrec_div._keras import tf
from tfrec_div.tasks.uncertainty import UncertaintyWeighting


def load_contract():
    """The module of the tests, with its makers."""
    path = Path(__file__).with_name("test_ranking_loss_contract.py")
    # What it imports from other tests is found from the root of the repository.
    sys.path.insert(0, str(path.parents[2]))
    spec = importlib.util.spec_from_file_location("contract", path)
    contract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    return contract


def values(devices, makers, lists):
    """The mean of each loss, and their weighted sum; the first of two devices has two lists, the second three."""
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        losses = {name: maker() for name, maker in makers.items()}
        weighting = UncertaintyWeighting(dict.fromkeys(makers, "classification"))
        for variance in weighting.log_variances.values():
            variance.assign(0.7)

    def own(context):
        parts = [slice(0, 5)] if len(devices) == 1 else [slice(0, 2), slice(2, 5)]
        return tuple(tf.constant(x[parts[context.replica_id_in_sync_group]]) for x in lists)

    @tf.function
    def means(*part):
        found = {name: loss.mean(*part) for name, loss in losses.items()}
        return [*found.values(), weighting(found)]

    shares = strategy.run(means, strategy.experimental_distribute_values_from_function(own))
    return [float(strategy.reduce("SUM", share, axis=None)) for share in shares]


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    contract = load_contract()
    lists = contract.some_lists(13, batch=5)
    lists[2][1] = False  # an empty list
    print(
        json.dumps([values(devices, contract.MAKERS, lists) for devices in (["CPU:0"], ["CPU:0", "CPU:1"])])
    )


if __name__ == "__main__":
    main()
