"""RADio: the numbers of Informfully's tests, which has the authors' code, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import jensenshannon

from tfrec_div.metrics import (
    radio_activation,
    radio_alternative_voices,
    radio_calibration,
    radio_fragmentation,
    radio_representation,
)

HISTORY = np.array([0, 1, 2, 3, 4, 8, 7, 6, 5, 1, 1, 2]), np.array([0, 12])
GENRES = np.eye(5)[[0, 1, 2, 2, 3, 4, 4, 1, 2]]
AFFECT = np.array([0.5, -0.2, 0.0, 0.8, 1.0, -0.7])
STORIES = np.array([1, 2, 22, 5, 10, 15, 10, 15, 22, 1])
# Mentions of Democrat, Republican, Party1 and AnyParty.
MENTIONS = np.array([[1, 2, 1, 0], [0, 2, 1, 1], [0, 3, 1, 0], [3, 0, 0, 1]])
MINORITY, MAJORITY = np.array([1, 2, 0, 5]), np.array([9, 8, 1, 8])


def test_calibration_of_the_example_of_informfully():
    rows = np.arange(5)[np.newaxis]
    value = radio_calibration(rows, *HISTORY, GENRES, rank_aware=False)
    np.testing.assert_allclose(value, [0.36362464942732303], rtol=1e-12)
    value = radio_calibration(rows, *HISTORY, np.eye(9), "kl", rank_aware=False)
    np.testing.assert_allclose(value, [3.039184897133893], rtol=1e-12)


@pytest.mark.parametrize(
    ("k", "arguments", "expected"),
    [(3, {"divergence": "kl"}, 2.985336), (2, {"divergence": "kl"}, 6.107726), (2, {"bins": 4}, 0.434599)],
)
def test_activation_of_the_examples_of_informfully(k, arguments, expected):
    # It rounds shares to four decimals.
    rows = np.array([[0, 1, 3]])[:, :k]
    assert radio_activation(rows, AFFECT, rank_aware=False, **arguments)[0] == pytest.approx(
        expected, abs=5e-4
    )


def test_calibration_of_complexity_is_activation_with_the_history_for_a_pool():
    value = radio_activation(np.arange(3)[np.newaxis], np.arange(1.0, 10.0), HISTORY, rank_aware=False)
    assert value[0] == pytest.approx(0.500962, abs=5e-5)


def test_fragmentation_of_the_examples_of_informfully():
    # It measures the other lists from the own one: user 0 among the others of users 1 and 2.
    rows = np.array([[0, 1, 6, 5], [0, 2, 6, 9], [4, 3, 7, 9]])
    value = radio_fragmentation(rows, STORIES, np.array([[1], [0], [0]]), "kl", rank_aware=False)
    np.testing.assert_allclose(value[1:].mean(), 2.734191898820655, rtol=1e-12)
    rows = np.array([[0, 1], [0, 2], [4, 3]])
    value = radio_fragmentation(rows, STORIES, np.array([[1], [0], [0]]), "kl", rank_aware=False)
    np.testing.assert_allclose(value[1:].mean(), 7.458309139542626, rtol=1e-12)
    value = radio_fragmentation(rows, STORIES, np.array([[1, 2], [0, 2], [0, 1]]), rank_aware=False)
    np.testing.assert_allclose(value[0], 0.8486708608256677, rtol=1e-12)


@pytest.mark.parametrize(
    ("k", "divergence", "expected"),
    [(3, "kl", 0.20900290285676065), (2, "kl", 1.1911816116091571), (2, "js", 0.30366279787425554)],
)
def test_representation_of_the_examples_of_informfully(k, divergence, expected):
    rows = np.array([[0, 2, 1]])[:, :k]
    value = radio_representation(rows, MENTIONS, None, divergence, rank_aware=False)
    np.testing.assert_allclose(value, [expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("k", "divergence", "expected", "error"),
    [(3, "kl", 0.034107, 5e-5), (2, "kl", 0.14002872565616667, 1e-12), (2, "js", 0.16783069127015743, 1e-12)],
)
def test_alternative_voices_of_the_examples_of_informfully(k, divergence, expected, error):
    rows = np.array([[0, 2, 1]])[:, :k]
    value = radio_alternative_voices(rows, MINORITY, MAJORITY, None, divergence, rank_aware=False)
    assert value[0] == pytest.approx(expected, abs=error)


def root_js(p, q):
    """The square root of the divergence in bits, of distributions smoothed by .001 of the other."""
    p, q = np.asarray(p) / np.sum(p), np.asarray(q) / np.sum(q)
    return jensenshannon(0.999 * p + 0.001 * q, 0.999 * q + 0.001 * p, 2)


def test_ranks_weigh_the_list_and_the_latest_of_the_history():
    topics = np.array([[1, 0], [0, 1]])
    # List a, b, b: 1, 1/2, 1/3. History b, a in this order of time: a is the place 1, b the place 2.
    value = radio_calibration(np.array([[0, 1, -1], [0, 1, 1]]), [1, 0, 1, 0], [0, 2, 4], topics)
    np.testing.assert_allclose(value, [0.0, root_js([1, 1 / 2], [1, 1 / 2 + 1 / 3])], atol=1e-7)


def test_ranks_weigh_the_list_but_not_the_pool():
    value = radio_representation(np.array([[0, 3]]), MENTIONS)
    pool = (MENTIONS / 4).sum(axis=0)
    np.testing.assert_allclose(value, [root_js(pool, MENTIONS[0] + MENTIONS[3] / 2)], rtol=1e-9)
    value = radio_alternative_voices(np.array([[0, 3]]), MINORITY, MAJORITY)
    pool = np.array([0.1, 0.9]) + [0.2, 0.8] + [0, 1] + [5 / 13, 8 / 13]
    np.testing.assert_allclose(
        value, [root_js(pool, np.array([0.1, 0.9]) + np.array([5, 8]) / 26)], rtol=1e-9
    )


def test_the_authors_leave_out_items_that_mention_one_side_only():
    rows = np.array([[0, 2]])
    value = radio_alternative_voices(rows, MINORITY, MAJORITY, rank_aware=False, definition="radio")
    pool = np.array([0.1, 0.9]) + [0.2, 0.8] + [5 / 13, 8 / 13]
    np.testing.assert_allclose(value, [root_js(pool, [0.1, 0.9])], rtol=1e-9)


def test_a_pool_for_all_or_for_each_user():
    rows = np.array([[0, 1], [0, 1]])
    all_items = radio_representation(rows, MENTIONS)
    np.testing.assert_array_equal(radio_representation(rows, MENTIONS, np.arange(4)), all_items)
    each = radio_representation(rows, MENTIONS, (np.array([0, 1, 2, 3, 0, 1]), np.array([0, 4, 6])))
    assert each[0] == all_items[0]
    assert each[1] == radio_representation(rows, MENTIONS, np.array([1, 0]))[1] < each[0]
    each = radio_activation(rows, AFFECT, (np.array([0, 1, 2, 3, 4, 5, 0, 1]), np.array([0, 6, 8])))
    assert each[0] == radio_activation(rows, AFFECT)[0]
    assert each[1] == radio_activation(rows, AFFECT, np.array([0, 1]))[1]


def test_unknown_affect_is_passed_over():
    affect = np.append(AFFECT, np.nan)
    rows = np.array([[0, 6, 1], [6, -1, -1]])
    value = radio_activation(rows, affect)
    places = radio_activation(np.array([[0, -1, 1]]), AFFECT)
    assert value[0] == places[0]
    assert np.isnan(value[1])


def test_fragmentation_draws_others_by_the_seed():
    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((30, 40)), axis=1)[:, :5]
    first = radio_fragmentation(rows, np.arange(40), others=4, seed=1)
    np.testing.assert_array_equal(first, radio_fragmentation(rows, np.arange(40), others=4, seed=1))
    assert (first != radio_fragmentation(rows, np.arange(40), others=4, seed=2)).any()
    # Everybody but oneself: were one compared with oneself, some value would be 0.
    assert (radio_fragmentation(np.arange(20)[:, np.newaxis], np.arange(20), others=30) > 0.99).all()


def test_all_get_the_same_or_nothing_in_common():
    same = radio_fragmentation(np.array([[0, 1]] * 3), np.arange(4))
    np.testing.assert_allclose(same, np.zeros(3), atol=1e-7)
    # Different items of the same stories.
    same = radio_fragmentation(np.array([[0, 1], [2, 3]]), np.array([7, 8, 7, 8]), others=1)
    np.testing.assert_allclose(same, np.zeros(2), atol=1e-7)
    apart = radio_fragmentation(np.array([[0, 1], [2, 3]]), np.arange(4), others=1, alpha=0.0)
    np.testing.assert_allclose(apart, np.ones(2))


def test_nothing_to_compare_is_undefined():
    rows = np.array([[-1], [0]])
    assert np.isnan(radio_calibration(rows, [0], [0, 1, 1], GENRES)).tolist() == [True, True]
    assert np.isnan(radio_representation(rows, MENTIONS)).tolist() == [True, False]
    assert np.isnan(radio_fragmentation(rows, np.array([0]), others=np.array([[1], [0]]))).all()
    three = radio_fragmentation(
        np.array([[-1], [0], [0]]), np.array([0]), others=np.array([[1, 2], [0, 2], [0, 1]])
    )
    np.testing.assert_allclose(three, [np.nan, 0.0, 0.0], atol=1e-7)


def test_sparse_mentions_are_the_same():
    rows = np.array([[0, 2, 1]])
    thin = radio_representation(rows, sparse.coo_array(MENTIONS))
    np.testing.assert_array_equal(thin, radio_representation(rows, MENTIONS))
    # Zeros that are stored are none, and entries that are stored twice add up.
    entries = [*np.argwhere(MENTIONS).tolist(), [0, 3], [0, 1]]
    numbers = [MENTIONS[i, j] for i, j in entries[:-2]] + [0, 0]
    stored = sparse.coo_array((numbers, tuple(np.transpose(entries))), shape=MENTIONS.shape)
    np.testing.assert_array_equal(radio_representation(rows, stored.tocsr()), thin)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: radio_representation(np.array([[0]]), MENTIONS, None, "hellinger"),
            "kl or js; received 'hellinger'",
        ),
        (lambda: radio_activation(np.array([[0]]), AFFECT, bins=1), "bins must be at least 2; received 1"),
        (
            lambda: radio_representation(np.array([[0]]), MENTIONS, (np.array([0]), np.array([0, 0]))),
            "pool_row_splits",
        ),
        (lambda: radio_fragmentation(np.array([[0]]), STORIES), "at least 2 users; received 10 of 1 users"),
        (
            lambda: radio_fragmentation(np.array([[0], [1]]), STORIES, np.array([[-1], [0]])),
            r"others must be \[2, n\]",
        ),
        (
            lambda: radio_alternative_voices(np.array([[0]]), MINORITY, MAJORITY, definition="dart"),
            "informfully or radio; received 'dart'",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
