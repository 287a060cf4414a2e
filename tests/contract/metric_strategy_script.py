"""Every Keras metric on one device and on two logical ones; run as a process of its own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from tfrec_div._keras import tf


def load_contract():
    """The module of the tests, with its makers."""
    path = Path(__file__).with_name("test_metric_contract.py")
    spec = importlib.util.spec_from_file_location("contract", path)
    contract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    return contract


def values(strategy, makers, rows):
    """The value of each metric after two batches, divided over the devices."""
    with strategy.scope():
        metrics = [maker() for maker in makers]
    lists = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(rows).batch(10))

    def update(part):
        for metric in metrics:
            metric.update_state(part)

    @tf.function
    def step(batch):
        strategy.run(update, args=(batch,))

    for batch in lists:
        step(batch)
    return [float(metric.result()) for metric in metrics]


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    contract = load_contract()
    strategies = (
        tf.distribute.OneDeviceStrategy("CPU:0"),
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    )
    rows = contract.some_rows(12)
    print(json.dumps([values(strategy, contract.MAKERS.values(), rows) for strategy in strategies]))


if __name__ == "__main__":
    main()
