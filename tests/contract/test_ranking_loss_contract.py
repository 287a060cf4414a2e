"""What every loss on ranking lists must satisfy, whatever it compares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.descent import descend
from tfrec_div import tasks
from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking import RANKING_LOSSES, make_ranking_loss

MAKERS = {
    **{name: lambda name=name: make_ranking_loss(name) for name in RANKING_LOSSES},
    "cross entropy, labels weighted": lambda: make_ranking_loss("binary_cross_entropy", weighted="labels"),
    "lambdarank": lambda: make_ranking_loss("lambda_loss", scheme="lambdarank", sigma=2.0),
    "ndcg_loss2++": lambda: make_ranking_loss("lambda_loss", scheme="ndcg_loss2++", mu=3.0),
    "ordinal, fixed": lambda: make_ranking_loss(
        "ordinal_logistic", grades=3, thresholds=[-0.5, 1.0], learn_thresholds=False
    ),
}
LOSSES = {name: maker() for name, maker in MAKERS.items()}
every_loss = pytest.mark.parametrize("name", sorted(MAKERS))
# Of a list, not of its candidates: these say nothing about a list of one.
COMPARE = {
    *("pairwise_logistic", "pairwise_margin", "list_softmax", "approx_ndcg"),
    *("lambda_loss", "lambdarank", "ndcg_loss2++"),
}


def some_lists(seed: int = 0, batch: int = 4, n: int = 6):
    """Labels 0 to 2, scores without ties, a mask and weights; the first list is full and has every label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (batch, n)).astype(np.float32)
    scores = rng.normal(size=(batch, n)).astype(np.float32)
    mask = rng.random((batch, n)) < 0.7
    weights = rng.uniform(0.5, 3.0, (batch, n)).astype(np.float32)
    labels[:1, :3], mask[:1] = [2.0, 0.0, 1.0], True
    return labels, scores, mask, weights


def with_gradient(loss, labels, scores, mask, weights=None):
    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        values = loss(labels, scores, mask, weights)
        total = tf.reduce_sum(values)
    return values.numpy(), tape.gradient(total, scores).numpy()


@every_loss
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), rubbish=st.sampled_from([1e30, np.nan, np.inf, -np.inf]))
def test_what_is_masked_has_no_influence_and_gets_no_gradient(name, seed, rubbish):
    labels, scores, mask, weights = some_lists(seed)
    values, gradient = with_gradient(LOSSES[name], labels, scores, mask, weights)
    spoilt = [np.where(mask, x, np.float32(rubbish)) for x in (labels, scores, weights)]
    again, gradient_again = with_gradient(LOSSES[name], spoilt[0], spoilt[1], mask, spoilt[2])
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(gradient_again, gradient)
    assert (gradient[~mask] == 0).all()
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()


@every_loss
def test_a_list_is_worth_the_same_without_its_masked_places(name):
    labels, scores, mask, weights = some_lists(5)
    together = LOSSES[name](labels, scores, mask, weights).numpy()
    for row in range(len(labels)):
        there = mask[row]
        alone = LOSSES[name](labels[[row]][:, there], scores[[row]][:, there], None, weights[[row]][:, there])
        np.testing.assert_allclose(alone.numpy()[0], together[row], rtol=1e-5, atol=1e-6)


@every_loss
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_in_which_candidates_come_does_not_matter(name, seed):
    labels, scores, mask, weights = some_lists(seed)
    order = np.random.default_rng(seed).permutation(labels.shape[1])
    moved = [x[:, order] for x in (labels, scores, mask, weights)]
    expected = LOSSES[name](labels, scores, mask, weights)
    np.testing.assert_allclose(LOSSES[name](*moved), expected, rtol=1e-4, atol=1e-5)


@every_loss
def test_an_unknown_label_takes_its_candidate_out(name):
    labels, scores, mask, weights = some_lists(3)
    unknown = labels.copy()
    unknown[:, 4] = np.nan
    without = mask & (np.arange(6) != 4)
    np.testing.assert_array_equal(
        LOSSES[name](unknown, scores, mask, weights), LOSSES[name](labels, scores, without, weights)
    )


