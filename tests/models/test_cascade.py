from __future__ import annotations

import numpy as np
import pytest

from tfrec_div import make_synthetic
from tfrec_div._keras import tf
from tfrec_div.models.cascade import Cascade
from tfrec_div.models.retriever import Retriever


class Fixed(Retriever):
    """Scores that do not depend on the query."""

    def __init__(self, schema, values):
        super().__init__()
        self.schema, self.max_history, self.values = schema, 3, tf.constant(values, tf.float32)

    def scores(self, query):
        assert query["history"].shape[1] <= 3
        return tf.tile(self.values[tf.newaxis], [tf.shape(query["history"])[0], 1])


@pytest.fixture(scope="module")
def schema():
    return make_synthetic(num_users=4, num_items=6, images=False).schema


@pytest.fixture
def cascade(schema):
    # The first likes low rows, the second high ones.
    return Cascade(Fixed(schema, [9, 8, 7, 6, 5, 4]), Fixed(schema, [1, 2, 3, 4, 5, 6]), num_candidates=3)


QUERY = {
    "user_id": tf.constant([0]),
    "history": tf.fill([1, 5], -1),
    "history_weight": tf.zeros([1, 5]),
}


def test_the_first_chooses_and_the_second_orders(cascade):
    assert cascade.retrieve(QUERY, k=3)[0].numpy().tolist() == [[2, 1, 0]]


def test_beyond_the_candidates_comes_the_order_of_the_first(cascade):
    rows, scores = cascade.retrieve(QUERY, k=6)
    assert rows.numpy().tolist() == [[2, 1, 0, 3, 4, 5]]
    assert (np.diff(scores.numpy()) <= 0).all()


def test_candidates_are_chosen_among_what_is_allowed(cascade):
    rows = cascade.retrieve(QUERY, k=3, exclude=tf.constant([[1, 2]]))[0]
    assert rows.numpy().tolist() == [[4, 3, 0]]
    include = tf.constant([False, True, False, False, False, True])
    rows = cascade.retrieve(QUERY, k=4, include=include)[0]
    assert rows.numpy().tolist() == [[5, 1, -1, -1]]


def test_stages_of_another_schema_and_no_candidates_are_refused(schema):
    one = Fixed(schema, [1] * 6)
    other = Fixed(make_synthetic(num_users=4, num_items=5, images=False).schema, [1] * 5)
    with pytest.raises(ValueError, match="second: expected the first one's schema, got another"):
        Cascade(one, other)
    with pytest.raises(ValueError, match="num_candidates: expected at least 1, got 0"):
        Cascade(one, one, num_candidates=0)
