"""Models made of others are saved and read, also where their parts share something."""

from __future__ import annotations

import numpy as np
import pytest

import tfrec_div as td
from tfrec_div.recommender import Recommender

SHAPES = {
    "a cascade of an ensemble": lambda tt, ease: td.Cascade(tt, td.Ensemble({"t": tt, "e": ease})),
    "an ensemble with a cascade": lambda tt, ease: td.Ensemble({"t": tt, "c": td.Cascade(tt, ease)}),
    "one member twice": lambda tt, ease: td.Ensemble({"a": tt, "b": tt, "e": ease}),
}


@pytest.fixture(scope="module")
def fitted():
    data = td.make_synthetic(num_users=20, num_items=15, images=False)
    both = td.TwoTower(data.schema, embedding_dim=8), td.EASE(data.schema)
    for model in both:
        model.compile()
        model.fit(data.batches(64), epochs=1, verbose=0)
    return data, *both


@pytest.mark.parametrize("shape", list(SHAPES))
def test_parts_that_are_shared_are_read_again(fitted, shape, tmp_path):
    data, towers, ease = fitted
    recommender = Recommender(SHAPES[shape](towers, ease), data, k=5)
    users = list(data.schema.user_ids)
    expected = recommender.recommend(users)
    found = td.load(recommender.save(tmp_path / "shop")).recommend(users)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)


def test_an_ensemble_and_a_cascade_compile_adapt_and_fit_their_parts():
    data = td.make_synthetic(num_users=20, num_items=15, images=False)
    towers, ease = td.TwoTower(data.schema, embedding_dim=8), td.EASE(data.schema)
    model = td.Cascade(td.Ensemble({"t": towers, "p": td.MostPopular(data.schema)}), ease, num_candidates=5)
    model.compile()
    model.adapt(data, progress=False)
    assert towers.adapted
    model.fit(data.batches(64), epochs=2, verbose=0)
    assert int(towers.optimizer.iterations) > 0
    assert np.ptp(ease.scores(ease.query_of(data, [0]))) > 0
    with pytest.raises(ValueError, match="optimizer: expected None"):
        model.compile("adam")


def test_likeness_is_that_of_the_parts_by_their_weights(fitted):
    _, towers, ease = fitted
    rows = np.array([0, 3], np.int32)
    only = td.Ensemble({"t": towers, "e": ease}, [[1, 1], [1, 1], [0, 2]])
    order = np.argsort(-only.similar(rows).numpy(), axis=1, kind="stable")
    np.testing.assert_array_equal(order, np.argsort(-ease.similar(rows).numpy(), axis=1, kind="stable"))
    np.testing.assert_array_equal(td.Cascade(towers, ease).similar(rows), ease.similar(rows))
