"""Losses on ranking lists against published values and closed forms by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.descent import descend
from tfrec_div import tasks
from tfrec_div._keras import tf

# The example of TensorFlow Ranking's documentation, and its second one: two lists, one shorter.
LABELS, SCORES = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])
TWO_LABELS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
TWO_SCORES = np.array([[0.6, 0.8, 0.0], [0.5, 0.8, 0.4]])
TWO_MASK = np.array([[True, True, False], [True, True, True]])


def value(loss, labels, scores, **options) -> float:
    (found,) = loss(np.array([labels], np.float32), np.array([scores], np.float32), **options).numpy()
    return float(found)


def test_softmax_as_tensorflow_ranking_documents():
    assert float(tasks.ListSoftmax().mean(LABELS, SCORES)) == pytest.approx(0.7981389, rel=1e-6)
    assert float(tasks.ListSoftmax().mean(TWO_LABELS, TWO_SCORES, TWO_MASK)) == pytest.approx(
        0.83911896, rel=1e-6
    )


def test_approx_ndcg_as_tensorflow_ranking_documents():
    # There the loss is the negative NDCG.
    assert float(tasks.ApproxNDCG().mean(LABELS, SCORES)) == pytest.approx(1 - 0.655107, rel=1e-5)
    found = tasks.ApproxNDCG().mean(TWO_LABELS, TWO_SCORES, TWO_MASK)
    assert float(found) == pytest.approx(1 - 0.80536866, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "documented", "of_two"),
    [(tasks.PairwiseLogistic, 0.39906943, 0.3109182), (tasks.PairwiseMargin, 0.6, 0.41666666)],
)
def test_pairwise_losses_as_tensorflow_ranking_documents(loss, documented, of_two):
    # There sums over pairs are divided by the places of the lists, with padding: 2 and 6. Here by pairs: 1; 1 and 2.
    assert float(loss().mean(LABELS, SCORES)) == pytest.approx(2 * documented, rel=1e-6)
    first, second = loss()(TWO_LABELS, TWO_SCORES, TWO_MASK).numpy()
    assert first + 2 * second == pytest.approx(6 * of_two, rel=1e-6)


def test_binary_cross_entropy_as_tensorflow_ranking_documents():
    loss = tasks.BinaryCrossEntropy()
    assert float(loss.mean(LABELS, SCORES)) == pytest.approx(0.8042943, rel=1e-6)
    first, second = loss(TWO_LABELS, TWO_SCORES, TWO_MASK).numpy()
    assert (2 * first + 3 * second) / 6 == pytest.approx(0.6444636, rel=1e-6)


def test_softmax_takes_the_shares_of_grades():
    # Scores ln 1, ln 2, ln 5: shares 1/8, 2/8, 5/8; labels 3 and 1 of 4.
    expected = 0.75 * math.log(8) + 0.25 * math.log(4)
    scores = [0.0, math.log(2), math.log(5)]
    assert value(tasks.ListSoftmax(), [3, 1, 0], scores) == pytest.approx(expected, rel=1e-6)
    halved = [s / 2 for s in scores]
    assert value(tasks.ListSoftmax(temperature=0.5), [3, 1, 0], halved) == pytest.approx(expected, rel=1e-6)


def test_a_list_of_one_does_not_count_in_the_mean():
    labels, scores = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.6, 0.8], [5.0, 0.0]])
    found = tasks.ListSoftmax().mean(labels, scores, np.array([[True, True], [True, False]]))
    assert float(found) == pytest.approx(0.7981389, rel=1e-6)


def test_the_weight_of_a_relevant_candidate_is_that_of_its_term():
    weights = np.array([[4.0, 2.0, 9.0]])
    scores = [0.0, math.log(2), math.log(5)]
    expected = 4 * 0.75 * math.log(8) + 2 * 0.25 * math.log(4)
    assert value(tasks.ListSoftmax(), [3, 1, 0], scores, weights=weights) == pytest.approx(expected, rel=1e-6)
    # Pairs: of the first with both others, of the second with the third.
    hinge = (4 * (1 + 1) + 4 * (1 + 3) + 2 * (1 + 2)) / 3
    found = value(tasks.PairwiseMargin(), [2, 1, 0], [0.0, 1.0, 3.0], weights=weights)
    assert found == pytest.approx(hinge, rel=1e-6)


def test_pairs_are_those_of_different_labels():
    # 2 over 1 and 1, the two 1 over nothing: margins 1 - (0 - 3), 1 - (0 - (-2)) < 0.
    assert value(tasks.PairwiseMargin(), [2, 1, 1], [0, 3, -2]) == pytest.approx((4 + 0) / 2)
    found = value(tasks.PairwiseLogistic(temperature=2.0), [2, 1, 1], [0, 3, -2])
    assert found == pytest.approx((math.log1p(math.exp(1.5)) + math.log1p(math.exp(-1.0))) / 2, rel=1e-6)
    assert value(tasks.PairwiseMargin(margin=4.0), [1, 0], [1, 0]) == 3.0


def test_approx_ndcg_becomes_what_ndcg_lacks_as_the_temperature_falls():
    # Ranks 2, 1, 3 of labels 2, 0, 1: gains 3 and 1.
    ideal = 3 + 1 / math.log2(3)
    exact = 1 - (3 / math.log2(3) + 1 / math.log2(4)) / ideal
    assert value(tasks.ApproxNDCG(temperature=1e-3), [2, 0, 1], [0.5, 0.9, 0.1]) == pytest.approx(
        exact, rel=1e-5
    )
    # At a high temperature all ranks are 2, the middle.
    middle = 1 - (4 / math.log2(3)) / ideal
    assert value(tasks.ApproxNDCG(temperature=1e5), [2, 0, 1], [0.5, 0.9, 0.1]) == pytest.approx(
        middle, rel=1e-4
    )


def test_approx_ndcg_weighs_gains():
    # Weights 1, 1, 5 make the gains 3, 0, 5, whose best order begins with the third; still divided by the unweighted.
    ideal = 3 + 1 / math.log2(3)
    lacking = (5 + 3 / math.log2(3)) - (3 / math.log2(3) + 5 / math.log2(4))
    loss = tasks.ApproxNDCG(temperature=1e-3)
    found = value(loss, [2, 0, 1], [0.5, 0.9, 0.1], weights=np.array([[1.0, 1.0, 5.0]]))
    assert found == pytest.approx(lacking / ideal, rel=1e-5)


def lambda_value(weight_of_pair) -> float:
    """The sum over the pairs of the list below; ranks are 2, 1, 3, gains 3, 0 and 1 over the ideal."""
    ideal = 3 + 1 / math.log2(3)
    pairs = [((2, 1), 3.0, 0.5 - 0.9), ((2, 3), 2.0, 0.5 - 0.1), ((3, 1), 1.0, 0.1 - 0.9)]
    return sum(gain / ideal * weight_of_pair(*r) * math.log1p(math.exp(-s)) for r, gain, s in pairs)


def discount(rank: int) -> float:
    return 1 / math.log2(1 + rank)


def bound(i: int, j: int) -> float:
    return discount(abs(i - j)) - discount(abs(i - j) + 1)


def exchange(i: int, j: int) -> float:
    return abs(discount(i) - discount(j))


@pytest.mark.parametrize(
    ("scheme", "weight"),
    [
        ("ndcg_loss2", bound),
        ("lambdarank", exchange),
        ("ndcg_loss2++", lambda i, j: exchange(i, j) + 10 * bound(i, j)),
    ],
)
def test_lambda_loss_by_hand(scheme, weight):
    found = value(tasks.LambdaLoss(scheme), [2, 0, 1], [0.5, 0.9, 0.1])
    assert found == pytest.approx(lambda_value(weight), rel=1e-5)


def test_ndcg_loss2_bounds_what_ndcg_lacks():
    """The paper's theorem, with its logarithm to the base 2, on random lists."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (300, 7)).astype(np.float32)
    scores = rng.normal(size=(300, 7)).astype(np.float32)
    gains = 2.0**labels - 1
    by_place = 1 / np.log2(np.arange(2, 9))
    won = np.take_along_axis(gains, np.argsort(-scores, axis=1), axis=1) @ by_place
    best = -np.sort(-gains, axis=1) @ by_place
    losses = tasks.LambdaLoss("ndcg_loss2")(labels, scores).numpy() / math.log(2)
    assert (losses >= 1 - won / best - 1e-5).all()


