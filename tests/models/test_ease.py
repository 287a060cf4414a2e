"""Claims about the closed-form autoencoder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.frames import from_frames
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.ease import EASE

PLAIN = {"strength_power": 0.0, "half_life": None, "pair_half_life": None, "forward": 0.5}


def frame(histories: str, **columns) -> pd.DataFrame:
    """A log of words: each is a user, each letter an item, in time order."""
    rows = [
        {"user_id": f"u{user}", "item_id": letter, "timestamp": time}
        for user, word in enumerate(histories.split())
        for time, letter in enumerate(word)
    ]
    return pd.DataFrame(rows).assign(**columns)


def dataset(histories: str, items: str, **columns):
    catalogue = pd.DataFrame({"item_id": list(items), "title": list(items)})
    return from_frames(frame(histories, **columns), items=catalogue)


def solved(data, **arguments) -> EASE:
    model = EASE(data.schema, **arguments)
    model.compile()
    model.fit(data, verbose=0)
    return model


def matrix(model: EASE) -> np.ndarray:
    return model.similar(tf.range(model.schema.num_items)).numpy()


def query(rows: list[list[int]], weights: list[list[float]]) -> dict[str, tf.Tensor]:
    return {"history": tf.constant(rows, tf.int32), "history_weight": tf.constant(weights, tf.float32)}


def regressions(beside: np.ndarray, before: np.ndarray, l2: float, chosen=None) -> np.ndarray:
    """Each column as a ridge regression of its own: least squares with rows of the root of l2 below."""
    items = len(beside)
    values, vectors = np.linalg.eigh(beside)
    inputs = (vectors * np.sqrt(np.maximum(values, 0))).T
    weights = np.zeros((items, items))
    for item in range(items):
        others = np.setdiff1d(np.arange(items), item) if chosen is None else chosen(item)
        # A target with which all items have the products that are wanted.
        target = np.linalg.lstsq(
            inputs.T, np.where(np.arange(items) == item, 0, before[:, item]), rcond=None
        )[0]
        extended = np.vstack([inputs[:, others], np.sqrt(l2) * np.eye(len(others))])
        weights[others, item] = np.linalg.lstsq(
            extended, np.append(target, np.zeros(len(others))), rcond=None
        )[0]
    return weights


def pair_sums(
    data, weight, half_life=None, floor=0.0, window=10**6, forward=0.5
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of each history, one by one."""
    log, items = data.interactions, data.schema.num_items
    beside, before = np.zeros((items, items)), np.zeros((items, items))
    for p in range(len(log)):
        for q in range(len(log)):
            if log.user[p] == log.user[q] and abs(p - q) <= window:
                near = 1 if half_life is None else floor + (1 - floor) * 2 ** (-abs(p - q) / half_life)
                beside[log.item[p], log.item[q]] += weight[p] * weight[q] * near
                share = 2 * forward if p < q else 2 * (1 - forward)
                before[log.item[p], log.item[q]] += weight[p] * weight[q] * near * share
    return beside, before


def test_three_items_by_hand():
    # X = [[1 1 0], [1 1 0], [0 1 1]], l2 = 1: X'X + 1 = [[3 2 0], [2 4 1], [0 1 2]] has the determinant 13 and the
    # inverse [[7 -4 2], [-4 6 -3], [2 -3 8]] / 13; its columns over minus their diagonal are the weights.
    model = solved(dataset("ab ab bc", "abc"), l2=1.0, **PLAIN)
    expected = [[0, 4 / 6, -2 / 8], [4 / 7, 0, 3 / 8], [-2 / 7, 3 / 6, 0]]
    np.testing.assert_allclose(matrix(model), expected, atol=1e-6)
    scores = model.scores(query([[1, -1], [0, 2]], [[1.0, 0.0], [1.0, 1.0]])).numpy()
    popular = np.array([2 / 3, 1, 1 / 3]) * 1e-3
    expected = [[4 / 7, 0, 3 / 8], [-2 / 7, 4 / 6 + 3 / 6, -2 / 8]] + popular
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_the_loss_is_the_share_that_stays_unexplained():
    data = dataset("ab ab bc", "abc")
    model = EASE(data.schema, l2=1.0, **PLAIN)
    loss = model.fit(data, verbose=0).history["loss"]
    x = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]])
    b = matrix(model)
    assert loss == [pytest.approx((((x - x @ b) ** 2).sum() + (b**2).sum()) / 6, rel=1e-5)]
    nothing = EASE(data.schema, l2=1e9, **PLAIN).fit(data, verbose=0).history["loss"]
    assert nothing == [pytest.approx(1.0, abs=1e-6)]


