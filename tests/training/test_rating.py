"""What retrieval knows of the items serves the prediction of ratings."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div import EASE, Ensemble, TwoTower, make_synthetic
from tfrec_div._keras import tf
from tfrec_div.training.rating import item_vectors_of


@pytest.fixture(scope="module")
def data():
    return make_synthetic(num_users=20, num_items=15, images=False, ratings=True)


@pytest.fixture(scope="module")
def towers(data):
    model = TwoTower(data.schema, text="tiny", embedding_dim=2)
    model.adapt(data, progress=False)
    vectors = np.zeros((15, model.index.vectors.shape[1]), np.float32)
    # Centred they are (3, 4) and, in fourteen cases, -1/14 of it: lengths 5 and 5/14, whose mean is 2/3.
    vectors[0, :2] = 3 * 15 / 14, 4 * 15 / 14
    vectors[:, 2:] = 99.0
    model.index.update(tf.constant(vectors))
    return model


def test_they_are_the_learned_vectors_without_what_stands_beside_them_and_the_text(towers):
    found = item_vectors_of(towers)
    text = towers.content("text")
    assert found.shape == (15, 2 + text.shape[1])
    np.testing.assert_allclose(found[0, :2], [4.5, 6.0], rtol=1e-5)
    np.testing.assert_allclose(found[7, :2], [-4.5 / 14, -6.0 / 14], rtol=1e-4)
    np.testing.assert_array_equal(found[:, 2:], text)


def test_an_ensemble_gives_those_of_its_towers_and_a_closed_form_none(towers, data):
    ease = EASE(data.schema)
    both = Ensemble({"ease": ease, "two_tower": towers})
    np.testing.assert_array_equal(item_vectors_of(both), item_vectors_of(towers))
    assert item_vectors_of(ease) is None
