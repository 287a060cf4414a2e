from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec_div import from_frames
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