@pytest.fixture(scope="module")
def rated():
    return make_synthetic(num_users=40, num_items=25, interactions_per_user=9, seed=5, images=False)


def test_each_column_is_a_ridge_regression_without_the_item_itself(rated):
    x = np.zeros((rated.schema.num_users, rated.schema.num_items))
    log = rated.interactions
    np.add.at(x, (log.user, log.item), log.strength().astype(float) ** 0.5)
    expected = np.zeros((25, 25))
    for item in range(25):
        others = np.setdiff1d(np.arange(25), item)
        inputs = np.vstack([x[:, others], np.sqrt(3.0) * np.eye(24)])
        expected[others, item] = np.linalg.lstsq(inputs, np.append(x[:, item], np.zeros(24)), rcond=None)[0]
    assert len(np.unique(log.strength())) > 1
    model = solved(rated, l2=3.0, **{**PLAIN, "strength_power": 0.5})
    np.testing.assert_allclose(matrix(model), expected, atol=1e-5)


def test_the_default_l2_goes_with_the_root_of_the_interactions_of_an_item():
    # Sixteen interactions of four items met, one more is not: 25 times 2.
    data = dataset("abcd abcd abcd abcd", "abcde")
    np.testing.assert_allclose(matrix(solved(data)), matrix(solved(data, l2=50.0)), atol=1e-7)


@pytest.mark.parametrize("neighbors", [None, 24])
def test_distance_and_order_of_pairs_count(rated, neighbors):
    weight = rated.interactions.strength().astype(float)
    beside, before = pair_sums(rated, weight, half_life=2.0, floor=0.3, window=5, forward=0.8)
    arguments = {"strength_power": 1.0, "pair_half_life": 2.0, "pair_floor": 0.3, "forward": 0.8}
    model = solved(rated, l2=4.0, neighbors=neighbors, max_history=5, **arguments)
    np.testing.assert_allclose(matrix(model), regressions(beside, before, 4.0), atol=1e-5)


def test_the_sparse_model_with_all_neighbors_is_the_exact_one(rated):
    exact, sparse = solved(rated, l2=5.0), EASE(rated.schema, l2=5.0, neighbors=24)
    loss = sparse.fit(rated, verbose=0).history["loss"]
    np.testing.assert_allclose(matrix(sparse), matrix(exact), atol=1e-5)
    assert loss[0] == pytest.approx(exact.history.history["loss"][0], rel=1e-5)
    asked = exact.query_of(rated, [0, 3, -1])
    np.testing.assert_allclose(sparse.scores(asked), exact.scores(asked), atol=1e-5)


def test_few_neighbors_are_those_that_explain_most(rated):
    beside, before = pair_sums(rated, np.ones(len(rated.interactions)))

    def best(item):
        gain = before[:, item] ** 2 / (beside.diagonal() + 5.0)
        gain[item] = -1
        return np.sort(np.argsort(-gain)[:6])

    model = solved(rated, l2=5.0, neighbors=6, **PLAIN)
    expected = regressions(beside, before, 5.0, best)
    found = matrix(model)
    # Where two items would explain the same, either may be taken.
    gains = [np.sort(np.delete(before[:, i] ** 2 / (beside.diagonal() + 5), i)) for i in range(25)]
    clear = [item for item, gain in enumerate(gains) if gain[-6] > gain[-7] + 1e-6]
    assert len(clear) > 5
    np.testing.assert_allclose(found[:, clear], expected[:, clear], atol=1e-5)
    assert (np.count_nonzero(found, axis=0) <= 6).all()
    assert model.item_weights.shape == (25 * 6,)


def test_the_latest_items_count_most_and_old_ones_keep_a_share():
    data = dataset("ab ab bc", "abc")
    model = solved(data, l2=1.0, **{**PLAIN, "half_life": 2.0, "floor": 0.2})
    b = np.array([[0, 4 / 6, -2 / 8], [4 / 7, 0, 3 / 8], [-2 / 7, 3 / 6, 0]])
    scores = model.scores(query([[-1, -1, 0, -1, 2]], [[0, 0, 1, 0, 1]])).numpy()
    # After two steps .2 + .8 / 2, after four .2 + .8 / 4.
    expected = 0.6 * b[0] + 0.4 * b[2] + np.array([2 / 3, 1, 1 / 3]) * 1e-3
    np.testing.assert_allclose(scores, [expected], atol=1e-6)


