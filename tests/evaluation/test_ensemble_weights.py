from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div import from_frames
from tfrec_div._keras import keras, tf
from tfrec_div.evaluation.ensemble_weights import tune_ensemble, wanted_pairs, weight_grid
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.retriever import Retriever

ITEMS = 40
USERS = 120


@keras.utils.register_keras_serializable(package="tests")
class Knows(Retriever):
    """Has a table of scores by user, which it uses for histories of some lengths and else is random."""

    def __init__(self, schema, table, least, most, **kwargs):
        super().__init__(**kwargs)
        self.schema, self.max_history = schema, 50
        self.table, self.least, self.most = tf.constant(table, tf.float32), least, most
        self.noise = tf.constant(np.random.default_rng(least).random(table.shape), tf.float32)

    def scores(self, query):
        length = tf.reduce_sum(tf.cast(query["history"] >= 0, tf.int32), axis=1, keepdims=True)
        inside = (length >= self.least) & (length <= self.most)
        # Who is unknown is told by the last item of the history, which is the user's own in this world.
        rows = tf.maximum(query["user_id"], 0)
        return tf.where(inside, tf.gather(self.table, rows), tf.gather(self.noise, rows))


@pytest.fixture(scope="module")
def world():
    """Users with a history of 20 items who want item u % 20 next, of which there are 20 more."""
    log = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{u:03d}" for u in range(USERS)], 20),
            "item_id": np.tile([f"i{i:02d}" for i in range(20)], USERS),
            "timestamp": np.tile(np.arange(20), USERS),
        }
    )
    held = pd.DataFrame(
        {
            "user_id": [f"u{u:03d}" for u in range(USERS)],
            "item_id": [f"i{20 + u % 20}" for u in range(USERS)],
            "timestamp": 99,
        }
    )
    items = pd.DataFrame({"item_id": [f"i{i:02d}" for i in range(ITEMS)]})
    data = from_frames(pd.concat([log, held]), items=items)
    return data.split("temporal", test=0.04)


def _table(world, noise=0.0):
    table = np.zeros((USERS, ITEMS))
    for row, user in enumerate(world[0].schema.user_ids):
        table[row, world[0].schema.item_rows(np.array([f"i{20 + int(user[1:]) % 20}"], object))] = 1.0
    return table + noise * np.random.default_rng(7).random(table.shape)


def test_who_knows_gets_the_weight_where_it_knows(world):
    table = _table(world)
    long, short = Knows(world[0].schema, table, 11, 99), Knows(world[0].schema, table, 1, 10)
    model = Ensemble({"long": long, "short": short}, short_history=10)
    found = tune_ensemble(model, *world, progress=False)
    assert found["long"].users == USERS
    assert found["long"].ndcg == pytest.approx(1.0)
    assert found["long"].alone["long"] == pytest.approx(1.0)
    assert found["long"].alone["short"] < 0.6
    assert found["long"].weights["long"] > 0.6
    assert model.weights_by_group["long"] == pytest.approx(found["long"].weights)
    for group in found.values():
        assert sum(group.weights.values()) == pytest.approx(1.0)


def test_a_cut_history_is_that_of_an_unknown_user_with_its_first_items(world, monkeypatch):
    asked = []

    class Watches(Knows):
        def scores(self, query):
            asked.append({name: value.numpy() for name, value in query.items()})
            return super().scores(query)

    model = Ensemble({"one": Watches(world[0].schema, _table(world), 0, 99)}, short_history=10)
    tune_ensemble(model, *world, progress=False)
    none, short, long = asked[0], asked[1], asked[2]
    first = world[0].schema.item_rows(np.array([f"i{i:02d}" for i in range(20)], object))
    np.testing.assert_array_equal(long["history"][0, :20], first[::-1])
    np.testing.assert_array_equal(short["history"], np.tile(first[4::-1], (USERS, 1)))
    np.testing.assert_array_equal(short["user_id"], np.full(USERS, -1))
    np.testing.assert_array_equal(none["history"], np.full((USERS, 1), -1))
    np.testing.assert_array_equal(none["history_weight"], np.zeros((USERS, 1)))


def test_members_that_are_as_good_share_the_weight(world):
    table = _table(world)
    model = Ensemble({"a": Knows(world[0].schema, table, 0, 99), "b": Knows(world[0].schema, table, 0, 99)})
    found = tune_ensemble(model, *world, progress=False)
    assert found["long"].weights == pytest.approx({"a": 0.5, "b": 0.5})


