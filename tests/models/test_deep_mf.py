"""Deep matrix factorisation: rows and columns through layers, without the target, with a text or not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div import from_frames
from tfrec_div._keras import keras, tf
from tfrec_div.models.deep_mf import DeepMF
from tfrec_div.models.matrix_parts import item_columns, user_rows
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR
from tfrec_div.towers.sparse_mlp import SparseMLP


@pytest.fixture(scope="module")
def small():
    """Ratings 5 of u0 for a and b, of u1 for b; nobody rated c; u2 has none. Strength 1 each."""
    log = pd.DataFrame({"user_id": ["u0", "u0", "u1"], "item_id": ["a", "b", "b"], "timestamp": [1, 2, 3]})
    users = pd.DataFrame({"user_id": ["u0", "u1", "u2"]})
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["red shoe", "blue shoe", "red shoe"]})
    return from_frames(log, items=items, users=users)


def linear(data, **options):
    """A model whose vectors are the first layers' sums: one layer a side, with weights that can be reckoned with."""
    model = DeepMF(data.schema, embedding_dim=2, hidden_units=(), dropout=0.0, column_dropout=0.0, **options)
    model.adapt(data, progress=False)
    model.user_layers.embeddings.assign([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])
    model.item_layers.embeddings.assign([[1.0, 1.0], [0.0, 3.0], [7.0, 7.0]])
    model.item_bias.assign([0.5, -0.5, 0.0])
    model.refresh_index()
    return model