def test_without_times_neither_recency_nor_order_counts():
    log = frame("abc bca cab ab ca").drop(columns="timestamp")
    data = from_frames(log)
    default, plain = solved(data, l2=1.0), solved(data, l2=1.0, **PLAIN)
    np.testing.assert_allclose(matrix(default), matrix(plain), atol=1e-6)
    asked = query([[0, 1]], [[1.0, 1.0]])
    np.testing.assert_allclose(default.scores(asked), plain.scores(asked), atol=1e-6)
    assert not np.allclose(default.scores(asked)[0], matrix(plain)[0] + 0.5 * matrix(plain)[1], atol=1e-3)


def test_forward_learns_what_comes_next():
    data = dataset("abc abc abc abc bc", "abc")
    model = solved(data, l2=1.0, forward=1.0, pair_half_life=None)
    weights = matrix(model)
    assert weights[0, 1] > 0.3
    assert weights[1, 0] == pytest.approx(0, abs=0.05)


def test_the_order_of_the_catalogue_does_not_matter(rated):
    order = np.random.default_rng(1).permutation(25)
    log = rated.interactions
    names = np.array(rated.schema.item_ids, object)
    table = pd.DataFrame(
        {
            "user_id": np.array(rated.schema.user_ids, object)[log.user],
            "item_id": names[log.item],
            "timestamp": log.timestamp,
        }
    )
    first = from_frames(table, items=pd.DataFrame({"item_id": names}))
    second = from_frames(table, items=pd.DataFrame({"item_id": names[order]}))
    np.testing.assert_allclose(
        matrix(solved(second, l2=3.0)), matrix(solved(first, l2=3.0))[np.ix_(order, order)], atol=1e-5
    )


@pytest.mark.parametrize("neighbors", [None, 3])
def test_an_empty_history_gets_what_is_popular(neighbors):
    model = solved(dataset("ab ab bc b", "abcde"), l2=1.0, neighbors=neighbors)
    # No history at all, an unknown user, and an item that was never met.
    asked = query([[-1, -1], [3, -1]], [[0.0, 0.0], [1.0, 0.0]])
    rows = model.retrieve(asked, k=3)[0].numpy()
    assert rows.tolist() == [[1, 0, 2], [1, 0, 2]]
    assert model.query_of(dataset("ab", "abcde"), [-1])["history"].numpy().max() == -1
    nothing = {"history": tf.zeros([2, 0], tf.int32), "history_weight": tf.zeros([2, 0])}
    assert model.retrieve(nothing, k=2)[0].numpy().tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("neighbors", [None, 3])
def test_items_never_met_have_one_score(neighbors):
    model = solved(dataset("abfb abf bcfa cf", "abcdefg"), l2=0.5, neighbors=neighbors)
    scores = model.scores(query([[0, 1, 5], [2, 3, -1]], [[1.0] * 3, [1.0, 1.0, 0.0]])).numpy()
    np.testing.assert_array_equal(scores[:, [3, 4, 6]], 0.0)
    assert (scores[:, [0, 1, 2, 5]] != 0).all()


