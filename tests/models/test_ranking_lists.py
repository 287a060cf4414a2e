"""Claims about the lists that rankers learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import tf
from tfrec_div.data.frames import from_frames
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.ranking_lists import RankingLists, events_of, ranking_lists
from tfrec_div.models.rated_lists import rated_lists


@pytest.fixture(scope="module")
def shop():
    """Items a to f, of falling popularity; after the cut u rates f and e, v rates a."""
    rows = [("u", "a", 5, 1), ("u", "b", 1, 2), ("v", "b", 4, 1), ("w", "a", 4, 1), ("w", "b", 4, 2)]
    rows += [("w", "c", 4, 3), ("x", "a", 4, 1), ("x", "c", 2, 2), ("y", "d", 3, 1)]
    after = [("u", "f", 5, 8), ("u", "d", 2, 9), ("v", "a", 4, 9)]
    log = pd.DataFrame(rows + after, columns=["user_id", "item_id", "rating", "timestamp"])
    data = from_frames(log, items=pd.DataFrame({"item_id": list("abcdef"), "title": list("abcdef")}))
    late = data.interactions.timestamp >= 8
    return tuple(data.subset(data.interactions.take(rows)) for rows in (~late, late))


@pytest.fixture(scope="module")
def popular(shop):
    model = MostPopular(shop[0].schema)
    model.fit(shop[0].batches(8))
    return model


def test_candidates_are_the_best_unseen_items_with_what_became_of_them(shop, popular):
    before, after = shop
    lists = ranking_lists(popular, before, after, num_candidates=3)
    assert lists.user.tolist() == before.schema.user_rows(np.array(["u", "v"], object)).tolist()
    ids = np.append(before.catalog.ids, "-")
    assert ids[lists.candidates[1]].tolist() == ["a", "c", "d"]
    assert ids[lists.candidates[0]][:2].tolist() == ["c", "d"]
    # u has rated d with 2: an interaction, but not relevant.
    assert lists.label.tolist() == [[0, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(lists.rating, [[np.nan, 2, np.nan], [4, np.nan, np.nan]])
    assert ids[lists.before[0][0][:3]].tolist() == ["b", "a", "-"]
    assert lists.before[1][0][:3].tolist() == pytest.approx([0.1, 1.0, 0.0])
    assert lists.signal_names == ("score",)
    assert (np.diff(lists.signals[:, :, 0], axis=1) <= 0).all()


def test_labels_may_be_graded_by_strength(shop, popular):
    lists = ranking_lists(popular, *shop, num_candidates=3, labels="strength")
    assert lists.label[0].tolist() == pytest.approx([0, 0.2, 0])


def test_missed_targets_take_the_last_places_when_asked_for(shop, popular):
    before, after = shop
    ids = np.append(before.catalog.ids, "-")
    plain = ranking_lists(popular, before, after, num_candidates=2)
    assert ids[plain.candidates[0]].tolist() == ["c", "d"]
    lists = ranking_lists(popular, before, after, num_candidates=2, add_missed=True)
    # d is a target and stays; f takes the place of c, the last one that is no target.
    assert ids[lists.candidates[0]].tolist() == ["f", "d"]
    assert lists.label[0].tolist() == [1, 0]
    assert lists.candidates[1].tolist() == plain.candidates[1].tolist()


def test_a_list_that_runs_out_of_items_is_padded(shop, popular):
    lists = ranking_lists(popular, *shop, num_candidates=6)
    assert (lists.candidates[:, -1] == -1).all()
    assert (lists.signals[lists.candidates < 0] == 0).all()
    assert (lists.label[lists.candidates < 0] == 0).all()


def test_batches_go_through_all_lists_in_an_order_that_depends_on_the_epoch_alone(shop, popular):
    data = make_synthetic(num_users=25, num_items=12, interactions_per_user=6, seed=1, images=False)
    before, after = data.split("temporal")
    model = MostPopular(before.schema)
    model.fit(before.batches(64))
    lists = ranking_lists(model, before, after, num_candidates=4, batch_size=10)
    assert len(lists) == 3
    first, again, second = (
        np.concatenate([batch["user_id"] for batch in lists.as_dataset(epoch, 1)]) for epoch in (0, 0, 1)
    )
    assert first.tolist() == again.tolist() != second.tolist()
    assert sorted(first) == sorted(second) == lists.user.tolist()
    both = [batch["user_id"].numpy() for batch in lists.as_dataset(0, 2)]
    assert np.concatenate(both).tolist() == [*first, *second]
    specs = lists.as_dataset().element_spec
    assert specs["candidates"].dtype == tf.int32
    assert specs["history_weight"].dtype == tf.float32


def test_held_out_lists_are_of_other_users():
    data = make_synthetic(
        num_users=25, num_items=12, interactions_per_user=6, seed=1, ratings=True, images=False
    )
    lists = rated_lists(data, num_candidates=2)
    kept, held = lists.split(0.2, seed=1)
    assert len(np.unique(held.user)) == 5
    assert not set(kept.user) & set(held.user)
    assert len(kept.user) + len(held.user) == len(lists.user) > 25


def test_the_largest_value_of_a_repeated_pair_is_its_label():
    log = pd.DataFrame(
        {
            "user_id": ["u"] * 4,
            "item_id": list("aaab"),
            "event": ["view", "purchase", "view", "view"],
            "timestamp": [1, 2, 3, 4],
        }
    )
    log = from_frames(log).interactions
    found = events_of(log, np.array([0]), np.array([[1, 0, -1]]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "purchase": [[0, 1, 0]],
        "view": [[1, 1, 0]],
    }


def test_rated_lists_hold_each_rating_once(shop):
    data = make_synthetic(
        num_users=9, num_items=30, interactions_per_user=7, seed=1, ratings=True, images=False
    )
    lists = rated_lists(data, num_candidates=3, seed=2)
    assert lists.candidates.shape[1] == 3
    there = lists.candidates >= 0
    assert (np.isfinite(lists.rating) == there).all()
    user = np.broadcast_to(lists.user[:, None], there.shape)[there]
    found = sorted(zip(user, lists.candidates[there], lists.rating[there], strict=True))
    log = data.interactions
    assert found == sorted(zip(log.user, log.item, log.rating, strict=True))
    assert (lists.signals == 0).all()


def test_a_retriever_gives_signals_of_held_out_ratings_only(shop, popular):
    before, after = shop
    lists = rated_lists(before, after, popular)
    ids = np.append(before.catalog.ids, "-")
    assert ids[lists.candidates].tolist() == [["f", "d"], ["a", "-"]]
    query = popular.query_of(before, lists.user)
    np.testing.assert_allclose(
        lists.signals, popular.signals(query, tf.constant(lists.candidates)), rtol=1e-6
    )
    with pytest.raises(ValueError, match="retriever: expected None without targets"):
        rated_lists(before, retriever=popular)


def test_wrong_arguments_are_named(shop, popular):
    before, after = shop
    with pytest.raises(ValueError, match="num_candidates: expected at least 1, got 0"):
        ranking_lists(popular, before, after, num_candidates=0)
    with pytest.raises(ValueError, match="labels: expected 'relevant' or 'strength', got 'rating'"):
        ranking_lists(popular, before, after, labels="rating")
    with pytest.raises(ValueError, match="targets: expected interactions, got none"):
        ranking_lists(popular, before, before.subset(before.interactions.take(np.zeros(9, bool))))
    lists = ranking_lists(popular, before, after, num_candidates=3)
    with pytest.raises(ValueError, match=r"signals: expected shape \[2, 3, 2\], got \[2, 3, 1\]"):
        RankingLists(
            before,
            lists.user,
            lists.before,
            lists.candidates,
            lists.signals,
            lists.label,
            lists.rating,
            ("score", "other"),
        )
    with pytest.raises(ValueError, match="test: expected a share between 0 and 1, got 1"):
        lists.split(1)


def test_missed_targets_that_the_user_has_had_before_are_not_added():
    log = pd.DataFrame(
        {"user_id": list("uuvvuvv"), "item_id": list("abcdafc"), "timestamp": [1, 2, 1, 2, 9, 9, 9]}
    )
    data = from_frames(log, items=pd.DataFrame({"item_id": list("abcdef")}))
    late = data.interactions.timestamp >= 9
    before, after = (data.subset(data.interactions.take(rows)) for rows in (~late, late))
    model = MostPopular(data.schema)
    model.fit(before.batches(8))
    plain, added = (
        ranking_lists(model, before, after, num_candidates=2, add_missed=add) for add in (False, True)
    )
    ids = np.append(before.catalog.ids, "-")
    # u's only target, a, is in the history; of v's two, c is.
    assert added.candidates[0].tolist() == plain.candidates[0].tolist()
    assert ids[added.candidates[1]].tolist() == [ids[plain.candidates[1, 0]], "f"]
    assert added.label.tolist() == [[0, 0], [0, 1]]


def test_an_event_that_is_called_as_a_column_does_not_take_its_place():
    log = pd.DataFrame(
        {
            "user_id": ["u"] * 4,
            "item_id": list("abcd"),
            "event": ["view", "view", "rating", "purchase"],
            "rating": [np.nan, np.nan, 4.0, 2.0],
            "timestamp": [1, 2, 3, 4],
        }
    )
    data = from_frames(log)
    lists = rated_lists(data)
    assert sorted(lists.more) == ["purchase", "view"]
    batch = next(iter(lists))
    assert batch["rating"].numpy().tolist() == [[4.0, 2.0]]
    with pytest.raises(ValueError, match=r"more: expected other names than .* got 'rating'"):
        replace(lists, more={"rating": lists.label})
