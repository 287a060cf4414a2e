"""Claims about what an encoder-decoder learns: what comes next, by the order and by the kind of what came before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.models.rings import RING, made, train, walks, walks_both_ways
from tfrec_div._keras import tf
from tfrec_div.data.frames import from_frames

# Enough to learn a ring by heart in a hundred steps.
WIDE = {"embedding_dim": 32, "hidden_units": (32,), "batch_users": 64}


@pytest.fixture(scope="module")
def both_ways():
    return walks_both_ways()


def ends_told(model) -> tuple[float, float]:
    """How often three steps on the ring are continued at the right one of the two ends.

    Each set of three items is asked about twice, in either order: what does not see the order is right once.

    Returns:
        The share of histories with a greater score for the right end than for the other, and of those whose best new
        item is the right end.
    """
    first = np.arange(RING)
    forwards = np.stack([first + 2, first + 1, first], axis=1) % RING
    history = tf.constant(np.concatenate([forwards, forwards[:, ::-1]]), tf.int32)
    asked = {"history": history, "history_weight": tf.ones([2 * RING, 3])}
    after, before = (first + 3) % RING, (first - 1) % RING
    right, wrong = np.concatenate([after, before]), np.concatenate([before, after])
    scores, row = model.scores(asked).numpy(), np.arange(2 * RING)
    best = model.retrieve(asked, k=1, exclude=history)[0].numpy()[:, 0]
    return float(np.mean(scores[row, right] > scores[row, wrong])), float(np.mean(best == right))


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "next", "epochs": 4},
        {"mode": "masked", "epochs": 4},
        # Its pools forget, and by different paces they tell what was last.
        {"encoder": "mlp", "epochs": 8},
        pytest.param({"mode": "next", "loss": "binary", "epochs": 10}, marks=pytest.mark.slow),
        pytest.param(
            {"mode": "next", "sampling": "sampled", "negatives": 8, "epochs": 8}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"mode": "masked", "loss": "binary", "sampling": "sampled", "negatives": 8, "epochs": 10},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_every_way_of_training_learns_the_order(options, both_ways):
    epochs, options = options["epochs"], {name: options[name] for name in options if name != "epochs"}
    told, found = ends_told(train(made(both_ways, **WIDE, **options), both_ways, epochs, rate=0.005))
    assert told > 0.95
    assert found > 0.9


@pytest.mark.parametrize(
    "options",
    [{"mode": "next"}, pytest.param({"mode": "masked"}, marks=pytest.mark.slow), {"encoder": "mlp"}],
    ids=str,
)
def test_without_order_the_two_ends_are_a_toss(options, both_ways):
    model = made(both_ways, **WIDE, **options)
    if "encoder" in options:
        # Pools that never forget.
        (paces,) = (weight for weight in model.encoder.weights if "log_half_life" in weight.name)
        paces.assign([30.0, 30.0])
    else:
        model.ordered.assign(0.0)
    told, found = ends_told(train(model, both_ways, 5, rate=0.005))
    assert told == pytest.approx(0.5, abs=0.1)
    # It has learned which items are near: the best one is one of the two ends, where it would be one of 17 by chance.
    assert found == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_it_learns_what_comes_in_the_next_quarter():
    ring = walks()
    model = train(made(ring, **WIDE), ring, 8)
    query = model.query_of(ring, range(200))
    best = model.retrieve(query, k=1, exclude=query["history"])[0].numpy()[:, 0]
    ahead = (best - query["history"].numpy()[:, 0]) % RING
    # Eleven items are left to guess from; after eight the next two or three are asked for.
    assert np.mean((ahead >= 1) & (ahead <= 3)) > 0.95
    # Of users it has not met, and of histories as short as it has not seen.
    asked = {"history": tf.constant([[7, -1, -1], [7, 6, 5]]), "history_weight": tf.ones([2, 3])}
    assert set(model.retrieve(asked, k=1)[0].numpy().ravel()) <= {8, 9, 10}


def test_what_was_viewed_counts_otherwise_than_what_was_bought():
    # After a purchase comes x, after a view y.
    rows = []
    for user in range(120):
        bought = user % 2 == 0
        rows += [(f"u{user}", f"i{user % 7}", 0, "purchase" if bought else "view")]
        rows += [(f"u{user}", "x" if bought else "y", 1, "purchase")]
    data = from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "event"]))
    model = train(made(data, batch_users=64), data, 25)
    x, y = data.schema.item_rows(np.array(["x", "y"], object))
    item = data.schema.item_rows(np.array(["i3"], object))
    asked = {"history": tf.constant(np.stack([item] * 2)), "history_weight": tf.constant([[1.0], [0.2]])}
    assert model.retrieve(asked, k=1)[0].numpy().tolist() == [[x], [y]]
