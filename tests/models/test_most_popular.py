from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div import from_frames, rerank
from tfrec_div._keras import tf
from tfrec_div.models.ease import EASE
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.most_popular import MostPopular


def test_an_item_scores_by_the_strengths_of_its_interactions():
    log = pd.DataFrame(
        {"user_id": list("uvwuv"), "item_id": list("aaabb"), "rating": [1, 1, 1, 5, 5], "timestamp": range(5)}
    )
    items = pd.DataFrame({"item_id": list("abc")})
    data = from_frames(log, items=items)
    model = MostPopular(data.schema)
    model.fit(data.batches(2))
    # Three interactions of strength .1, two of strength 1, none.
    scores = model.scores(model.query_of(data, [0, 1])).numpy()
    np.testing.assert_allclose(scores, [[np.log(1.3), np.log(3.0), 0.0]] * 2, rtol=1e-6)


def test_the_data_set_will_do_for_the_batches():
    log = pd.DataFrame({"user_id": list("uv"), "item_id": list("ab")})
    data = from_frames(log)
    model = MostPopular(data.schema)
    assert model.fit(data).history == {}
    np.testing.assert_allclose(model.popularity, np.log([2.0, 2.0]), rtol=1e-6)


def test_other_input_is_refused():
    log = pd.DataFrame({"user_id": list("uv"), "item_id": list("ab")})
    data = from_frames(log)
    model = MostPopular(data.schema)
    with pytest.raises(ValueError, match=r"x: expected Batches .* or a Dataset, got .*Dataset"):
        model.fit(data.batches(2).as_dataset(epochs=1))
    with pytest.raises(ValueError, match="x: its schema is not the one"):
        model.fit(from_frames(log.assign(item_id=["a", "c"])))
    np.testing.assert_array_equal(model.popularity, [0.0, 0.0])


def test_nothing_is_alike_to_it():
    log = pd.DataFrame({"user_id": list("uuvvw"), "item_id": list("ababa"), "timestamp": range(5)})
    data = from_frames(log, items=pd.DataFrame({"item_id": list("abc")}))
    popular, ease = MostPopular(data.schema), EASE(data.schema, l2=1.0)
    for model in (popular, ease):
        model.fit(data, verbose=0)
    rows = tf.constant([2, 0])
    np.testing.assert_array_equal(popular.similar(rows), np.zeros((2, 3)))
    assert not popular.item_embeddings().any()
    # In an ensemble it has no say in what is alike.
    both = Ensemble({"ease": ease, "popular": popular})
    np.testing.assert_array_equal(both.similar(rows), Ensemble({"ease": ease}).similar(rows))


def test_without_content_there_is_nothing_to_diversify_by():
    log = pd.DataFrame({"user_id": list("uuvvw"), "item_id": list("abbcb"), "timestamp": range(5)})
    data = from_frames(log)
    model = MostPopular(data.schema)
    model.fit(data)
    with pytest.warns(UserWarning, match="no text, picture or category .* nothing to diversify by"):
        recommender = model.recommender(data, reranker=rerank.MMR(k=3))
    pages = [recommender.recommend(["nobody"], diversity=level).item_ids.tolist() for level in (0.0, 0.5)]
    assert pages[0] == pages[1]
    assert pages[0][0][0] == "b"
    assert sorted(pages[0][0]) == ["a", "b", "c"]
    assert not recommender.diversity_vectors.any()
