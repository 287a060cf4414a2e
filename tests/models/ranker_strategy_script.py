"""Trains a ranker of several tasks on one device and on two; prints the losses and a weight of each as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import ranking_lists


def main() -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    data = make_synthetic(
        num_users=40, num_items=30, interactions_per_user=12, seed=2, ratings=True, images=False
    )
    before, after = data.split("temporal", test=0.25)
    popular = MostPopular(before.schema)
    popular.fit(before.batches(64))
    lists = replace(ranking_lists(popular, before, after, num_candidates=12, batch_size=20), shuffle=False)
    found = []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            ranker = Ranker(
                before.schema, tasks=("relevance", "rating"), embedding_dim=4, hidden_units=(8,), dropout=0.0
            )
            ranker.compile(0.01)
        ranker.adapt(lists)
        losses = ranker.fit(lists, epochs=3, verbose=0).history["loss"]
        moved = float(np.abs(ranker.outputs_of.heads["rating"].kernel.numpy()).sum())
        found.append([*losses, moved])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
