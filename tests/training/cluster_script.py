"""One process of a cluster, or the whole of a training without one; see `test_cluster.py`."""

from __future__ import annotations

import json
import sys

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.optimizers import LazyAdam
from tfrec_div.training.strategy import resolve_strategy


def fit(strategy, data, loss, optimizer, batches):
    """Trains an epoch; returns the loss, what `evaluate` says, and how far each variable moved."""
    with strategy.scope():
        model = TwoTower(data.schema, embedding_dim=8, loss=loss, dropout=0.0, user_id_dropout=0.0)
        model.compile(optimizer)
    model.adapt(data, progress=False)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 0.3, variable.shape).astype(np.float32))
    before = [variable.numpy() for variable in model.trainable_variables]
    (found,) = model.fit(batches, verbose=0).history["loss"]
    moved = [v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)]
    evaluated = model.evaluate(data.batches(61, context=data), verbose=0, return_dict=True)
    return {"loss": found, "evaluated": evaluated, "moved": [m.ravel().tolist() for m in moved]}


def serve(strategy, data):
    """Trains by parameter servers; the losses, and what `evaluate` says there and of a copy in this process."""
    with strategy.scope():
        model = TwoTower(data.schema, embedding_dim=8)
        model.compile()
    batches, held_out = data.batches(32), data.batches(61, context=data)
    history = model.fit(batches, epochs=6, validation_data=held_out.as_dataset(epochs=1), verbose=0).history
    copy = TwoTower.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    copy.compile()
    sides = [one.evaluate(held_out, verbose=0, return_dict=True) for one in (model, copy)]
    return {"history": history, "evaluated": sides, "steps": int(model.optimizer.iterations.numpy())}


def strategy_of(name):
    """Makes the strategy of a name; with parameter servers all but the chief serve until they are ended."""
    if name != "parameter_server":
        return resolve_strategy(name)
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type != "chief":
        server = tf.distribute.Server(
            resolver.cluster_spec(), job_name=resolver.task_type, task_index=resolver.task_id, protocol="grpc"
        )
        server.join()
    return tf.distribute.ParameterServerStrategy(resolver)


def main():
    name, out = sys.argv[1:]
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    strategy = strategy_of(name)
    data = make_synthetic(40, 30, interactions_per_user=8, images=False, seed=3)
    step, epoch = data.batches(len(data.interactions), horizon=0), data.batches(61, max_history=10)
    found = {}
    if name == "parameter_server":
        found = serve(strategy, data)
    for loss in () if found else ("full", "in_batch"):
        with strategy.scope():
            descent, adam = keras.optimizers.legacy.SGD(1.0), LazyAdam(1e-2)
        found[f"{loss}_step"] = fit(strategy, data, loss, descent, step)
        found[f"{loss}_epoch"] = fit(strategy, data, loss, adam, epoch)
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"replicas": strategy.num_replicas_in_sync, **found}, file)


if __name__ == "__main__":
    main()
