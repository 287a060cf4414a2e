"""One process of a cluster, or the whole of a training without one; see `test_cluster.py`."""

from __future__ import annotations

import json
import os
import sys

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.training.strategy import resolve_strategy


def fit(strategy, data, loss):
    """Trains two epochs by plain gradient descent; returns the losses, what `evaluate` says and a checksum."""
    with strategy.scope():
        model = TwoTower(data.schema, embedding_dim=8, loss=loss, dropout=0.0, user_id_dropout=0.0)
        model.compile(keras.optimizers.legacy.SGD(0.5))
    model.adapt(data, progress=False)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 0.3, variable.shape).astype(np.float32))
    losses = model.fit(data.batches(61, max_history=10), epochs=2, verbose=0).history["loss"]
    found = model.evaluate(data.batches(61, context=data), verbose=0, return_dict=True)
    total = sum(float(np.abs(variable.numpy()).sum()) for variable in model.trainable_variables)
    return {"losses": losses, "evaluated": found, "weights": total}


def main():
    name, out = sys.argv[1:]
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    strategy = resolve_strategy(name)
    data = make_synthetic(40, 30, interactions_per_user=8, images=False, seed=3)
    found = {loss: fit(strategy, data, loss) for loss in ("full", "in_batch")}
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"replicas": strategy.num_replicas_in_sync, **found}, file)


if __name__ == "__main__":
    main()