def test_ratings_that_are_not_known_do_not_count():
    labels = np.array([[5.0, np.nan, 2.0], [np.nan, np.nan, np.nan]])
    scores = np.array([[4.0, 9.0, 4.0], [1.0, 1.0, 1.0]])
    assert tasks.SquaredError()(labels, scores).numpy().tolist() == [2.5, 0.0]
    assert float(tasks.SquaredError().mean(labels, scores)) == 2.5


def test_grades_above_one_are_relevant_and_those_between_are_probabilities():
    loss = tasks.BinaryCrossEntropy()
    assert (
        value(loss, [3], [0.7])
        == value(loss, [1], [0.7])
        == pytest.approx(math.log1p(math.exp(-0.7)), rel=1e-6)
    )
    expected = 0.25 * math.log1p(math.exp(-0.7)) + 0.75 * math.log1p(math.exp(0.7))
    assert value(loss, [0.25], [0.7]) == pytest.approx(expected, rel=1e-6)


def test_weighted_labels_make_the_probability_that_of_relevance():
    """The best score for clicks on what is relevant with .3 and looked at with .5, weighted by 1/.5."""
    rng = np.random.default_rng(1)
    clicks = (rng.random(10_000) < 0.3 * 0.5).astype(np.float32)[np.newaxis]
    weights = np.full_like(clicks, 2.0)
    share = float(clicks.mean())
    for weighted, expected in (("labels", 2 * share), ("candidates", share)):
        loss, score = tasks.BinaryCrossEntropy(weighted), tf.Variable([[0.0]])
        descend(
            lambda loss=loss, score=score: loss.mean(
                clicks, tf.broadcast_to(score, clicks.shape), None, weights
            ),
            [score],
            steps=150,
            rate=0.1,
        )
        assert float(tf.sigmoid(score)[0, 0]) == pytest.approx(expected, abs=1e-3)


