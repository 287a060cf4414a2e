"""New items in a recommender that is trained already."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tfrec_div._keras import keras, tf
from tfrec_div.data.errors import DataError
from tfrec_div.data.new_items import add_items, only_items
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.adaptive import Adaptive
from tfrec_div.rerank.dpp import DPP
from tfrec_div.rerank.mmr import MMR

OLD, NEW = 44, 6


@pytest.fixture(scope="module")
def whole(shop):
    """The shop, in whose interactions the last six items do not occur, and the two before either."""
    events = shop.interactions
    return shop.subset(events.take(events.item < OLD - 2))


@pytest.fixture(scope="module")
def small(whole):
    """The shop without the last six items."""
    return only_items_with_log(whole, OLD)


def only_items_with_log(data, count):
    part = only_items(data, slice(0, count))
    log = data.interactions
    return part.subset(type(log)(**{**vars(log), "num_items": count}))


@pytest.fixture(scope="module")
def rows(whole):
    """The last six items as a person would give them."""
    return frame_of(whole, slice(OLD, None))


def frame_of(data, part):
    pictures = [feature.name for feature in data.schema.features_of("item", "image")]
    columns = {name: values[part] for name, values in data.catalog.columns.items()}
    for name in pictures:
        columns[name] = [data.catalog.picture(name, row) for row in range(*part.indices(len(data.catalog)))]
    return pd.DataFrame({"item_id": data.catalog.ids[part], **columns})


@pytest.fixture(scope="module")
def pair(whole, small, cache_dir):
    """A model that has had all items from the start, and the same one without the rows of the last six."""
    from tfrec_div.towers.image import ImageEncoder

    keras.utils.set_random_seed(0)
    image = ImageEncoder(size=32, weights=None)
    model = TwoTower(whole.schema, text="tiny", image=image, embedding_dim=8, max_history=20)
    model.compile()
    model.adapt(whole, cache_dir=cache_dir, progress=False)
    model.fit(whole.batches(64, max_history=20), epochs=2, verbose=0)
    less = TwoTower.from_config({**model.get_config(), "schema": small.schema.to_json()})
    for full, cut in zip(model.weights, less.weights, strict=True):
        cut.assign(full if full.shape.rank == 0 or cut.shape.rank is None else cut_to(full, cut))
    return model, less


def cut_to(full, cut):
    rows = OLD if cut.shape[0] is None else cut.shape[0]
    grown = full.shape[0] is None or full.shape[0] != rows
    return full[:rows] if grown else full


def test_a_model_with_new_items_scores_as_if_they_had_been_there_and_nobody_had_met_them(
    pair, whole, small, rows
):
    model, less = pair
    grown = less.with_items(add_items(small, rows), cache_dir=None)
    for query in (model.query_of(whole, range(60)), session(whole, [OLD, OLD + 1, 3])):
        expected, found = model.scores(query), grown.scores(query)
        assert found.shape == (len(query["user_id"]), OLD + NEW)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # The one that it was made of has stayed as it was.
    assert less.index.vectors.shape[0] == OLD
    assert less.schema.num_items == OLD


def session(data, items):
    history = np.array([items], np.int32)
    return {
        "user_id": tf.constant([-1]),
        "history": tf.constant(history),
        "history_weight": tf.ones(history.shape),
    }
