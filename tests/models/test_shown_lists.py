"""Lists of pages that were shown, and what a ranker learns of clicks whose places tell more than their items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div import EASE, from_frames
from tfrec_div._keras import keras, tf
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
