"""Serendipity: the numbers of rectools and recommenders, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import item_unexpectedness, serendipity

# rectools' example: items 1 to 4, used by 3, 2, 0 and 0 people.
COUNTS = np.array([3, 2, 0, 0])
ROWS = np.array([[0, 1], [1, 2], [2, -1], [1, 2]])
HITS = np.array([[True, True], [True, True], [False, False], [True, False]])


@pytest.mark.parametrize(("k", "expected"), [(1, [0, 0.25, 0, 0.25]), (2, [0, 0.5, 0, 0.125])])
def test_the_example_of_rectools(k, expected):
    assert serendipity(ROWS[:, :k], HITS[:, :k], COUNTS).tolist() == expected


def test_agrees_with_rectools_on_random_lists():
    pytest.importorskip("rectools.metrics", reason="rectools is not installed")
    import pandas as pd
    import rectools
    from rectools.metrics import Serendipity

    rng = np.random.default_rng(2)
    before = np.unique(rng.integers(0, [40, 25], size=(200, 2)), axis=0)
    after = np.unique(rng.integers(0, [40, 30], size=(200, 2)), axis=0)
    rows = np.argsort(rng.random((40, 30)), axis=1)[:, :5]
    columns = rectools.Columns
    reco = pd.DataFrame(
        {
            columns.User: np.repeat(np.arange(40), 5),
            columns.Item: rows.ravel(),
            columns.Rank: np.tile(np.arange(1, 6), 40),
        }
    )
    frames = [pd.DataFrame({columns.User: p[:, 0], columns.Item: p[:, 1]}) for p in (after, before)]
    theirs = Serendipity(k=5).calc_per_user(reco, *frames, catalog=list(range(30))).sort_index()
    relevant = np.zeros((40, 30), bool)
    relevant[after[:, 0], after[:, 1]] = True
    counts = np.bincount(before[:, 1], minlength=30)
    ours = serendipity(rows, np.take_along_axis(relevant, rows, axis=1), counts)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert ours.max() > 0.1


def test_the_example_of_recommenders():
    # Its tests of user_item_serendipity with item features, items and users 1 to 5 and 1 to 3.
    features = np.array([[0, 1, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 1, 1]])
    history = np.array([1, 2, 4, 3, 4, 3, 4, 5]) - 1, np.array([0, 3, 5, 8])
    rows, relevance = np.array([[3, 5], [2, 5], [1, 2]]) - 1, np.array([[1, 0], [1, 1], [1, 0]])
    unexpected = item_unexpectedness(rows, *history, features)
    np.testing.assert_allclose(unexpected * relevance, [[0.5, 0], [0.75, 0.5], [0.6667, 0]], atol=5e-5)
    value = serendipity(rows, relevance, definition="unexpectedness", unexpectedness=unexpected)
    np.testing.assert_allclose(value, [0.25, 0.625, 0.3333], atol=5e-5)


def test_not_expected_and_relevant_by_hand():
    rows = np.array([[0, 1, 2], [3, 1, -1]])
    relevant = np.array([[True, False, True], [True, True, True]])
    # 0 is expected, 1 is not relevant, 2 counts; 3 counts, 1 is expected: 1/3 and 1/2.
    expected = np.array([0, 1])
    np.testing.assert_allclose(
        serendipity(rows, relevant, definition="ge", expected=expected), [1 / 3, 1 / 2]
    )
    # Nothing is expected of the second user.
    each = np.array([[0, 1], [-1, -1]])
    np.testing.assert_allclose(serendipity(rows, relevant, definition="ge", expected=each), [1 / 3, 1.0])


def test_empty_lists_and_users_without_relevant_items():
    rows = np.array([[-1, -1], [2, 3]])
    assert serendipity(rows, np.array([[True, True], [False, False]]), COUNTS).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "item_counts must be given for the definition rectools; received None"),
        ({"definition": "ge"}, "expected must be given for the definition ge"),
        ({"definition": "unexpectedness"}, "unexpectedness must be given"),
        (
            {"definition": "unexpectedness", "unexpectedness": np.ones((len(ROWS), 1))},
            rf"unexpectedness must have the shape \[{len(ROWS)}, .*\]; received \[{len(ROWS)}, 1\]",
        ),
        ({"definition": "kotkov"}, "one of rectools, ge, unexpectedness; received 'kotkov'"),
        ({"item_counts": np.ones(2)}, "catalogue of 2 items; received 2"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        serendipity(ROWS, HITS, **arguments)