@every_loss
@pytest.mark.parametrize("size", [1.0, 1e4, 1e15])
def test_loss_and_gradient_are_finite_for_lists_of_every_shape(name, size):
    labels = np.array([[1, 0, 0], [0, 1, 2], [1, 1, 1], [0, 0, 0], [2, 0, 1], [0, 1, 2]], np.float32)
    mask = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]], bool)
    scores = np.array([[1, 0, 0], [1, 2, 3], [1, -1, 0], [1, -1, 0], [-1, 1, 0.5], [0, 0, 0]], np.float32)
    values, gradient = with_gradient(LOSSES[name], labels, scores * np.float32(size), mask)
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()
    assert values[1] == 0
    assert (values[[4, 5]] > 0).all()
    assert np.abs(gradient[4]).max() > 0 or (
        name == "approx_ndcg" and size > 1
    )  # the order is as far off as can be
    nothing = [0, 1] if name == "list_softmax" else [0, 1, 2, 3] if name in COMPARE else [1]
    assert (values[nothing] == 0).all()
    assert (gradient[nothing] == 0).all()


@every_loss
def test_gradients_of_learned_weights_are_finite_without_any_list(name):
    loss = MAKERS[name]()
    empty = np.zeros((2, 3), np.float32)
    with tf.GradientTape() as tape:
        total = loss.mean(empty, empty, np.zeros((2, 3), bool))
    assert float(total) == 0.0
    for gradient in tape.gradient(total, loss.trainable_variables):
        assert np.isfinite(gradient).all()
    assert LOSSES[name](np.zeros((2, 0)), np.zeros((2, 0)), np.zeros((2, 0), bool)).numpy().tolist() == [0, 0]
    assert LOSSES[name](empty[:0], empty[:0], None).shape == (0,)


@every_loss
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_gradient_is_that_of_small_steps(name, seed):
    labels, scores, mask, weights = some_lists(seed, batch=1)
    # Ranks are constants of LambdaLoss, and a hinge has a corner: distinct scores that no small step exchanges.
    scores = np.random.default_rng(seed).permutation(
        np.array([[-1.3, -0.55, 0.15, 0.75, 1.8, 2.9]], np.float32), 1
    )
    _, gradient = with_gradient(LOSSES[name], labels, scores, mask, weights)
    steps = np.float32(2e-2) * np.eye(6, dtype=np.float32)
    lists = [np.repeat(x, 12, axis=0) for x in (labels, scores, mask, weights)]
    lists[1] += np.concatenate([steps, -steps])
    up, down = np.split(LOSSES[name](*lists).numpy(), 2)
    np.testing.assert_allclose(gradient[0], (up - down) / 4e-2, rtol=0.03, atol=3e-3)


@every_loss
def test_a_weight_of_all_candidates_multiplies_the_loss(name):
    if name == "cross entropy, labels weighted":
        return  # weights are not of candidates there
    labels, scores, mask, weights = some_lists(7)
    plain = LOSSES[name](labels, scores, mask).numpy()
    doubled = LOSSES[name](labels, scores, mask, np.full((4, 1), 2.0, np.float32))
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-5)
    one = LOSSES[name](labels, scores, mask, np.ones_like(weights))
    np.testing.assert_allclose(one, plain, rtol=1e-6)
    assert not np.allclose(LOSSES[name](labels, scores, mask, weights)[0], plain[0], rtol=1e-3)


@every_loss
def test_descent_puts_the_relevant_first(name):
    """The claim of all of them; ratings too, since labels are what they predict."""
    labels = np.array([[0, 2, 0, 1, 0, 0]], np.float32)
    scores = tf.Variable(np.array([[0.3, -0.2, 0.1, -0.1, 0.0, 0.2]], np.float32))
    descend(lambda: LOSSES[name].mean(labels, scores), [scores], steps=150, rate=0.05)
    found = scores.numpy()[0]
    assert min(found[1], found[3]) > max(found[[0, 2, 4, 5]])
    if "cross entropy" not in name and name != "binary_cross_entropy":  # which counts grades above 1 as 1
        assert found[1] > found[3]


@every_loss
def test_the_mean_is_over_lists_that_have_something_to_learn(name):
    labels = np.array([[1, 0, 0], [0, 0, 0], [0, 2, 1]], np.float32)
    scores = np.array([[0.1, 0.4, 0.2], [5, 5, 5], [0.3, 0.2, 0.9]], np.float32)
    mask = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1]], bool)
    values = LOSSES[name](labels, scores, mask).numpy()
    expected = (values[0] + values[2]) / 2
    assert float(LOSSES[name].mean(labels, scores, mask)) == pytest.approx(expected, rel=1e-6)
    weighted = LOSSES[name].mean(labels, scores, mask, list_weights=np.array([3.0, 1.0, 0.0]))
    assert float(weighted) == pytest.approx(1.5 * values[0], rel=1e-6)


