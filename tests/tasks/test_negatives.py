"""Each kind of negatives against a loss computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf, tfrs
from tfrec_div.data.frames import from_frames
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.masking import hit_columns
from tfrec_div.tasks.negatives import (
    Candidates,
    MemoryNegatives,
    MinedNegatives,
    ShownNegatives,
    UniformNegatives,
    mixture_probability,
)
from tfrec_div.tasks.retrieval import InBatchSoftmax

QUERY, ITEM = tf.constant([[1.0]]), tf.constant([[2.0]])


def cross_entropy(own, *others):
    return math.log(sum(math.exp(other - own) for other in (own, *others)))


def vectors(*values):
    return tf.constant(values)[:, tf.newaxis]


def test_shared_negatives_join_the_softmax_by_hand():
    # Probabilities 0.5 of the target, 0.25 and 0.125 of the others: scores become s - ln q.
    shared = Candidates(tf.constant([8, 9]), vectors(1.0, 3.0), tf.constant([0.25, 0.125]))
    loss = InBatchSoftmax()(QUERY, ITEM, tf.constant([7]), tf.constant([0.5]), shared=shared)
    expected = cross_entropy(2 + math.log(2), 1 + math.log(4), 3 + math.log(8))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_negative_drawn_twice_counts_twice_and_the_target_never():
    shared = Candidates(tf.constant([8, 7, 8]), vectors(1.0, 2.0, 1.0))
    loss = InBatchSoftmax()(QUERY, ITEM, tf.constant([7]), shared=shared)
    assert float(loss) == pytest.approx(cross_entropy(2, 1, 1), rel=1e-6)


def test_items_that_the_user_knows_are_no_negatives_of_any_kind():
    rows = tf.constant([8, 9])
    known = tf.constant([[8, -1, 7]])
    for name, candidates in {
        "shared": Candidates(rows, vectors(5.0, 1.0)),
        "memory": Candidates(rows, vectors(5.0, 1.0)),
        "own": Candidates(rows[tf.newaxis], vectors(5.0, 1.0)[tf.newaxis]),
    }.items():
        loss = InBatchSoftmax()(QUERY, ITEM, tf.constant([7]), known=known, **{name: candidates})
        assert float(loss) == pytest.approx(cross_entropy(2, 1), rel=1e-6), name


def test_in_batch_negatives_leave_out_the_history_of_each_query():
    queries, items = tf.constant([[1.0], [1.0], [1.0]]), vectors(1.0, 2.0, 3.0)
    known = tf.constant([[5, -1], [-1, -1], [4, 3]])
    loss = InBatchSoftmax()(queries, items, tf.constant([3, 4, 5]), known=known)
    rows = cross_entropy(1, 2), cross_entropy(2, 1, 3), cross_entropy(3)
    assert float(loss) == pytest.approx(sum(rows) / 3, rel=1e-6)


def test_memory_and_own_negatives_by_hand_with_empty_places():
    memory = Candidates(tf.constant([-1, 9, 7]), vectors(9.0, 1.0, 9.0))
    loss = InBatchSoftmax()(QUERY, ITEM, tf.constant([7]), memory=memory)
    assert float(loss) == pytest.approx(cross_entropy(2, 1), rel=1e-6)
    queries, items = tf.constant([[1.0], [1.0]]), vectors(1.0, 2.0)
    own = Candidates(tf.constant([[8, -1], [9, 8]]), tf.constant([[[4.0], [9.0]], [[5.0], [6.0]]]))
    loss = InBatchSoftmax(temperature=2.0)(queries, items, tf.constant([3, 4]), own=own)
    rows = cross_entropy(0.5, 1.0, 2.0), cross_entropy(1.0, 0.5, 2.5, 3.0)
    assert float(loss) == pytest.approx(sum(rows) / 2, rel=1e-6)


def test_rare_items_are_corrected_by_their_own_probability_where_tfrs_clips_it():
    ids, probability = tf.constant([0, 1]), tf.constant([1e-8, 1e-6])
    queries, items = tf.constant([[1.0], [1.0]]), vectors(1.0, 1.0)
    # The other's score is lower by ln 100, or higher.
    expected = (math.log(1 + 0.01) + math.log(1 + 100)) / 2
    loss = InBatchSoftmax()(queries, items, ids, probability)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    plain = tfrs.tasks.Retrieval()(queries, items, candidate_sampling_probability=probability)
    assert float(plain) / 2 == pytest.approx(math.log(2), rel=1e-5)


def test_the_probability_of_a_mixture_is_that_of_its_parts():
    # 30 candidates of the log, 10 uniform ones of 5 items: (30 p + 2) / 40.
    mixed = mixture_probability(tf.constant([0.1, 0.0]), tf.constant(30), 10, num_items=5)
    np.testing.assert_allclose(mixed, [5 / 40, 2 / 40], rtol=1e-6)


def test_uniform_negatives_are_uniform_and_change_with_each_step():
    negatives = UniformNegatives(1000)
    negatives.prepare(1, 10, 2)
    first, second = negatives.rows().numpy(), negatives.rows().numpy()
    assert (first != second).any()
    counts = np.bincount(np.concatenate([first, second]), minlength=10)
    assert len(counts) == 10
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200 * 0.9)


def test_a_memory_keeps_the_latest_and_stops_gradients():
    memory = MemoryNegatives(3)
    memory.prepare(1, 10, 1)
    assert memory.rows.numpy().tolist() == [-1, -1, -1]
    made = tf.Variable(vectors(1.0, 2.0))
    with tf.GradientTape() as tape:
        memory.push(tf.constant([1, 2]), made * 1.0)
        total = tf.reduce_sum(memory.vectors)
    assert tape.gradient(total, made) is None
    memory.push(tf.constant([3, 4]), vectors(3.0, 4.0))
    assert memory.rows.numpy().tolist() == [2, 3, 4]
    assert memory.vectors.numpy().ravel().tolist() == [2.0, 3.0, 4.0]


def test_hits_are_those_of_comparing_all_pairs(random):
    columns, rows = random.integers(-1, 9, 40), random.integers(-1, 9, (12, 7))
    expected = (columns[None, None] == rows[:, :, None]).any(1) & (columns >= 0)
    np.testing.assert_array_equal(hit_columns(tf.constant(columns), tf.constant(rows)), expected)


@pytest.fixture(scope="module")
def log():
    rows = [(f"u{u}", f"i{(u * 3 + n) % 12}", n) for u in range(6) for n in range(4)]
    impressions = [(f"u{u}", f"i{i}", 5, i, i == 3) for u in range(3) for i in range(12)]
    return from_frames(
        pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]),
        impressions=pd.DataFrame(
            impressions, columns=["user_id", "item_id", "timestamp", "position", "clicked"]
        ),
    )


def small(data, *negatives, **options):
    options = {"loss": "in_batch", "dropout": 0.0, "user_id_dropout": 0.0, **options}
    model = TwoTower(data.schema, features=["id"], embedding_dim=4, negatives=negatives, **options)
    model.compile(keras.optimizers.legacy.SGD(0.0))
    model.adapt(data, progress=False)
    return model


def loss_by_hand(model, batch, own=None, shared=None, memory=((), ())):
    """The loss in float64, column by column."""
    items = model.item_vectors().numpy().astype(np.float64)
    model.refresh_index()
    queries = model.query_vectors(batch).numpy().astype(np.float64)
    share = model.item_probability.numpy().astype(np.float64)
    targets = batch["item_id"].numpy()
    if shared is not None:
        drawn = len(targets) + len(memory[0])
        share = (drawn * share + len(shared) / len(share)) / (drawn + len(shared))
    losses = []
    for row, target in enumerate(targets):
        taken = {target, *batch["history"].numpy()[row]}
        columns = [(i, items[i]) for i in [*targets, *(() if shared is None else shared)]]
        columns += list(zip(*memory, strict=True)) if len(memory[0]) else []
        columns += [(i, items[i]) for i in (() if own is None else own[row]) if i >= 0]
        scores = [queries[row] @ v - np.log(share[i]) for i, v in columns if i not in taken]
        losses.append(cross_entropy(queries[row] @ items[target] - np.log(share[target]), *scores))
    return np.mean(batch["weight"].numpy() * losses)


def test_the_model_mixes_uniform_negatives_and_memory_by_hand(log):
    model = small(log, UniformNegatives(5), MemoryNegatives(30))
    uniform, memory = model.sampling.negatives
    old = np.array([2, 3, 3]), np.random.default_rng(0).normal(size=(3, 5))
    memory.push(tf.constant(old[0], tf.int32), tf.constant(old[1], tf.float32))
    batch = next(iter(log.batches(7, horizon=0)))
    rows = uniform.rows().numpy()
    uniform.step.assign(0)
    expected = loss_by_hand(model, batch, shared=rows, memory=old)
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(expected, rel=1e-5)
    assert memory.rows.numpy()[-7:].tolist() == batch["item_id"].numpy().tolist()


def test_mined_negatives_are_the_best_unknown_items_of_the_index_by_hand(log):
    model = small(log, MinedNegatives(3, pool=3))
    model.item_bias.assign(np.random.default_rng(1).normal(size=12))
    model.sampling.mine(model, log)
    scores = model.index.scores(model.query_vectors(model.query_of(log, range(6)))).numpy()
    best = []
    for user in range(6):
        known = set(log.interactions.item[log.interactions.user == user])
        best.append([i for i in np.argsort(-scores[user]) if i not in known][:3])
    assert model.sampling.negatives[0].pools.numpy().tolist() == best
    batch = next(iter(log.batches(7, horizon=0)))
    expected = loss_by_hand(model, batch, own=np.array(best)[batch["user_id"].numpy()])
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(expected, rel=1e-5)


def test_mined_negatives_are_drawn_from_the_pool_and_mined_anew_each_epoch(log, monkeypatch):
    model = small(log, MinedNegatives(2, pool=5))
    mined = []
    original = MinedNegatives.mine

    def count(self, *arguments):
        original(self, *arguments)
        mined.append(self.pools.numpy())

    monkeypatch.setattr(MinedNegatives, "mine", count)
    model.fit(log.batches(8), epochs=3, verbose=0)
    assert len(mined) == 3
    users = tf.range(6)
    rows = model.sampling.negatives[0].rows({"user_id": users}).numpy()
    for user in range(6):
        assert len(set(rows[user])) == 2
        assert set(rows[user]) <= set(mined[-1][user])


def test_shown_negatives_are_what_was_passed_over_by_hand(log):
    model = small(log, ShownNegatives(4))
    batch = next(iter(log.batches(24, horizon=0, negatives=4)))
    owned = {u: set(log.interactions.item[log.interactions.user == u]) for u in range(6)}
    clicked = log.schema.item_rows(["i3"])[0]
    for user, row in zip(batch["user_id"].numpy(), batch["negative_id"].numpy(), strict=True):
        if user >= 3:
            assert row.tolist() == [-1] * 4
        else:
            assert len(set(row)) == 4
            assert not set(row) & (owned[user] | {clicked, -1})
    expected = loss_by_hand(model, batch, own=batch["negative_id"].numpy())
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(expected, rel=1e-5)
    # `fit` asks the batches for them by itself.
    assert np.isfinite(model.fit(log.batches(8), verbose=0).history["loss"][0])


def test_negatives_are_in_the_configuration(log):
    model = small(
        log, UniformNegatives(5, seed=3), MemoryNegatives(6), MinedNegatives(2, 4), ShownNegatives(3)
    )
    again = TwoTower.from_config(model.get_config())
    names = ("UniformNegatives", "MemoryNegatives", "MinedNegatives", "ShownNegatives")
    assert tuple(type(kind).__name__ for kind in again.sampling.negatives) == names
    found = [kind.get_config() for kind in again.sampling.negatives]
    assert [(c["number"], c.get("pool"), c.get("seed")) for c in found] == [
        (5, None, 3), (6, None, None), (2, 4, 0), (3, None, None),
    ]  # fmt: skip
    assert isinstance(small(log, UniformNegatives(5), loss="auto").task, InBatchSoftmax)


def test_negatives_that_make_no_sense_are_refused(log, shop):
    with pytest.raises(ValueError, match="negatives: the loss 'full' has all items"):
        small(log, UniformNegatives(5), loss="full")
    with pytest.raises(ValueError, match=r"expected different kinds of Negatives, got .*Uniform.*Uniform"):
        small(log, UniformNegatives(5), UniformNegatives(6))
    with pytest.raises(ValueError, match="number must be at least 1, got 0"):
        MemoryNegatives(0)
    with pytest.raises(ValueError, match=r"pool must be at least number \(8\), got 4"):
        MinedNegatives(8, pool=4)
    with pytest.raises(ValueError, match="negatives: the data set has no impressions"):
        from_frames(pd.DataFrame({"user_id": ["u"], "item_id": ["i"]})).batches(2, negatives=3)
