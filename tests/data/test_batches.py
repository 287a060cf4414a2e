from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data.frames import from_frames


def log(**items):
    """A data set of users with items in the order of time."""
    rows = [(user, item, time) for user, own in items.items() for time, item in enumerate(own)]
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def gather(batches, first_epoch=0):
    epochs = list(batches.as_dataset(first_epoch, 1))
    return {name: [e[name].numpy() for e in epochs] for name in epochs[0]}


def test_the_history_is_what_came_before_the_target_latest_first():
    data = log(u=["a", "b", "c"])
    batch = gather(data.batches(3, max_history=2, shuffle=False, horizon=0))
    a, b, c = data.schema.item_rows(["a", "b", "c"])
    assert batch["item_id"][0].tolist() == [a, b, c]
    assert batch["history"][0].tolist() == [[-1, -1], [a, -1], [b, a]]
    assert batch["history_weight"][0].tolist() == [[0, 0], [1, 0], [1, 1]]


def test_no_history_holds_its_target_or_anything_later(shop):
    # Every item once a user, so that an item in a history can only be its own event.
    data = log(**{f"u{n}": [f"i{m}" for m in np.random.default_rng(n).permutation(30)] for n in range(8)})
    place = {
        (u, i): p for u in range(8) for p, i in enumerate(data.interactions.item[data.interactions.user == u])
    }
    for horizon in (0.0, 0.5):
        batch = gather(data.batches(50, max_history=40, horizon=horizon))
        for users, targets, histories in zip(
            batch["user_id"], batch["item_id"], batch["history"], strict=True
        ):
            for user, target, history in zip(users, targets, histories, strict=True):
                known = [place[user, item] for item in history if item >= 0]
                assert all(p < place[user, target] for p in known)
                assert known == sorted(known, reverse=True)
                assert len(known) >= (1 - horizon) * place[user, target]


def test_an_epoch_goes_through_every_interaction_once(shop):
    batch = gather(shop.batches(100))
    pairs = sorted(zip(np.concatenate(batch["user_id"]), np.concatenate(batch["item_id"]), strict=True))
    assert pairs == sorted(zip(shop.interactions.user, shop.interactions.item, strict=True))
    assert len(shop.batches(100)) == len(batch["user_id"])


def test_a_resumed_epoch_is_the_one_that_would_have_come(shop):
    batches = shop.batches(100, seed=5)
    whole = list(batches.as_dataset(0, 3))
    resumed = list(batches.as_dataset(2, 1))
    for expected, found in zip(whole[-len(resumed) :], resumed, strict=True):
        for name in expected:
            np.testing.assert_array_equal(expected[name], found[name])


def test_epochs_and_seeds_differ_in_order(shop):
    first, second = (gather(shop.batches(2000, seed=1), epoch)["item_id"][0] for epoch in (0, 1))
    other = gather(shop.batches(2000, seed=2))["item_id"][0]
    assert (first != second).mean() > 0.5
    assert (first != other).mean() > 0.5


def test_with_a_context_the_history_is_the_users_there_and_all_of_it_is_excluded():
    data = log(u=["a", "b", "c", "d"], v=["a", "d"])
    train, test = data.split("leave_one_out")
    batch = gather(test.batches(2, context=train, max_history=2, shuffle=False))
    a, b, c = data.schema.item_rows(["a", "b", "c"])
    assert batch["history"][0].tolist() == [[c, b], [a, -1]]
    assert [sorted(row) for row in batch["exclude"][0].tolist()] == [sorted([a, b, c]), [-1, -1, a]]


def test_users_can_count_alike():
    data = log(u=["a", "b", "c", "d"], v=["a"])
    weight = gather(data.batches(5, shuffle=False, user_balance=1.0))["weight"][0]
    assert weight.tolist() == pytest.approx([0.625] * 4 + [2.5])
    assert gather(data.batches(5, shuffle=False, user_balance=0.0))["weight"][0].tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "at least 1, got 0"),
        ({"batch_size": 1, "horizon": 1.0}, r"horizon must be in \[0, 1\)"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, shop):
    with pytest.raises(ValueError, match=message):
        shop.batches(**options)


def test_weights_that_are_all_zero_are_refused_since_nothing_would_be_learned():
    frame = pd.DataFrame(
        {"user_id": list("uv"), "item_id": list("ab"), "timestamp": [1, 2], "weight": [0, 0]}
    )
    data = from_frames(frame)
    with pytest.raises(
        ValueError, match="interactions, column weight: expected a weight above 0 in some row"
    ):
        data.batches(2)
    held_out = gather(data.batches(2, context=log(u=["a"], v=["b"]), shuffle=False))
    assert held_out["weight"][0].tolist() == [0, 0]
