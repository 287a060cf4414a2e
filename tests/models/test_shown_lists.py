"""Lists of pages that were shown, and what a ranker learns of clicks whose places tell more than their items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div import EASE, from_frames
from tfrec_div._keras import keras, tf
from tfrec_div.metrics import auc
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.shown_lists import shown_lists
from tfrec_div.tasks.ranking.propensity import PositionPropensities

LOG = pd.DataFrame(
    {"user_id": list("uuuv"), "item_id": list("abca"), "timestamp": [10, 20, 30, 15]},
)
PAGES = pd.DataFrame(
    {
        "user_id": ["u"] * 4 + ["v"],
        "item_id": ["c", "b", "d", "a", "d"],
        "timestamp": [20, 20, 25, 25, 12],
        "position": [1, 2, 2, 1, 1],
        "clicked": [0, 1, 0, 1, 1],
    }
)


def names(data, rows):
    return [[data.schema.item_ids[i] if i >= 0 else "" for i in row] for row in rows]


@pytest.fixture(scope="module")
def data():
    return from_frames(LOG, items=pd.DataFrame({"item_id": list("abcd")}), impressions=PAGES)


def test_a_page_is_a_list_in_the_order_of_its_places(data):
    lists = shown_lists(data, propensities=PositionPropensities(np.array([1, 2]), np.array([1.0, 0.25])))
    assert names(data, lists.candidates) == [["c", "b"], ["a", "d"], ["d", ""]]
    assert lists.label.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert lists.more["position"].tolist() == [[1, 2], [1, 2], [1, 0]]
    assert lists.more["propensity"].tolist() == [[1.0, 0.25], [1.0, 0.25], [1.0, 1.0]]
    assert np.isnan(lists.rating).all()


def test_its_history_ends_before_it_was_shown(data):
    lists = shown_lists(data, max_history=2)
    assert names(data, lists.before[0]) == [["a", ""], ["b", "a"], ["", ""]]
    assert (lists.before[1] > 0).tolist() == [[True, False], [True, True], [False, False]]


def test_signals_are_those_of_that_history(data):
    model = EASE(data.schema, l2=1.0)
    model.fit(data)
    lists = shown_lists(data, model)
    history, weight = (tf.constant(values[1:2]) for values in lists.before)
    query = {"user_id": tf.constant([0]), "history": history, "history_weight": weight}
    expected = model.signals(query, tf.constant(lists.candidates[1:2]))
    np.testing.assert_allclose(lists.signals[1:2], expected, rtol=1e-5)
    assert lists.signal_names == ("score",)


def test_logged_propensities_go_before_those_of_positions():
    pages = PAGES.assign(propensity=[0.5, np.nan, 0.5, 0.5, 0.5])
    logged = from_frames(LOG, items=pd.DataFrame({"item_id": list("abcd")}), impressions=pages)
    given = PositionPropensities(np.array([1, 2]), np.array([1.0, 0.125]))
    assert shown_lists(logged, propensities=given).more["propensity"][0].tolist() == [0.5, 0.125]


def test_without_impressions_there_are_no_lists():
    with pytest.raises(ValueError, match="data: expected impressions, got none"):
        shown_lists(from_frames(LOG))


@pytest.mark.parametrize(("unbiased", "first"), [(True, "wanted"), (False, "shown first")])
def test_clicks_by_their_propensities_tell_what_is_wanted_and_clicks_alone_what_was_first(unbiased, first):
    """The wanted item is clicked in 60 % of the looks, the other in 30 %; it stands where every fifth one looks."""
    random = np.random.default_rng(0)
    pages = 3000
    user = np.repeat([f"u{p % 30}" for p in range(pages)], 2)
    item = np.tile(["shown first", "wanted"], pages)
    clicked = random.random((pages, 2)) < [0.3, 0.6 * 0.2]
    impressions = pd.DataFrame(
        {
            "user_id": user,
            "item_id": item,
            "timestamp": np.repeat(np.arange(pages), 2),
            "position": np.tile([1, 2], pages),
            "clicked": clicked.reshape(-1).astype(int),
        }
    )
    log = pd.DataFrame({"user_id": user[:60], "item_id": item[:60], "timestamp": 0})
    data = from_frames(
        log, items=pd.DataFrame({"item_id": ["shown first", "wanted"]}), impressions=impressions
    )
    keras.utils.set_random_seed(0)
    known = PositionPropensities(np.array([1, 2]), np.array([1.0, 0.2]))
    lists = shown_lists(data, propensities=known, unbiased=unbiased, batch_size=256)
    ranker = Ranker(
        data.schema, features=("item_id",), history=None, embedding_dim=4, hidden_units=(8,), dropout=0.0
    )
    ranker.compile(1e-2)
    ranker.fit(lists, epochs=4, verbose=0)
    batch = next(iter(lists.take([0])))
    best = int(ranker.foreseen(batch)["relevance"].numpy()[0].argmax())
    assert names(data, lists.candidates[:1])[0][best] == first


def test_how_pages_were_answered_is_not_told_by_what_is_popular():
    """Items at random, clicked at random: nothing of held-out clicks can be foretold."""
    random = np.random.default_rng(0)
    pages = 800
    shown = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{p % 50}" for p in range(pages)], 4),
            "item_id": [f"i{item}" for item in random.integers(0, 1500, 4 * pages)],
            "timestamp": np.repeat(np.arange(pages) * 10, 4),
            "position": np.tile([1, 2, 3, 4], pages),
            "clicked": (random.random(4 * pages) < 0.3).astype(int),
        }
    )
    clicks = shown[shown["clicked"] == 1][["user_id", "item_id", "timestamp"]]
    catalogue = pd.DataFrame({"item_id": [f"i{item}" for item in range(1500)]})
    data = from_frames(clicks, items=catalogue, impressions=shown)
    fit, held = shown_lists(data, unbiased=False).split(0.4)
    keras.utils.set_random_seed(0)
    ranker = Ranker(data.schema, features=("item_id",), history=None, hidden_units=(8,), dropout=0.0)
    ranker.compile(1e-2)
    ranker.fit(fit, epochs=3, verbose=0)
    scores = np.concatenate([ranker.foreseen(batch)["relevance"].numpy() for batch in held])
    labels = np.concatenate([batch["label"].numpy() for batch in held])
    assert abs(auc(scores, labels) - 0.5) < 0.06
    # Who was shown in training is known by an id, clicked or not.
    rows = np.unique(fit.candidates)
    assert (ranker.features.item_table.values["item_id"].numpy()[rows + 1] == rows + 1).all()


def test_interactions_before_the_first_page_with_their_item_are_popular(data):
    lists = shown_lists(data)
    # u did a, b, c at 10, 20, 30 and was shown them from 25, 20, 20 on; nobody showed v the a.
    assert names(data, [lists.history.interactions.item]) == [["a", "a"]]


def test_what_has_no_time_is_history_where_it_answers_no_page():
    untimed = from_frames(
        LOG.drop(columns="timestamp"), items=pd.DataFrame({"item_id": list("abcd")}), impressions=PAGES
    )
    lists = shown_lists(untimed, max_history=2)
    # All of u's items were on pages, v's was not.
    assert names(untimed, lists.before[0]) == [["", ""], ["", ""], ["a", ""]]


def test_a_retriever_reads_all_the_history_that_it_reads_in_use(data):
    model = EASE(data.schema, l2=1.0)
    model.fit(data)
    short, long = (shown_lists(data, model, max_history=steps) for steps in (1, 3))
    np.testing.assert_array_equal(short.signals, long.signals)
    assert names(data, short.before[0]) == [["a"], ["b"], [""]]