# Ordinal regression.


def test_ordinal_likelihood_by_hand():
    loss = tasks.OrdinalLogistic(4, thresholds=[-1.0, 0.5, 2.0])
    np.testing.assert_allclose(loss.thresholds, [-1.0, 0.5, 2.0], rtol=1e-6)

    def sigma(x):
        return 1 / (1 + math.exp(-x))

    at_least = [1.0, sigma(0.3 + 1.0), sigma(0.3 - 0.5), sigma(0.3 - 2.0), 0.0]
    expected = [at_least[k] - at_least[k + 1] for k in range(4)]
    np.testing.assert_allclose(loss.probabilities(tf.constant([[0.3]]))[0, 0], expected, rtol=1e-5)
    for grade in range(4):
        assert value(loss, [grade], [0.3]) == pytest.approx(-math.log(expected[grade]), rel=1e-5)
    assert value(loss, [9], [0.3]) == value(loss, [3], [0.3])
    assert value(loss, [1.9], [0.3]) == value(loss, [2], [0.3])


def test_two_grades_are_binary_cross_entropy():
    labels, scores = np.array([[1.0, 0.0, 1.0]]), np.array([[0.4, -2.0, -1.0]])
    expected = float(tasks.BinaryCrossEntropy().mean(labels, scores))
    assert float(tasks.OrdinalLogistic(2).mean(labels, scores)) == pytest.approx(expected, rel=1e-6)


def test_grades_start_equally_likely():
    np.testing.assert_allclose(tasks.OrdinalLogistic(5).probabilities([0.0])[0], [0.2] * 5, rtol=1e-5)


def test_thresholds_learn_the_shares_of_grades_and_stay_in_order():
    shares = np.array([0.1, 0.5, 0.0, 0.4])  # the third grade never occurs
    labels = np.repeat(np.arange(4), (shares * 100).astype(int))[np.newaxis].astype(np.float32)
    loss = tasks.OrdinalLogistic(4)
    descend(lambda: loss.mean(labels, np.zeros_like(labels)), loss.trainable_variables, steps=400, rate=0.1)
    np.testing.assert_allclose(loss.probabilities([0.0])[0], shares, atol=0.01)
    assert (np.diff(loss.thresholds) > 0).all()


def test_fixed_thresholds_do_not_learn():
    loss = tasks.OrdinalLogistic(3, thresholds=[0.0, 1.0], learn_thresholds=False)
    assert loss.trainable_variables == []
    assert len(tasks.OrdinalLogistic(3).trainable_variables) == 2