@every_loss
def test_a_list_whose_relevant_candidates_have_no_weight_teaches_nothing(name):
    labels = np.array([[1, 0, 0], [0, 2, 1]], np.float32)
    scores = np.array([[0.1, 0.4, 0.2], [0.3, 0.2, 0.9]], np.float32)
    weights = np.array([[0, 0, 0], [1, 1, 1]], np.float32)
    weights[0, 1:] = name in COMPARE  # those of what is not relevant play no part there
    values = LOSSES[name](labels, scores, None, weights).numpy()
    mean = float(LOSSES[name].mean(labels, scores, None, weights))
    if (
        name == "cross entropy, labels weighted"
    ):  # all its candidates are irrelevant, which is something to learn
        assert mean == pytest.approx(values.mean(), rel=1e-6)
    else:
        assert values[0] == 0
        assert mean == pytest.approx(values[1], rel=1e-6)


@every_loss
def test_works_in_a_graph_of_unknown_shape_and_in_half_precision(name):
    labels, scores, mask, weights = some_lists(9)
    expected = LOSSES[name](labels, scores, mask, weights)
    shape = [None, None]
    graph = tf.function(
        lambda *lists: LOSSES[name](*lists),
        input_signature=[
            *(tf.TensorSpec(shape), tf.TensorSpec(shape), tf.TensorSpec(shape, tf.bool), tf.TensorSpec(shape))
        ],
    )
    np.testing.assert_allclose(graph(labels, scores, mask, weights), expected, rtol=1e-5, atol=1e-6)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        half = MAKERS[name]()(labels, tf.cast(scores, tf.float16), mask, weights)
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, expected, rtol=0.02, atol=0.01)


@every_loss
def test_whole_numbers_serve_as_labels(name):
    labels, scores, mask, _ = some_lists(2)
    expected = LOSSES[name](labels, scores, mask)
    np.testing.assert_array_equal(LOSSES[name](tf.cast(labels, tf.int32), scores, mask), expected)


@every_loss
def test_config_round_trip(name):
    loss = LOSSES[name]
    again = keras.layers.deserialize(keras.layers.serialize(loss))
    assert again.get_config() == loss.get_config()
    again.set_weights(loss.get_weights())
    lists = some_lists(11)
    np.testing.assert_array_equal(again(*lists), loss(*lists))


def test_two_devices_count_as_one():
    """In a process of its own, since devices are divided only once."""
    script = Path(__file__).with_name("ranking_loss_strategy_script.py")
    found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    one, two = json.loads(found.stdout.splitlines()[-1])
    assert len(one) == len(MAKERS) + 1
    assert two == pytest.approx(one, rel=1e-5)


def test_a_loss_is_made_by_name():
    loss = make_ranking_loss("approx_ndcg", temperature=0.5, name="order")
    assert (type(loss), loss.temperature, loss.name) == (tasks.ApproxNDCG, 0.5, "order")
    assert make_ranking_loss(loss) is loss


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("softmax", {}, "loss: expected one of binary_cross_entropy, .* got 'softmax'"),
        ("list_softmax", {"sigma": 2}, "ListSoftmax has no option 'sigma'; there are temperature"),
        ("squared_error", {"sigma": 2}, "there are none"),
        ("list_softmax", {"temperature": 0}, "temperature: expected above 0, got 0"),
        ("pairwise_margin", {"margin": -1}, "margin: expected above 0, got -1"),
        ("lambda_loss", {"scheme": "ndcg"}, "scheme: expected one of ndcg_loss2, lambdarank, .* got 'ndcg'"),
        (
            "binary_cross_entropy",
            {"weighted": "all"},
            "weighted: expected one of candidates, labels, got 'all'",
        ),
        ("ordinal_logistic", {"grades": 1}, "grades: expected at least 2, got 1"),
        (
            "ordinal_logistic",
            {"grades": 3, "thresholds": [1, 0]},
            "thresholds: expected 2 increasing numbers",
        ),
        (LOSSES["squared_error"], {"name": "x"}, "loss: expected a name"),
    ],
)
def test_what_does_not_fit_is_named(loss, options, message):
    with pytest.raises(ValueError, match=message):
        make_ranking_loss(loss, **options)


def test_every_loss_has_a_row_in_the_table():
    page = Path(__file__).resolve().parents[2] / "docs" / "ranking-losses.md"
    rows = [
        line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert {f" `{name}` " for name in RANKING_LOSSES} <= set(rows)
