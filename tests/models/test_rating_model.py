"""Ratings: what the biases and factors say, for whom little or nothing is known, and as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import tfrec_div
from tfrec_div import DataError, from_frames
from tfrec_div._keras import keras, tf
from tfrec_div.models.bayesian_factors import average_factors
from tfrec_div.models.rating_model import RatingModel, has_ratings
from tfrec_div.models.side_features import SideFeatures, side_features


def nothing(rows):
    """Features that say nothing."""
    return SideFeatures(sparse.csr_matrix((rows + 1, 1)), np.zeros((rows + 1, 0)))


@pytest.fixture(scope="module")
def planted():
    """5,000 ratings of 100 users for 80 items: biases, a genre that a country likes, one factor, and noise of 0.3."""
    random = np.random.default_rng(0)
    user, item = (
        np.repeat(np.arange(100), 50),
        np.concatenate([random.permutation(80)[:50] for _ in range(100)]),
    )
    bias, level = 0.4 * random.standard_normal(100), 0.4 * random.standard_normal(80)
    taste, kind = random.standard_normal(100), random.standard_normal(80)
    country, genre = np.arange(100) % 2, np.arange(80) % 4
    truth = 3 + bias[user] + level[item] + 0.5 * taste[user] * kind[item]
    truth += 0.6 * (country[user] == 0) * (genre[item] == 0)
    log = pd.DataFrame(
        {
            "user_id": [f"u{u:03d}" for u in user],
            "item_id": [f"i{i:02d}" for i in item],
            "rating": np.clip(truth + 0.3 * random.standard_normal(5000), 0.5, 6),
            "timestamp": np.arange(5000),
        }
    )
    items = pd.DataFrame(
        {"item_id": [f"i{i:02d}" for i in range(80)], "categories": [f"g{g}" for g in genre]}
    )
    users = pd.DataFrame(
        {"user_id": [f"u{u:03d}" for u in range(100)], "country": [f"c{c}" for c in country]}
    )
    return from_frames(log, items=items, users=users)


def rmse(model, log):
    return float(np.sqrt(np.mean((model.ratings(log.user, log.item) - log.rating) ** 2)))


def test_held_out_ratings_are_predicted_nearly_to_the_noise(planted):
    rows = np.random.default_rng(1).permutation(5000)
    train, test = (planted.subset(planted.interactions.take(part)) for part in (rows[:4000], rows[4000:]))
    model = RatingModel(train.schema, factors=4, sweeps=40, burn_in=15)
    history = model.fit(train, verbose=0).history["rmse"]
    assert len(history) == 40
    # No model can do better than the noise of 0.3; biases alone are left with the factor, too: 0.6.
    assert rmse(model, test.interactions) < 0.36


@pytest.mark.parametrize("times", [100.0, 0.001])
def test_the_scale_of_the_ratings_makes_no_difference(planted, times):
    log = planted.interactions
    scaled = planted.subset(
        replace(log, rating=log.rating * np.float32(times), rating_scale=(0.5 * times, 6 * times))
    )
    settings = {"factors": 4, "sweeps": 30, "burn_in": 10}
    model, other = RatingModel(planted.schema, **settings), RatingModel(planted.schema, **settings)
    history = model.fit(planted, verbose=0).history["rmse"]
    np.testing.assert_allclose(
        other.fit(scaled, verbose=0).history["rmse"], times * np.array(history), rtol=0.01
    )
    users, items = np.repeat(np.arange(100), 80), np.tile(np.arange(80), 100)
    np.testing.assert_allclose(other.ratings(users, items) / times, model.ratings(users, items), atol=0.02)


def test_biases_are_the_ridge_regression_of_the_ratings():
    """With a single kind of item, a user's bias is the shrunk mean of the user's deviations (a closed form)."""
    random = np.random.default_rng(2)
    count = np.tile([1, 2, 40], 100)
    user = np.repeat(np.arange(300), count)
    level = random.standard_normal(300)
    rating = 3 + level[user] + random.standard_normal(len(user))
    item = np.arange(len(user)) % 50
    found = average_factors(
        user, item, rating, nothing(300), nothing(50), factors=1, sweeps=300, burn_in=50, dim=1
    )
    predicted = found.mean + found.user_bias[:300]
    # Normal prior of variance 1 around 3, noise of variance 1: the sum of ratings over n + 1, and 3 once.
    expected = (np.bincount(user, rating) + 3) / (count + 1)
    for times, most in ((1, 0.25), (2, 0.25), (40, 0.2)):
        group = count == times
        assert np.sqrt(np.mean((predicted - expected)[group] ** 2)) < most
        slope = np.polyfit((expected - 3)[group], (predicted - 3)[group], 1)[0]
        assert slope == pytest.approx(1.0, abs=0.15)


def test_who_has_no_ratings_is_predicted_by_features(planted):
    log = planted.interactions
    schema = planted.schema
    cold = np.isin(log.item, schema.item_rows([f"i{i:02d}" for i in range(12)]))
    train = planted.subset(log.take(~cold))
    model = RatingModel(schema, factors=4, sweeps=60, burn_in=20)
    model.fit(train, verbose=0)
    rows = schema.item_rows(["i00", "i01", "i02", "i03"])
    at_home, abroad = schema.user_rows(["u000", "u002", "u004"]), schema.user_rows(["u001", "u003", "u005"])

    def liking(users):
        """How much more than other genres users like g0, which i00 is of."""
        ratings = np.array([model.ratings([user] * 4, rows) for user in users])
        return float((ratings[:, 0] - ratings[:, 1:].mean(axis=1)).mean())

    # Planted: 0.6 more at home, nothing abroad; 17 met items of the genre tell of it, through their own noise.
    assert liking(at_home) - liking(abroad) > 0.25


def test_an_unknown_user_gets_the_items_level_and_the_other_way_round(planted):
    model = RatingModel(planted.schema, factors=4, sweeps=30, burn_in=10)
    model.fit(planted, verbose=0)
    log = planted.interactions
    items = np.arange(80)
    level = np.bincount(log.item, log.rating) / np.bincount(log.item)
    assert np.corrcoef(model.ratings(np.full(80, -1), items), level)[0, 1] > 0.9
    users = np.arange(100)
    level = np.bincount(log.user, log.rating) / np.bincount(log.user)
    assert np.corrcoef(model.ratings(users, np.full(100, -1)), level)[0, 1] > 0.9
    assert model.ratings([-1], [-1])[0] == pytest.approx(log.rating.mean(), abs=0.25)


def test_the_call_is_mean_plus_biases_plus_product_cut_to_the_scale(planted):
    model = RatingModel(planted.schema, factors=1, dim=2)
    for name, value in (
        ("mean", 3.0),
        ("scale", [1.0, 5.0]),
        ("user_bias", np.arange(101) / 100),
        ("item_bias", np.arange(81) / -100),
        ("user_factors", np.full((101, 2), 2.0)),
        ("item_factors", np.arange(162).reshape(81, 2) / 100),
    ):
        getattr(model, name).assign(value)
    # 3 + 0.5 - 0.1 + 2 (0.2 + 0.21); 3 + 0 - 0.79 + 2 (1.58 + 1.59), above 5; unknown ones are the last rows:
    # 3 + 1 - 0.1 + 0.82 and 3 + 0.5 - 0.8 + 2 (1.6 + 1.61), above 5.
    found = model.ratings([50, 0, -1, 50], [10, 79, 10, -1])
    np.testing.assert_allclose(found, [4.22, 5.0, 4.72, 5.0], rtol=1e-5)
    model.item_bias.assign(np.full(81, -9.0))
    assert model.ratings([50], [10])[0] == 1.0


def test_it_is_a_keras_model(planted, tmp_path):
    model = RatingModel(planted.schema, factors=2, dim=4, sweeps=4, burn_in=1, seed=3)
    model.fit(planted.batches(64), verbose=0)
    log = planted.interactions.take(np.arange(500))
    pairs = {"user_id": log.user, "item_id": log.item}
    predicted = model.predict(pairs, verbose=0)
    np.testing.assert_allclose(predicted, model.ratings(log.user, log.item), rtol=1e-6)
    model.compile(metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    measured = model.evaluate(pairs, log.rating, return_dict=True, verbose=0)["rmse"]
    assert measured == pytest.approx(rmse(model, log), rel=1e-4)
    model.save(tmp_path / "rater.keras")
    again = keras.models.load_model(tmp_path / "rater.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.ratings(log.user, log.item), model.ratings(log.user, log.item))
    same = RatingModel.from_config(model.get_config())
    same.fit(planted, verbose=0)
    np.testing.assert_allclose(same.ratings(log.user, log.item), model.ratings(log.user, log.item), atol=1e-4)


def test_features_are_columns_of_length_one_and_an_average_row(planted):
    log = planted.interactions
    features = side_features(planted.catalog, log.item, log.user, 100, np.eye(80)[:, :3])
    dense = features.sparse_part.toarray()
    assert dense.shape == (81, 4 + 100)
    np.testing.assert_allclose((dense[:80, :4] ** 2).sum(axis=1), 1)
    np.testing.assert_allclose((dense[:80, 4:] ** 2).sum(axis=1), 1)
    np.testing.assert_allclose(dense[80], [0.25] * 4 + [0.0] * 100)
    # Three items have a vector; their mean (1/3, 1/3, 1/3) is taken off.
    np.testing.assert_allclose(features.dense_part[0], [2 / 3, -1 / 3, -1 / 3])
    assert not features.dense_part[3:].any()
    weights = np.arange(107 * 2).reshape(107, 2) / 100
    whole = np.concatenate([dense, features.dense_part], axis=1)
    np.testing.assert_allclose(features.times(weights), whole @ weights)
    np.testing.assert_allclose(features.transposed_times(whole[:, :2]), whole.T @ whole[:, :2], atol=1e-12)
    np.testing.assert_allclose(features.gram(), whole.T @ whole, atol=1e-12)


def test_pairs_that_do_not_fit_are_refused(planted):
    model = RatingModel(planted.schema, factors=1, sweeps=2, burn_in=1)
    with pytest.raises(ValueError, match="model: expected one that has seen ratings, got one before `fit`"):
        model.ratings([0], [0])
    model.fit(planted, verbose=0)
    for users, items, message in (
        ([0, 1, 2], [0], "item_rows: expected 3, as many as users, got 1"),
        ([0], [0, 1, 2], "item_rows: expected 1, as many as users, got 3"),
        ([100], [0], "user_rows: expected rows from -1 to 99, got 100"),
        ([0, 0], [3, 80], "item_rows: expected rows from -1 to 79, got 80"),
        ([-2], [0], "user_rows: expected rows from -1 to 99, got -2"),
        # In int32 this is row 0.
        ([0], [2**32], "item_rows: expected rows from -1 to 79, got 4294967296"),
        ([0.5], [0], r"user_rows: expected whole numbers of shape \[n\], got float64 \[1\]"),
        ([0], [[0]], r"item_rows: expected whole numbers of shape \[n\], got int64 \[1, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.ratings(users, items)
    assert model.ratings([], []).shape == (0,)
    assert model.ratings([99, -1], [79, -1]).shape == (2,)


def test_the_page_on_ratings_runs():
    page = Path(__file__).parents[2] / "docs" / "sparse-users-and-ratings.md"
    example = page.read_text("utf-8").split("```python\n")[-1].split("```")[0]
    assert "td.RatingModel(" in example
    exec(example, {"td": tfrec_div})


def test_data_without_ratings_and_arguments_that_do_not_fit_are_refused(planted):
    frame = {"user_id": ["u", "v"], "item_id": ["a", "b"]}
    for ratings, found in ((None, "none"), ([3.0, 3.0], "one value only")):
        data = from_frames(pd.DataFrame(frame if ratings is None else {**frame, "rating": ratings}))
        assert not has_ratings(data.interactions)
        with pytest.raises(DataError, match=f'rating: expected ratings to learn from, found "{found}"'):
            RatingModel(data.schema).fit(data, verbose=0)
    with pytest.raises(ValueError, match="factors: expected 1 to dim=32, got 33"):
        RatingModel(planted.schema, factors=33)
    with pytest.raises(ValueError, match="burn_in: expected 0 to below sweeps=5, got 5"):
        RatingModel(planted.schema, sweeps=5, burn_in=5)
    model = RatingModel(planted.schema)
    with pytest.raises(ValueError, match="x: expected a Dataset or Batches of it, got EagerTensor"):
        model.fit(tf.zeros([2]))
    with pytest.raises(ValueError, match=r"item_vectors: expected shape \[80, dim\], got \[3, 2\]"):
        model.fit(planted, item_vectors=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="epochs: expected no such argument"):
        model.fit(planted, epochs=3)