def blocks(users: int, seed: int, shuffled: bool = False):
    """Two groups of items, each user of one; the order of a history is random."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        group = user % 2
        chosen = rng.permutation(20)[:8] + 20 * group if not shuffled else rng.permutation(40)[:8]
        rows += [
            {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": t} for t, item in enumerate(chosen)
        ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(40)]})
    return from_frames(pd.DataFrame(rows), items=items)


def recall(data, **arguments) -> float:
    train, test = data.split("leave_one_out")
    model = solved(train, **arguments)
    return model.evaluate(test.batches(64, context=train), verbose=0, return_dict=True)["recall_at_10"]


def test_it_finds_the_group_and_nothing_where_there_is_none():
    assert recall(blocks(400, 0), l2=20.0) > 0.6
    # Ten of the 33 items that are left, by chance: .303, with a standard error of .023.
    assert recall(blocks(400, 0, shuffled=True), l2=20.0) == pytest.approx(10 / 33, abs=0.08)


@pytest.mark.parametrize("neighbors", [None, 6])
def test_files_hold_the_model(rated, neighbors, tmp_path):
    model = solved(rated, l2=3.0, neighbors=neighbors)
    asked = model.query_of(rated, [0, 1, -1])
    expected = model.scores(asked).numpy()
    assert np.abs(expected).max() > 0.01
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.scores(asked), expected)
    other = EASE.from_config(model.get_config())
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.scores(asked), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(clone.scores(asked), expected)


@pytest.mark.parametrize("neighbors", [None, 6])
def test_it_is_served_as_a_graph_of_any_shape(rated, neighbors, tmp_path):
    from tfrec_div.serving.manifest import not_served, operations

    model = solved(rated, l2=3.0, neighbors=neighbors)
    shapes = [tf.TensorSpec([None, None], dtype) for dtype in (tf.int32, tf.float32)]

    @tf.function(input_signature=shapes)
    def scores(history, weight):
        return model.scores({"history": history, "history_weight": weight})

    module = tf.Module()
    module.weights, module.scores = model.weights, scores
    tf.saved_model.save(module, str(tmp_path))
    assert not_served(operations(tmp_path)) == []
    served = tf.saved_model.load(str(tmp_path))
    for users in ([0], [1, 2, -1]):
        asked = model.query_of(rated, users)
        expected = model.scores(asked).numpy()
        np.testing.assert_allclose(
            served.scores(asked["history"], asked["history_weight"]), expected, atol=1e-6
        )


def test_a_recommender_saves_and_loads_it(rated, tmp_path):
    import tfrec_div

    recommender = solved(rated, l2=3.0).recommender(rated)
    recommender.save(tmp_path / "model")
    again = tfrec_div.load(tmp_path / "model")
    users = [*rated.schema.user_ids[:5], "nobody"]
    expected, found = recommender.recommend(users, k=4), again.recommend(users, k=4)
    assert found.item_ids.tolist() == expected.item_ids.tolist()
    similar = recommender.retriever.similar(tf.constant([2])).numpy()
    assert similar.shape == (1, 25)


def test_callbacks_and_validation_see_one_epoch(rated):
    train, test = rated.split("leave_one_out")
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs)))
    )
    held = test.batches(64, context=train)
    model = EASE(rated.schema)
    model.compile()
    history = model.fit(train.batches(64), epochs=7, validation_data=held, callbacks=[watch], verbose=0)
    names = ["loss", "val_mrr", "val_ndcg_at_10", "val_recall_at_10"]
    assert seen == [(0, names)]
    assert sorted(history.history) == names
    assert history.epoch == [0]


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("l2", 0, "l2: expected above 0, or None, got 0"),
        ("l2", "x", "l2: expected above 0, or None, got 'x'"),
        ("l2", float("nan"), "l2: expected above 0, or None, got nan"),
        ("pair_half_life", 0, "pair_half_life: expected above 0, or None, got 0"),
        ("pair_floor", -0.1, r"pair_floor: expected in \[0, 1\], got -0.1"),
        ("half_life", -1, "half_life: expected above 0, or None, got -1"),
        ("floor", 1.5, r"floor: expected in \[0, 1\], got 1.5"),
        ("forward", 2, r"forward: expected in \[0, 1\], got 2"),
        ("neighbors", 0, "neighbors: expected at least 1, or None, got 0"),
        ("max_history", 0, "max_history: expected at least 1, got 0"),
        ("neighbors", 2.5, "neighbors: expected at least 1, or None, got 2.5"),
        ("max_history", 2.5, "max_history: expected at least 1, got 2.5"),
        ("strength_power", -1, "strength_power: expected 0 or more, got -1"),
        ("strength_power", None, "strength_power: expected 0 or more, got None"),
    ],
)
def test_wrong_arguments_are_refused(rated, argument, value, message):
    with pytest.raises(ValueError, match=message):
        EASE(rated.schema, **{argument: value})


def test_other_input_is_refused(rated):
    with pytest.raises(ValueError, match=r"x: expected Batches .* or a Dataset, got dict"):
        EASE(rated.schema).fit({})
    with pytest.raises(ValueError, match="x: its schema is not the one"):
        EASE(rated.schema).fit(dataset("ab", "ab"))


@pytest.mark.parametrize("neighbors", [None, 3])
def test_data_without_interactions_make_a_model_that_knows_nothing(neighbors, capfd):
    data = dataset("ab", "abcd")
    empty = data.subset(data.interactions.take(np.zeros(2, bool)))
    model = EASE(data.schema, neighbors=neighbors)
    assert model.fit(empty, verbose=0).history["loss"] == [1.0]
    np.testing.assert_array_equal(matrix(model), np.zeros((4, 4)))
    assert "SPOTRI" not in "".join(capfd.readouterr())
