"""A small shop and a recommender trained on it, made once for all tests."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def pytest_collection_finish():
    # TensorFlow's modules are half a million objects, which each collection while a graph is traced would go through.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shop():
    """A synthetic shop of 60 users and 50 items, with pictures."""
    from tfrec_div.data.synthetic import make_synthetic

    return make_synthetic(num_users=60, num_items=50, interactions_per_user=12, seed=3, image_size=32)


@pytest.fixture(scope="session")
def parts(shop):
    """Train and test of the shop, split by time per user."""
    return shop.split("temporal", test=0.2)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def model(parts, cache_dir):
    """A two-tower model with frozen text and picture towers, trained for two epochs."""
    from tfrec_div._keras import keras
    from tfrec_div.models.two_tower import TwoTower
    from tfrec_div.towers.image import ImageEncoder

    keras.utils.set_random_seed(0)
    train, _ = parts
    image = ImageEncoder(size=32, weights=None)
    model = TwoTower(train.schema, text="tiny", image=image, embedding_dim=16, max_history=20)
    model.compile()
    model.adapt(train, cache_dir=cache_dir, progress=False)
    model.fit(train.batches(64, max_history=20), epochs=2, verbose=0)
    return model


@pytest.fixture
def recommender(model, parts):
    from tfrec_div.recommender import Recommender
    from tfrec_div.rerank.mmr import MMR

    return Recommender(model, parts[0], reranker=MMR(k=5, diversity=0.4), num_candidates=20)


@pytest.fixture
def random():
    return np.random.default_rng(0)
