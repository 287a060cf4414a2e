"""What TensorFlow Recommenders 0.7.7 gets wrong, and this package right: each by its numbers.

The fourth defect, negatives that stay local to a replica, needs two devices: see `training/test_strategy.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.index.brute_force import BruteForce
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.retrieval import InBatchSoftmax


class Plain(tfrs.Model):
    """The tutorial's model."""

    def __init__(self, users, items, **task):
        super().__init__()
        self.user_model = keras.layers.Embedding(users, 8)
        self.item_model = keras.layers.Embedding(items, 8)
        self.task = tfrs.tasks.Retrieval(**task)

    def compute_loss(self, inputs, training=False):
        queries, items = self.user_model(inputs["user_id"]), self.item_model(inputs["item_id"])
        return self.task(queries, items, candidate_ids=inputs["item_id"], compute_metrics=False)


def rows_of(data, count):
    log = data.interactions
    return {"user_id": log.user[:count], "item_id": log.item[:count]}


# ---------------------------------------------------------------- 1: the loss that is reported


def test_evaluate_reports_the_last_batch_there_and_the_mean_of_all_rows_here(shop):
    # 41 rows by 8: the last batch is one row, told from nothing, so that its loss is 0.
    plain = Plain(60, 50)
    plain.compile(optimizer="sgd")
    batches = tf.data.Dataset.from_tensor_slices(rows_of(shop, 41)).batch(8)
    assert plain.evaluate(batches, verbose=0, return_dict=True)["loss"] == 0.0

    few = shop.subset(shop.interactions.take(np.arange(41)))
    model = TwoTower(shop.schema, embedding_dim=8, loss="in_batch")
    model.compile()
    model.adapt(few, progress=False)
    own = few.batches(8, shuffle=False, horizon=0)
    by_batch = [(float(model.compute_loss(batch)), len(batch["item_id"])) for batch in own]
    expected = sum(loss * rows for loss, rows in by_batch) / 41
    assert [rows for _, rows in by_batch] == [8] * 5 + [1]
    assert by_batch[-1][0] == pytest.approx(0.0, abs=1e-6)
    found = model.evaluate(own, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(expected, rel=1e-5)
    assert found > 0.3


# ---------------------------------------------------------------- 2: ties


def test_a_collapsed_model_is_perfect_by_scores_there_and_found_out_here(shop):
    items = tf.zeros([100, 4])
    metric = tfrs.metrics.FactorizedTopK(tf.data.Dataset.from_tensors(items), ks=(1,))
    metric.update_state(tf.ones([10, 4]), tf.zeros([10, 4]))
    assert float(metric.result()[0]) == 1.0

    train, test = shop.split("temporal")
    model = TwoTower(train.schema, embedding_dim=8, content_profile=False)
    model.compile()
    model.adapt(train, progress=False)
    for weight in (*model.item_tower.trainable_variables, model.item_bias):
        weight.assign(tf.zeros_like(weight))
    found = model.evaluate(test.batches(500, context=train), verbose=0, return_dict=True)
    assert found["recall_at_10"] == 0.0


# ---------------------------------------------------------------- 3: the catalogue, again and again


def test_the_catalogue_is_encoded_for_every_batch_there_and_once_here(shop):
    encoded = []

    def encode(rows):
        encoded.append(1)
        return tf.zeros([len(rows), 4])

    candidates = tf.data.Dataset.range(50).batch(50)
    metric = tfrs.metrics.FactorizedTopK(
        candidates.map(lambda rows: (rows, tf.py_function(encode, [rows], tf.float32))), ks=(1,)
    )
    for _ in range(5):
        metric.update_state(tf.zeros([2, 4]), tf.zeros([2, 4]), true_candidate_ids=tf.zeros([2, 1], tf.int64))
    assert len(encoded) == 5

    train, test = shop.split("temporal")
    model = TwoTower(train.schema, embedding_dim=8, loss="in_batch")
    model.compile()
    model.adapt(train, progress=False)
    whole = []
    original = model.item_vectors
    model.item_vectors = lambda *arguments: whole.append(1) or original(*arguments)
    batches = test.batches(20, context=train)
    assert len(batches) >= 5
    model.evaluate(batches, verbose=0)
    assert len(whole) == 1


# ---------------------------------------------------------------- 5: mixed precision


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_16_bits_crash_there_and_train_here(policy, shop):
    keras.mixed_precision.set_global_policy(policy)
    try:
        plain = Plain(60, 50)
        plain.compile(optimizer="adam")
        with pytest.raises(TypeError, match=r"type float32 that does not match type b?float16"):
            plain.fit(tf.data.Dataset.from_tensor_slices(rows_of(shop, 64)).batch(32), verbose=0)
        model = TwoTower(shop.schema, embedding_dim=8)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.compile()
    losses = model.fit(shop.batches(64), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    if policy == "mixed_float16":
        assert float(model.optimizer.loss_scale) >= 1024


def test_the_loss_is_rounded_to_bfloat16_there_and_float32_here():
    # Two items with equal scores: ln 2 a row. The sum of both, 1.386294, is 1.3828125 in bfloat16.
    vectors, ids = tf.ones([2, 4], tf.bfloat16), tf.constant([1, 2])
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        plain = tfrs.tasks.Retrieval(remove_accidental_hits=True)(vectors, vectors, candidate_ids=ids)
        ours = InBatchSoftmax()(vectors, vectors, item_ids=ids)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert float(plain) == 1.3828125
    assert float(ours) == pytest.approx(math.log(2), rel=1e-6)


# ---------------------------------------------------------------- 6: exclusions and k


def test_exclusions_raise_or_leak_there_and_never_here(tmp_path):
    vectors = tf.constant([[3e5], [1.0], [2.0]])
    query, ids = tf.constant([[1.0]]), tf.range(3)
    plain = tfrs.layers.factorized_top_k.BruteForce(k=2)
    plain.index(vectors, ids)
    # Its penalty is 100,000, and the score of the excluded item 300,000.
    _, leaked = plain.query_with_exclusions(query, tf.constant([[0]]), k=2)
    assert 0 in leaked.numpy()
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match="must have last dimension >= k"):
        plain.query_with_exclusions(query, tf.constant([[0]]), k=3)

    index = BruteForce(dim=1)
    index.update(vectors)
    for k, expected in ((2, [2, 1]), (3, [2, 1, -1]), (9, [2, 1, -1])):
        assert index(query, k=k, exclude=tf.constant([[0]]))[0].numpy().tolist() == [expected]


def test_k_and_names_are_fixed_by_saving_there_and_arguments_here(recommender, tmp_path):
    plain = tfrs.layers.factorized_top_k.BruteForce(k=2)
    plain.index(tf.constant([[3.0], [1.0], [2.0]]))
    plain(tf.constant([[1.0]]))
    tf.saved_model.save(plain, str(tmp_path / "plain"))
    saved = tf.saved_model.load(str(tmp_path / "plain"))
    assert set(saved.signatures["serving_default"].structured_outputs) == {"output_1", "output_2"}
    with pytest.raises((ValueError, TypeError)):
        saved(tf.constant([[1.0]]), k=1)

    from tfrec_div.serving.export import export

    version = export(recommender, tmp_path / "ours", verify=False)
    recommend = tf.saved_model.load(str(version)).signatures["recommend"]
    assert {"item_ids", "scores", "valid"} <= set(recommend.structured_outputs)
    given = {
        name: tf.fill([1] * len(spec.shape), "" if spec.dtype == tf.string else tf.cast(0, spec.dtype))
        for name, spec in recommend.structured_input_signature[1].items()
    }
    given["user_id"] = tf.constant(["u01"])
    for k in (1, 3):
        assert recommend(**{**given, "k": tf.constant([k])})["item_ids"].shape == (1, k)