def test_the_layers_are_those_of_an_mlp_on_the_dense_row():
    layer = SparseMLP(3, [2, 2])
    layer.embeddings.assign([[1.0, -1.0], [2.0, 0.0], [0.0, 9.0]])
    layer.bias.assign([0.0, 0.5])
    layer.layers[0].set_weights([np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([0.0, 0.25])])
    # Row (3, 1, 0): (3, -3) + (2, 0) = (5, -3); over the root of 4: (2.5, -1.5); ReLU of + bias: (2.5, 0).
    # An empty row: ReLU of the bias (0, 0.5), so (0.5, 1 + 0.25).
    found = layer(tf.constant([[1, 0], [-1, -1]]), tf.constant([[1.0, 3.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[2.5, 0.25], [0.5, 1.25]], rtol=1e-6)
    # Row (-3, 1, 0): (-3, 3) + (2, 0) = (-1, 3); over the root of 4: (-0.5, 1.5); ReLU of + bias: (0, 2).
    found = layer(tf.constant([[1, 0]]), tf.constant([[1.0, -3.0]]))
    np.testing.assert_allclose(found, [[2.0, 4.25]], rtol=1e-6)


def test_scores_are_products_of_rows_and_columns(small):
    model = linear(small)
    query = model.query_of(small, [0, 1, 2])
    # Rows: u0 (1, 2) / sqrt 2, u1 (0, 2), u2 nothing. Columns: a (1, 1), b (1, 4) / sqrt 2, c nothing.
    root = 2**0.5
    expected = [
        [3 / root + 0.5, 9 / 2 - 0.5, 0.0],
        [2 + 0.5, 8 / root - 0.5, 0.0],
        [0.5, -0.5, 0.0],
    ]
    np.testing.assert_allclose(model.scores(query), expected, rtol=1e-5, atol=1e-6)


def test_a_pair_is_scored_without_the_user_in_the_column(small):
    model = linear(small)
    pair = {"user_id": [1], "item_id": [1], "history": [[0]], "history_weight": [[1.0]]}
    pair = {name: tf.constant(value) for name, value in pair.items()}
    # History a: (1, 0). The column of b without u1 is that of u0: (1, 1).
    np.testing.assert_allclose(model(pair), [1.0 - 0.5], rtol=1e-6)
    # u0 alone has met a: without u0 its column is empty.
    pair["user_id"], pair["item_id"] = tf.constant([0]), tf.constant([0])
    np.testing.assert_allclose(model(pair), [0.5], rtol=1e-6)


def test_the_softmax_leaves_out_what_the_user_has_met_and_what_nobody_has(small):
    model = linear(small)
    batch = {"user_id": [1], "item_id": [1], "history": [[-1]], "history_weight": [[0.0]], "weight": [1.0]}
    batch = {name: tf.constant(value) for name, value in batch.items()}
    # No history: scores are the biases; of b -0.5 against a 0.5. c, which nobody has met, is out.
    expected = np.log(1 + np.exp(0.5 - -0.5))
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(expected, rel=1e-5)
    # With history a, (1, 0): b without u1 is (1, 1) - 0.5, against a, (1, 1) + 0.5.
    with_history = {**batch, "history": tf.constant([[0]]), "history_weight": tf.constant([[1.0]])}
    expected = np.log(1 + np.exp(1.5 - 0.5))
    assert float(model.compute_loss(with_history, training=True)) == pytest.approx(expected, rel=1e-5)
    # u0 has met a and b, so nothing is left against either.
    batch |= {"user_id": tf.constant([0])}
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(0.0, abs=1e-6)


def test_the_pointwise_losses_are_those_of_the_paper(small):
    batch = {"user_id": [1], "item_id": [1], "history": [[0]], "history_weight": [[1.0]], "weight": [1.0]}
    batch = {name: tf.constant(value) for name, value in batch.items()}
    # Of the items drawn, b is met and c has an empty column, which scores 0; a is (1, 1) + bias.
    squared = linear(small, loss="squared", negatives=200)
    squared.item_bias.assign([0.0, 0.0, 0.0])
    # The score of b without u1 is 1, as its entry: no error is left; each a that was drawn adds 1.
    drawn_a = float(squared.compute_loss(batch, training=True))
    assert drawn_a == pytest.approx(round(drawn_a), abs=1e-4)
    assert 40 < drawn_a < 95
    cosine = linear(small, loss="cross_entropy", negatives=200)
    cosine.item_bias.assign([0.0, 0.0, 0.0])
    # The cosine of (1, 0) and (1, 1) is the root of a half, for b as for each a; the draws are the same.
    root = 0.5**0.5
    expected = -np.log(root) - round(drawn_a) * np.log(1 - root)
    assert float(cosine.compute_loss(batch, training=True)) == pytest.approx(expected, rel=1e-3)


def test_columns_and_rows_of_the_matrix():
    log = from_frames(
        pd.DataFrame(
            {
                "user_id": ["u0", "u0", "u1", "u1"],
                "item_id": ["a", "b", "b", "b"],
                "rating": [1.0, 5.0, 3.0, 5.0],
                "timestamp": [1, 2, 3, 4],
            }
        )
    ).interactions
    users, strength = item_columns(log, 3)
    assert users.tolist() == [[0, -1, -1], [0, 1, 1]]
    np.testing.assert_allclose(np.sort(strength[1]), [0.3, 1.0, 1.0])
    np.testing.assert_allclose(strength[0], [0.1, 0, 0])
    codes, entries, starts = user_rows(log)
    # u1 rated b twice: the stronger one counts.
    assert (codes.tolist(), starts.tolist()) == ([0, 1, 3], [0, 2, 3])
    np.testing.assert_allclose(entries, [0.1, 1.0, 1.0])


def test_with_text_the_product_is_the_sum_of_both(small):
    plain, hybrid = linear(small), linear(small, text="tiny", text_dim=2)
    query = hybrid.query_of(small, [0, 1, 2])
    added = hybrid.scores(query).numpy() - plain.scores(query).numpy()
    # a and c have one title, b another: centred over the met a and b they point opposite ways, with length 1.
    np.testing.assert_allclose(added[1], [-1, 1, -1], atol=1e-4)
    np.testing.assert_allclose(added[[0, 2]], 0, atol=1e-4)


@pytest.fixture(scope="module")
def trained(parts, cache_dir):
    keras.utils.set_random_seed(0)
    model = DeepMF(parts[0].schema, embedding_dim=8, hidden_units=(16,), text="tiny", text_dim=8)
    model.compile()
    model.adapt(parts[0], cache_dir=cache_dir, progress=False)
    model.fit(parts[0].batches(64), epochs=3, verbose=0)
    return model


@pytest.mark.parametrize("loss", ["softmax", "squared", "cross_entropy"])
def test_it_learns_what_goes_together(loss):
    """Half of the users take the even items, the others the odd ones."""
    random = np.random.default_rng(1)
    log = pd.DataFrame(
        [
            (f"u{u}", f"i{2 * i + u % 2}", t)
            for u in range(40)
            for t, i in enumerate(random.permutation(10)[:6])
        ],
        columns=["user_id", "item_id", "timestamp"],
    )
    data = from_frames(log)
    keras.utils.set_random_seed(0)
    model = DeepMF(data.schema, embedding_dim=8, hidden_units=(16,), loss=loss)
    model.compile()
    model.fit(data.batches(64), epochs=40, verbose=0)
    # One interaction is enough to tell.
    first = data.interactions.take(np.unique(data.interactions.user, return_index=True)[1])
    query = model.query_of(data.subset(first), range(40))
    rows, _ = model.retrieve(query, k=4, exclude=query["history"])
    kind = np.array([int(item_id[1:]) % 2 for item_id in data.schema.item_ids])
    wanted = np.array([int(user_id[1:]) % 2 for user_id in data.schema.user_ids])
    assert (kind[rows.numpy()] == wanted[:, None]).mean() > 0.9


def test_it_is_served_to_users_with_one_interaction_and_with_none(trained, parts):
    train, _ = parts
    first = np.unique(train.interactions.user, return_index=True)[1]
    one_each = train.subset(train.interactions.take(first[1:]))
    recommender = Recommender(trained, one_each, reranker=MMR(k=5), num_candidates=20)
    pages = recommender.recommend([*train.schema.user_ids[:3], "nobody"])
    assert pages.item_ids.shape == (4, 5)
    assert np.isfinite(pages.scores).all()


def test_an_item_that_nobody_has_met_is_scored_by_its_text(trained, parts):
    vectors = trained.embed(tf.constant([0, 1])).numpy()
    column = trained.column.numpy()
    try:
        trained.column.assign(np.full_like(column, -1))
        new = trained.embed(tf.constant([0, 1])).numpy()
    finally:
        trained.column.assign(column)
    np.testing.assert_allclose(new[0, :8], new[1, :8], rtol=1e-5)
    np.testing.assert_array_equal(new[:, 8:], vectors[:, 8:])
    assert np.abs(new[0, 8:16] - new[1, 8:16]).max() > 0.01


def test_it_goes_through_a_file(trained, parts, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == trained.get_config()
    query = trained.query_of(parts[0], range(10))
    np.testing.assert_allclose(again.scores(query), trained.scores(query), rtol=1e-5, atol=1e-6)
    again.refresh_index()
    np.testing.assert_allclose(again.scores(query), trained.scores(query), rtol=1e-4, atol=1e-5)
    trained.recommender(parts[0]).save(tmp_path / "recommender")
    served = Recommender.load(tmp_path / "recommender")
    expected = trained.recommender(parts[0]).recommend(["u1", "nobody"])
    np.testing.assert_array_equal(served.recommend(["u1", "nobody"]).item_ids, expected.item_ids)


@pytest.mark.parametrize("loss", ["softmax", "squared", "cross_entropy"])
def test_no_target_leaks(loss):
    """Of users who take random items, the own place in an item's column says nothing in training."""
    random = np.random.default_rng(0)
    log = pd.DataFrame(
        [(f"u{u}", f"i{i}", t) for u in range(40) for t, i in enumerate(random.permutation(40)[:6])],
        columns=["user_id", "item_id", "timestamp"],
    )
    data = from_frames(log)
    keras.utils.set_random_seed(0)
    model = DeepMF(data.schema, embedding_dim=16, hidden_units=(), dropout=0.0, loss=loss)
    model.compile()
    history = model.fit(data.batches(64), epochs=60, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.1
    query = model.query_of(data, range(40))
    everywhere = model.scores(query).numpy()
    user, item = data.interactions.user, data.interactions.item
    pairs = {name: tf.gather(value, user) for name, value in query.items()}
    pairs |= {"user_id": tf.constant(user), "item_id": tf.constant(item)}
    # Were the user left in the target's column, training would find that those who stand there are to be found.
    rise = (everywhere[user, item] - model(pairs).numpy()).mean() / everywhere.std()
    assert rise < 0.15


@pytest.fixture(scope="module")
def halves():
    """Two halves of 60 ratings of one schema."""
    random = np.random.default_rng(2)
    log = pd.DataFrame(
        [
            (f"u{u}", f"i{i}", random.integers(1, 6), t)
            for u in range(10)
            for t, i in enumerate(random.permutation(8)[:6])
        ],
        columns=["user_id", "item_id", "rating", "timestamp"],
    )
    data = from_frames(log)
    return [data.subset(data.interactions.take(np.arange(half, 60, 2))) for half in (0, 1)]


@pytest.mark.parametrize("loss", ["softmax", "squared"])
def test_fit_on_other_data_goes_by_the_matrix_of_these(loss, halves):
    first, second = halves
    losses = []
    model = DeepMF(first.schema, embedding_dim=4, hidden_units=(), dropout=0.0, loss=loss)
    fresh = DeepMF(first.schema, embedding_dim=4, hidden_units=(), dropout=0.0, loss=loss)
    for each in (model, fresh):
        each.compile(keras.optimizers.legacy.SGD(0.0))
    model.fit(first.batches(60), epochs=1, verbose=0)
    fresh.set_weights(model.get_weights())
    for each in (model, fresh):
        losses.append(each.fit(second.batches(60), epochs=1, verbose=0).history["loss"][0])
        np.testing.assert_array_equal(each.column, item_columns(second.interactions, 100)[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_fit_on_data_of_another_schema_is_refused(small, halves):
    model = linear(small)
    model.compile()
    with pytest.raises(ValueError, match="x: its schema is not the one"):
        model.fit(halves[0].batches(60), epochs=1, verbose=0)


def test_biases_start_at_popularity_and_are_kept_once_learned(small, tmp_path):
    model = DeepMF(small.schema, embedding_dim=2, hidden_units=())
    model.adapt(small, progress=False)
    # One of a, two of b and none of c, each and one more.
    logs = np.log([2, 3, 1])
    np.testing.assert_allclose(model.item_bias, logs - logs.mean(), rtol=1e-5)
    model.item_bias.assign([3.0, 2.0, 1.0])
    model.adapt(small, progress=False)
    np.testing.assert_array_equal(model.item_bias, [3.0, 2.0, 1.0])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    again.compile(keras.optimizers.legacy.SGD(0.0))
    again.fit(small.batches(4), epochs=1, verbose=0)
    np.testing.assert_array_equal(again.item_bias, [3.0, 2.0, 1.0])


@pytest.fixture
def policy():
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


def test_a_global_policy_of_mixed_precision_changes_nothing(small, policy):
    """The model's own policy is float32, and so is that of its layers."""
    scores = []
    for name in ("float32", "mixed_bfloat16", "mixed_float16"):
        policy(name)
        keras.utils.set_random_seed(0)
        model = DeepMF(small.schema, embedding_dim=4, hidden_units=(8,))
        model.compile()
        model.fit(small.batches(4), epochs=1, verbose=0)
        scores.append(model.scores(model.query_of(small, [0, 1, 2])).numpy())
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, rtol=1e-5, atol=1e-6)


def test_text_encoders_of_a_mixed_policy_are_read(small, policy):
    policy("mixed_bfloat16")
    model = DeepMF(small.schema, embedding_dim=2, text="tiny", text_dim=2)
    model.compile()
    model.fit(small.batches(4), epochs=1, verbose=0)
    assert np.isfinite(model.scores(model.query_of(small, [0, 1, 2]))).all()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_the_layers_compute_in_their_own_precision(dtype):
    layer = SparseMLP(3, [4, 2], dtype=dtype)
    full = SparseMLP(3, [4, 2])
    full.set_weights(layer.get_weights())
    row = tf.constant([[1, 0], [-1, -1]]), tf.constant([[1.0, 3.0], [0.0, 0.0]])
    assert layer(*row).dtype == dtype.removeprefix("mixed_")
    np.testing.assert_allclose(tf.cast(layer(*row), tf.float32), full(*row), atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss: expected one of softmax, squared, cross_entropy, got 'hinge'"),
        ({"negatives": 0}, "negatives: expected at least 1, got 0"),
        ({"max_column": 0}, "max_column: expected at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(small, options, message):
    with pytest.raises(ValueError, match=message):
        DeepMF(small.schema, **options)


def test_text_needs_a_text(parts):
    data = from_frames(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}))
    with pytest.raises(ValueError, match="text: expected a schema whose items have a text"):
        DeepMF(data.schema, text="tiny")
