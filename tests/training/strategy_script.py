"""One device against two logical ones; run as a process of its own, since devices are divided only once."""

from __future__ import annotations

import json

import numpy as np

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.encoder_decoder import EncoderDecoder
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.optimizers import LazyAdam
from tfrec_div.rerank.mmr import MMR
from tfrec_div.tasks.negatives import MemoryNegatives, MinedNegatives, UniformNegatives
from tfrec_div.towers.text import TextEncoder
from tfrec_div.training.callbacks import BeyondAccuracy
from tfrec_div.training.strategy import resolve_strategy


def run(strategy, data, loss, negatives, optimizer, batches):
    """Trains an epoch; returns the loss, how much the variables moved, and the model."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = TwoTower(
            data.schema, embedding_dim=8, loss=loss, dropout=0.0, user_id_dropout=0.0, negatives=negatives
        )
        model.compile(optimizer())
    model.adapt(data, progress=False)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 0.3, variable.shape).astype(np.float32))
    before = [variable.numpy() for variable in model.trainable_variables]
    history = model.fit(batches, verbose=0).history["loss"][0]
    moved = [v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)]
    return history, moved, model


def tfrs_loss(strategy, rows):
    """The loss of plain TFRS on `rows` examples with all scores equal."""
    task = tfrs.tasks.Retrieval()
    vectors = tf.data.Dataset.from_tensors(tf.zeros([rows, 2])).unbatch().batch(rows)

    @tf.function
    def step(batch):
        return strategy.run(lambda x: task(x, x, compute_metrics=False), args=(batch,))

    batch = next(iter(strategy.experimental_distribute_dataset(vectors)))
    return float(strategy.reduce("SUM", step(batch), axis=None)) / rows


def our_loss(strategy, rows):
    from tfrec_div.tasks.retrieval import InBatchSoftmax

    task = InBatchSoftmax()
    elements = (
        tf.data.Dataset.from_tensors({"x": tf.zeros([rows, 2]), "id": tf.range(rows)}).unbatch().batch(rows)
    )

    @tf.function
    def step(batch):
        return strategy.run(lambda b: task(b["x"], b["x"], item_ids=b["id"]), args=(batch,))

    batch = next(iter(strategy.experimental_distribute_dataset(elements)))
    return float(strategy.reduce("SUM", step(batch), axis=None))


def trained_model(strategy, data):
    """One step of a model whose text tower is trained; the loss, and how far each weight moved."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        text = TextEncoder.from_pretrained("tiny", max_tokens=12, trainable_layers=1)
        for layer in text.layer.submodules:
            if hasattr(layer, "_rate"):
                layer._rate = 0.0
        model = TwoTower(
            data.schema, text=text, fusion="gated", embedding_dim=8, dropout=0.0, user_id_dropout=0.0
        )
        model.compile(keras.optimizers.legacy.SGD(1.0))
    model.adapt(data, progress=False)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(random.normal(0, 0.1, variable.shape).astype(np.float32))
    before = [variable.numpy() for variable in model.trainable_variables]
    loss = model.fit(data.batches(len(data.interactions), horizon=0), verbose=0).history["loss"][0]
    moved = [v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)]
    bert = ["layer_._1" in variable.name for variable in model.trainable_variables]
    return float(loss), moved, bert


def encoder_decoder(strategy, data, **options):
    """One step on users of whom each has targets of another number; the loss, and how far each weight moved."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        # What is masked is drawn by each replica for itself.
        model = EncoderDecoder(
            data.schema, mode="next", embedding_dim=8, dropout=0.0, batch_users=31, **options
        )
        model.compile(keras.optimizers.legacy.SGD(1.0))
    model.adapt(data, progress=False)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(random.normal(0, 0.2, variable.shape).astype(np.float32))
    before = [variable.numpy() for variable in model.trainable_variables]
    loss = model.fit(data.batches(len(data.interactions)), verbose=0).history["loss"][0]
    return float(loss), [v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)]


def beyond_accuracy(strategy, parts):
    """What the callback logs in two epochs without dropout."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = TwoTower(parts[0].schema, embedding_dim=8, dropout=0.0, user_id_dropout=0.0)
        model.compile()
    callback = BeyondAccuracy(*parts, k=5, reranker=MMR(k=5, diversity=0.5))
    history = model.fit(parts[0].batches(64), epochs=2, verbose=0, callbacks=[callback]).history
    return {name: values for name, values in history.items() if "@" in name}