def test_what_comes_next_counts_whether_it_is_liked_or_not():
    log = pd.DataFrame(
        {
            "user_id": list("uuuv"),
            "item_id": list("abcd"),
            "rating": [5, 1, 4, 2],
            "timestamp": [1, 2, 3, 1],
        }
    )
    data = from_frames(log)
    train, held = (data.subset(data.interactions.take(rows)) for rows in (np.arange(1), np.arange(1, 4)))

    def items(targets):
        return [
            (int(u), data.schema.item_ids[i])
            for u, i in zip(*wanted_pairs(train, held, targets), strict=True)
        ]

    assert items("relevant") == [(0, "c")]
    assert sorted(items("all")) == [(0, "b"), (0, "c"), (1, "d")]
    with pytest.raises(ValueError, match="targets: expected one of relevant, all, got 'next'"):
        items("next")


def test_a_few_users_are_no_measure(world):
    few = world[1].subset(world[1].interactions.take(np.arange(29)))
    model = Ensemble({"a": Knows(world[0].schema, _table(world), 0, 99)})
    with pytest.raises(ValueError, match=r"validation: expected at least 30 users .* got 29"):
        tune_ensemble(model, world[0], few, progress=False)


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 6])
def test_a_grid_has_each_member_alone_and_sums_of_one(members):
    grid = weight_grid(members)
    np.testing.assert_allclose(grid.sum(axis=1), 1.0)
    assert (grid >= 0).all()
    assert len(grid) <= 400
    for alone in np.eye(members):
        assert (grid == alone).all(axis=1).any()
    assert len(np.unique(grid, axis=0)) == len(grid)


class Table(Retriever):
    """Scores by user, as given."""

    def __init__(self, schema, table):
        super().__init__()
        self.schema, self.max_history, self.table = schema, 9, tf.constant(table, tf.float32)

    def scores(self, query):
        return tf.gather(self.table, tf.maximum(query["user_id"], 0))


@pytest.fixture
def rated():
    """40 users who know item a, wanted c, did not like b, and took a once more."""
    users = [f"u{u:02d}" for u in range(40)]
    train = pd.DataFrame({"user_id": users, "item_id": "a", "rating": 5.0, "timestamp": 1})
    held = pd.concat(
        [
            pd.DataFrame({"user_id": users, "item_id": item, "rating": rating, "timestamp": 2})
            for item, rating in (("a", 5.0), ("b", 1.0), ("c", 4.0))
        ]
    )
    data = from_frames(pd.concat([train, held]), items=pd.DataFrame({"item_id": list("abcd")}))
    first = data.interactions.timestamp == 1
    return tuple(data.subset(data.interactions.take(part)) for part in (first, ~first))


def test_relevant_items_count_by_their_place_among_what_is_new(rated):
    schema = rated[0].schema
    # The order a, b, c, d: a is known, so that c, the one that is wanted, has the second place.
    model = Ensemble({"one": Table(schema, np.tile([4.0, 3.0, 2.0, 1.0], (40, 1)))}, short_history=1)
    found = tune_ensemble(model, *rated, k=3, progress=False)
    assert found["short"].users == 40
    assert found["short"].ndcg == pytest.approx(1 / np.log2(3))
    # None of the users has a history longer than one.
    assert (found["long"].users, found["long"].weights) == (0, {"one": 1.0})
    assert tune_ensemble(model, *rated, k=1, progress=False)["short"].ndcg == 0.0
    assert tune_ensemble(model, *rated, k=3, max_users=35, progress=False)["short"].users == 35


def test_a_group_of_few_users_gets_the_weights_of_the_nearest_one(rated):
    schema = rated[0].schema
    good, bad = np.tile([0, 0, 1.0, 0.5], (40, 1)), np.tile([0, 1.0, 0, 0.5], (40, 1))
    model = Ensemble({"good": Table(schema, good), "bad": Table(schema, bad)}, short_history=5)
    found = tune_ensemble(model, *rated, k=3, progress=False)
    assert found["short"].weights["good"] > 0.7
    assert found["long"].weights == found["short"].weights
    assert found["long"].users == 0


def test_weights_that_are_not_significantly_worse_are_averaged(rated):
    schema = rated[0].schema
    # Users differ in which member is right, 26 against 14: mean difference .3, error of it .15.
    right, wrong = [0, 0, 1.0, 0.5], [0, 1.0, 0, 0.5]
    some = np.array([right if user < 26 else wrong for user in range(40)])
    others = np.array([wrong if user < 26 else right for user in range(40)])
    model = Ensemble({"some": Table(schema, some), "others": Table(schema, others)}, short_history=5)
    found = tune_ensemble(model, *rated, k=3, progress=False)["short"]
    assert found.alone["some"] > found.alone["others"]
    assert 0.6 < found.weights["some"] < 1.0


def test_arguments_that_do_not_fit_are_refused(rated, world):
    model = Ensemble({"one": Table(rated[0].schema, np.zeros((40, 4)))})
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        tune_ensemble(model, *rated, k=0)
    with pytest.raises(ValueError, match="validation: expected the schema of the ensemble, got another"):
        tune_ensemble(model, rated[0], world[1])
