"""Claims about what a ranker knows of a user and a candidate together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import tf
from tfrec_div.data.frames import from_frames
from tfrec_div.models.cross_features import CrossFeatures


@pytest.fixture(scope="module")
def cross():
    log = pd.DataFrame({"user_id": list("uuvv"), "item_id": list("abac"), "timestamp": range(4)})
    items = pd.DataFrame({"item_id": list("abc"), "categories": ["x|y|z", "x", "w"]})
    data = from_frames(log, items=items)
    layer = CrossFeatures(data.schema, ("score",), {})
    codes = data.catalog.encoded()
    layer.fill(data.interactions.item_counts(), {name: codes[name] for name in layer.codes})
    return layer


def numbers(cross, history, weight, candidate) -> dict[str, float]:
    rows, history = tf.constant([[candidate]]), tf.constant([history])
    query = {"user_id": tf.constant([0]), "history": history, "history_weight": tf.constant([weight])}
    own = rows[:, :, tf.newaxis] == history[:, tf.newaxis, :]
    found = cross(query, rows, tf.zeros([1, 1, 1]), own).numpy()[0, 0]
    return dict(zip(cross.names, found.tolist(), strict=True))


def test_shares_are_those_of_the_history_without_the_candidate(cross):
    # b gives .5 to x, a gives .1 to each of x, y and z, c gives .2 to w.
    found = numbers(cross, [1, 0, 2, -1], [0.5, 0.3, 0.2, 0.0], 0)
    assert found["share_of_categories"] == pytest.approx(0.5 / 3 / 0.7, rel=1e-5)
    found = numbers(cross, [1, 0, 2, -1], [0.5, 0.3, 0.2, 0.0], 1)
    assert found["share_of_categories"] == pytest.approx(0.1 / 0.5, rel=1e-5)


def test_no_number_is_further_out_than_five_deviations(cross):
    width = len(cross.names)
    cross.adapt(np.tile([[-1e-3], [1e-3]], width))
    there = tf.constant([[True, True, False]])
    values = tf.constant([1e-3, -4.0, 9.0])[tf.newaxis, :, tf.newaxis] * tf.ones([1, 3, width])
    found = cross.standardised(values, there).numpy()
    np.testing.assert_allclose(found[0, :, 0], [1.0, -5.0, 0.0], rtol=1e-4)


def test_a_history_of_nothing_but_the_candidate_tells_nothing_of_it(cross):
    random = np.random.default_rng(0)
    for steps in range(2, 40):
        found = numbers(cross, [0] * steps, random.random(steps).tolist(), 0)
        assert found["share_of_categories"] == found["share_of_categories_recently"] == 0.0
