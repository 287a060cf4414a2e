"""From content to a collaborative space: what is solved, what it is worth for new items, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import tfrec_div as td
from tfrec_div._keras import keras, tf
from tfrec_div.data.new_items import only_items
from tfrec_div.models.content_ridge import choose_penalty, item_factors, make_folds, mean_ndcg, ridge
from tfrec_div.models.content_to_collaborative import ContentToCollaborative
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender

USERS, ITEMS, COLD = 40, 60, 4


def content_of(data) -> TwoTower:
    return TwoTower(data.schema, embedding_dim=4)


@pytest.fixture(scope="module")
def tea_and_coffee():
    """Half of the users like tea and half like coffee; nobody has met the last four items."""
    draw = np.random.default_rng(0)
    kinds = ["tea", "coffee"] * (ITEMS // 2)
    log = [
        (f"u{user:02}", f"i{item}", 5 if item % 2 == user % 2 else 1, step)
        for user in range(USERS)
        for step, item in enumerate(draw.permutation(ITEMS - COLD)[:12])
    ]
    items = pd.DataFrame(
        {
            "item_id": [f"i{row}" for row in range(ITEMS)],
            "categories": kinds,
            "price": draw.normal(size=ITEMS).round(2),
        }
    )
    return td.from_frames(pd.DataFrame(log, columns=["user_id", "item_id", "rating", "timestamp"]), items)


def test_the_ridge_is_the_least_squares_solution_with_rows_for_the_penalty():
    draw = np.random.default_rng(0)
    content, targets = draw.normal(size=(20, 5)), draw.normal(size=(20, 3))
    rows = np.concatenate([content, np.sqrt(2.5) * np.eye(5)])
    expected = np.linalg.lstsq(rows, np.concatenate([targets, np.zeros((5, 3))]), rcond=None)[0]
    np.testing.assert_allclose(ridge(content, targets, 2.5), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (5, 4)])
def test_factors_are_those_of_the_whole_decomposition(shape):
    matrix = np.random.default_rng(1).normal(size=shape) * (np.random.default_rng(2).random(shape) < 0.5)
    factors, values = item_factors(sparse.csr_matrix(matrix), 5)
    assert factors.shape == (shape[1], 5)
    _, expected, right = np.linalg.svd(matrix)
    there = min(5, *shape)
    np.testing.assert_allclose(values[:there], expected[:there])
    np.testing.assert_allclose(factors @ factors.T, right[:there].T @ right[:there], atol=1e-8)


def test_the_penalty_is_small_where_content_says_all_and_large_where_it_says_nothing():
    draw = np.random.default_rng(0)
    taste, items = draw.normal(size=(80, 3)), draw.normal(size=(200, 3))
    log = sparse.csr_matrix((taste @ items.T > 2).astype(float))

    def space(kept):
        factors = item_factors(log[:, kept], 3)[0]
        return factors, log[:, kept] @ factors

    folds = make_folds(log, log > 0, space)
    # A penalty moves all dimensions alike, unless they differ in size.
    weighed = np.concatenate([items * 0.1, draw.normal(size=(200, 40))], axis=1)
    assert choose_penalty(weighed, folds) <= 0.1
    assert choose_penalty(draw.normal(size=(200, 40)), folds) == 1.0


def test_no_item_that_is_taken_out_has_a_part_in_its_fold():
    log = sparse.csr_matrix(np.random.default_rng(0).random((50, 40)) < 0.3, dtype=float)
    asked = []
    folds = make_folds(
        log, log > 0, lambda kept: (asked.append(kept), (np.ones((len(kept), 1)), np.ones((50, 1))))[1]
    )
    assert len(folds) == 5
    for kept, (left, out, *_) in zip(asked, folds, strict=True):
        np.testing.assert_array_equal(kept, left)
        assert not set(kept) & set(out)
    assert sorted(np.concatenate([fold[1] for fold in folds])) == list(range(40))


def test_a_list_without_what_is_liked_is_worth_nothing_and_users_who_like_nothing_do_not_count():
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    liked = np.array([[True, False, True], [False, False, False], [True, False, False]])
    first = (1 + 0.5) / (1 + 1 / np.log2(3))
    assert mean_ndcg(scores, liked, k=3) == pytest.approx((first + 0.5) / 2)
    assert mean_ndcg(scores, liked, k=2) == pytest.approx((1 / (1 + 1 / np.log2(3)) + 0.0) / 2)


def test_scores_are_those_of_the_closed_form(tea_and_coffee):
    data = tea_and_coffee
    model = ContentToCollaborative(content_of(data), factors=3, l2=0.1)
    model.fit(data.batches(64))
    # By hand, from the table: both views centred on the 26 items that were met, with a mean square length of one.
    met = ITEMS - COLD
    kinds = np.array(
        [[1.0, 0.0] if name == "tea" else [0.0, 1.0] for name in data.catalog.columns["categories"]]
    )
    if data.schema.vocabularies["item/categories"][0] != "tea":
        kinds = kinds[:, ::-1]
    price = data.catalog.columns["price"]
    places = np.arange(-2, 2.5, 0.5)
    bumps = np.exp(
        -0.5 * ((np.clip((price - price.mean()) / price.std(), -2, 2)[:, None] - places) / 0.5) ** 2
    )
    views = []
    for view in (kinds, bumps):
        centred = view - view[:met].mean(0)
        views.append(centred / np.sqrt((centred[:met] ** 2).sum(1).mean()))
    views = np.concatenate(views, axis=1)
    strengths = np.zeros((USERS, met))
    for user, item, rating in zip(
        data.interactions.user, data.interactions.item, data.interactions.rating, strict=True
    ):
        strengths[user, item] = 1.0 if rating == 5 else 0.1
    factors = np.linalg.svd(strengths)[2][:3].T
    kernel = (
        np.linalg.inv(views[:met].T @ views[:met] + 0.1 * met * np.eye(views.shape[1]))
        @ views[:met].T
        @ factors
    )
    expected = strengths @ factors @ (views @ kernel).T / np.sqrt(strengths.sum(1, keepdims=True))
    found = model.scores(model.query_of(data, range(USERS))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    # Somebody without a history is like all users on the average.
    nobody = model.scores(model.query_of(data, [-1]))
    np.testing.assert_allclose(nobody[0], expected.mean(axis=0), rtol=1e-3, atol=1e-5)
    pairs = {**model.query_of(data, [0, 1]), "item_id": tf.constant([3, ITEMS - 1])}
    np.testing.assert_allclose(model(pairs), [found[0, 3], found[1, ITEMS - 1]], rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "mlp", "hidden_units": (16,)}, {"space": "towers"}],
    ids=["ridge", "mlp", "towers"],
)
def test_a_new_item_goes_to_those_who_like_its_content(tea_and_coffee, options):
    data = tea_and_coffee
    keras.utils.set_random_seed(0)
    content = content_of(data)
    if options.get("space") == "towers":
        content = TwoTower(
            data.schema, ["id", "history", "categories"], embedding_dim=4, content_profile=False
        )
        content.compile()
        content.fit(data.batches(64), epochs=8, verbose=0)
    model = ContentToCollaborative(content, factors=4, **options)
    model.fit(data)
    new = np.arange(ITEMS) >= ITEMS - COLD
    rows = model.retrieve(model.query_of(data, range(USERS)), k=2, include=new)[0].numpy()
    # Users of even rows like tea, as do items of even rows.
    right = (rows % 2 == np.arange(USERS)[:, None] % 2).all(axis=1)
    assert right.mean() >= 0.95
    # Also somebody of whom only a session is known, of an item that nobody has met.
    session = {
        "user_id": tf.constant([-1]),
        "history": tf.constant([[ITEMS - 1]]),
        "history_weight": tf.ones([1, 1]),
    }
    if model.space == "factors":
        itself = tf.constant([[ITEMS - 1]])
        rows, _ = model.retrieve(session, k=1, include=new, exclude=itself)
        assert rows.numpy().tolist() == [[ITEMS - 3]]


@pytest.mark.parametrize("method", ["ridge", "mlp"])
def test_what_was_learned_is_saved_and_new_items_are_as_if_they_had_been_there(
    tea_and_coffee, method, tmp_path
):
    data = tea_and_coffee
    small = replace(
        only_items(data, slice(ITEMS - 2)), interactions=replace(data.interactions, num_items=ITEMS - 2)
    )
    rows = pd.DataFrame(
        {"item_id": data.catalog.ids[-2:], **{n: v[-2:] for n, v in data.catalog.columns.items()}}
    )
    scores = []
    for part in (data, small):
        keras.utils.set_random_seed(0)
        model = ContentToCollaborative(
            content_of(part), method=method, factors=3, epochs=5, hidden_units=(8,)
        )
        model.fit(part)
        recommender = Recommender(model, part)
        if part is small:
            recommender = recommender.with_items(rows)
        again = td.load(recommender.save(tmp_path / f"of{len(scores)}"))
        assert again.retriever.get_config() == recommender.retriever.get_config()
        query = model.query_of(data, range(USERS))
        scores.append(again.retriever.scores(query).numpy())
        np.testing.assert_allclose(scores[-1], recommender.retriever.scores(query), rtol=1e-5, atol=1e-6)
    if method == "ridge":
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=1e-5)
    else:
        np.testing.assert_array_equal(
            scores[1][:, : ITEMS - 2], Recommender(model, small).retriever.scores(query)
        )
    assert np.ptp(scores[1][:, -2:], axis=1).min() > 0


def test_the_network_learns_in_float32_under_a_global_policy_of_mixed_precision(tea_and_coffee):
    scores = []
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            keras.utils.set_random_seed(0)
            content = content_of(tea_and_coffee)
            model = ContentToCollaborative(content, method="mlp", factors=3, epochs=2, hidden_units=(8,))
            model.fit(tea_and_coffee)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        scores.append(model.scores(model.query_of(tea_and_coffee, range(USERS))).numpy())
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_is_said(tea_and_coffee):
    content = content_of(tea_and_coffee)
    for options, message in (
        ({"method": "lasso"}, r"method: expected one of \['ridge', 'mlp'\], got 'lasso'"),
        ({"space": "users"}, r"space: expected one of \['factors', 'towers'\], got 'users'"),
        ({"factors": 0}, "factors: expected at least 1, got 0"),
        ({"l2": 0.0}, "l2: expected a number above 0, or None, got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            ContentToCollaborative(content, **options)
    with pytest.raises(ValueError, match="content: expected a model with a frozen text or image tower"):
        ContentToCollaborative(TwoTower(tea_and_coffee.schema, ["id", "history"], embedding_dim=4))
    with pytest.raises(ValueError, match="the space 'towers' needs a model that has been trained"):
        ContentToCollaborative(content, space="towers").fit(tea_and_coffee)
    with pytest.raises(TypeError, match="content: expected a TwoTower, got Schema"):
        ContentToCollaborative(tea_and_coffee.schema)
    with pytest.raises(TypeError, match="x: expected a Dataset or its batches, got list"):
        ContentToCollaborative(content).fit([])


def test_adapt_has_the_content_model_read_the_content_once(tea_and_coffee, tmp_path, monkeypatch):
    data, calls = tea_and_coffee, []
    read = TwoTower.adapt

    def noted(model, *args):
        calls.append(args)
        read(model, *args)

    monkeypatch.setattr(TwoTower, "adapt", noted)
    model = ContentToCollaborative(content_of(data), factors=4)
    model.adapt(data, tmp_path, progress=False)
    model.fit(data)
    assert calls == [(data, tmp_path, False)]
    # What a trained content model has learned is not read over.
    model.content.item_bias.assign(np.arange(ITEMS))
    model.adapt(data, tmp_path, progress=False)
    np.testing.assert_array_equal(model.content.item_bias, np.arange(ITEMS))