def main():
    two, one = resolve_strategy("cpu:2"), resolve_strategy("none")
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    data = make_synthetic(60, 50, interactions_per_user=12, images=False, seed=3)
    count = len(data.interactions)
    found = {"replicas": two.num_replicas_in_sync, "tfrs": tfrs_loss(two, 256), "ours": our_loss(two, 256)}
    negatives = [UniformNegatives(20), MemoryNegatives(100), MinedNegatives(3, 3)]
    # One step is compared by plain gradients; an epoch of odd batches, the last one smaller, by what is reported.
    whole = data.batches(count, horizon=0)
    odd = data.batches(61, max_history=10)
    descent, adam = (lambda: keras.optimizers.legacy.SGD(1.0)), (lambda: LazyAdam(1e-2))
    for name, loss, kinds, optimizer, batches in (
        ("full", "full", (), descent, whole),
        ("in_batch", "in_batch", (), descent, whole),
        ("full_epoch", "full", (), adam, odd),
        ("in_batch_epoch", "in_batch", (), adam, odd),
        ("negatives", "in_batch", negatives, descent, whole),
    ):
        sides = [run(strategy, data, loss, kinds, optimizer, batches) for strategy in (one, two)]
        (a, moved, _), (b, also_moved, _) = sides
        found[name] = {
            "loss": [float(a), float(b)],
            "gradient": max(
                float(np.abs(x - y).max() / np.abs(x).max()) for x, y in zip(moved, also_moved, strict=True)
            ),
        }
        if batches is odd:
            held_out = data.batches(61, context=data)
            found[name]["evaluated"] = [
                model.evaluate(held_out, verbose=0, return_dict=True) for *_, model in sides
            ]
    (one_loss, moved, bert), (two_loss, also_moved, _) = (trained_model(s, data) for s in (one, two))
    sizes = [float(np.abs(m).max()) for m in moved]
    # Attention does not depend on the bias of its keys: that one's gradient is rounding.
    least = 1e-4 * max(sizes)
    found["trained"] = {
        "loss": [one_loss, two_loss],
        "gradient": [
            float(np.abs(x - y).max() / max(size, least))
            for x, y, size in zip(moved, also_moved, sizes, strict=True)
        ],
        "bert_moved": sum(size > least for size, of_bert in zip(sizes, bert, strict=True) if of_bert),
    }
    for name, options in (("full", {}), ("sampled", {"sampling": "sampled", "negatives": 9})):
        (one_loss, moved), (two_loss, also_moved) = (encoder_decoder(s, data, **options) for s in (one, two))
        least = 1e-4 * max(float(np.abs(m).max()) for m in moved)
        found[f"encoder_decoder_{name}"] = {
            "loss": [one_loss, two_loss],
            "gradient": max(
                float(np.abs(x - y).max() / max(np.abs(x).max(), least))
                for x, y in zip(moved, also_moved, strict=True)
            ),
        }
    parts = data.split("temporal", test=0.2)
    found["beyond"] = [beyond_accuracy(strategy, parts) for strategy in (one, two)]
    # Dropout counts each step once, whatever the replicas; two replicas draw differently.
    with two.scope():
        model = TwoTower(data.schema, embedding_dim=8)
        model.compile()
    model.fit(odd, epochs=2, verbose=0)
    found["dropout_steps"] = [int(model.query_tower.dropout.step.numpy()), 2 * len(odd)]
    found["default_loss"] = model.fit(odd, verbose=0).history["loss"][0]
    # What each replica is given: a part of the batch, and nothing twice.
    seen = []
    for batch in two.experimental_distribute_dataset(odd.as_dataset(epochs=1)):
        parts = [[tuple(map(int, p)) for p in zip(u.numpy(), i.numpy(), strict=True)] for u, i in zip(
            two.experimental_local_results(batch["user_id"]),
            two.experimental_local_results(batch["item_id"]), strict=True)]  # fmt: skip
        found.setdefault("parts", [len(part) for part in parts])
        seen += [pair for part in parts for pair in part]
    log = data.interactions
    found["each_once"] = sorted(seen) == sorted(map(tuple, np.stack([log.user, log.item], 1).tolist()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
