from __future__ import annotations

import numpy as np
import pytest

from tfrec_div import make_synthetic
from tfrec_div._keras import keras, tf
from tfrec_div.models.comparable import comparable
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.retriever import Retriever


@keras.utils.register_keras_serializable(package="tests")
class Fixed(Retriever):
    """Scores that do not depend on the query."""

    def __init__(self, schema, values, max_history=5, **kwargs):
        super().__init__(**kwargs)
        self.schema, self.max_history = schema, max_history
        self.values = self.add_weight(name="values", shape=(len(values),), initializer="zeros")
        self.values.assign(values)
        self.built = True

    def scores(self, query):
        assert query["history"].shape[1] <= self.max_history
        return tf.tile(self.values[tf.newaxis], [tf.shape(query["history"])[0], 1])

    def similar(self, rows):
        return tf.tile(self.values[tf.newaxis], [tf.shape(rows)[0], 1])


@pytest.fixture(scope="module")
def schema():
    return make_synthetic(num_users=4, num_items=4, images=False).schema


def _query(*lengths, width=4):
    history = np.full((len(lengths), width), -1, np.int32)
    for row, length in zip(history, lengths, strict=True):
        row[:length] = 0
    return {
        "user_id": tf.zeros([len(lengths)], tf.int32),
        "history": tf.constant(history),
        "history_weight": tf.cast(history >= 0, tf.float32),
    }


def test_scores_are_the_weighted_sum_of_what_was_made_comparable_by_the_length_of_the_history(schema):
    # Means 0 and 100, deviations 1 and 10.
    one, other = Fixed(schema, [1, -1, 1, -1]), Fixed(schema, [110, 110, 90, 90])
    model = Ensemble({"one": one, "other": other}, [[1, 0], [0.5, 0.5], [0.25, 2]], short_history=2)
    unit = np.arcsinh(1.0)
    expected = unit * np.array(
        [[1, -1, 1, -1], [1, 0, 0, -1], [1, 0, 0, -1], [2.25, 1.75, -1.75, -2.25]], np.float32
    )
    np.testing.assert_allclose(model.scores(_query(0, 1, 2, 3)), expected, rtol=1e-5, atol=1e-6)
    assert model.group_of(_query(0, 1, 2, 3)).numpy().tolist() == [0, 1, 1, 2]
    assert model.weights_by_group["long"] == {"one": 0.25, "other": 2.0}


def test_scores_far_out_count_by_their_logarithm():
    scores = np.zeros((1, 1000), np.float32)
    scores[0, 0] = 1.0
    # One of a thousand stands 31.6 deviations out: sqrt(999); asinh(x) is log(2 x) to the third digit.
    assert comparable(tf.constant(scores)).numpy()[0, 0] == pytest.approx(np.log(2 * np.sqrt(999)), abs=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6, -3.3e5])
def test_equal_scores_say_nothing(level):
    np.testing.assert_array_equal(comparable(tf.fill([2, 7], level)), np.zeros((2, 7)))


def test_the_scale_of_a_member_does_not_matter(schema, random):
    values = random.normal(size=4)
    one = Ensemble({"a": Fixed(schema, values), "b": Fixed(schema, [1, 2, 3, 4])})
    other = Ensemble({"a": Fixed(schema, 1000 * values + 7), "b": Fixed(schema, [1, 2, 3, 4])})
    np.testing.assert_allclose(one.scores(_query(1)), other.scores(_query(1)), rtol=1e-4, atol=1e-5)


def test_each_member_gets_as_much_of_the_history_as_it_reads(schema):
    model = Ensemble({"a": Fixed(schema, [1, 2, 3, 4], 2), "b": Fixed(schema, [1, 2, 3, 4], 9)})
    assert model.max_history == 9
    assert model.scores(_query(6, width=8)).shape == (1, 4)


def test_it_is_made_again_from_its_configuration(schema):
    model = Ensemble(
        {"a": Fixed(schema, [1, 2, 3, 4]), "b": Fixed(schema, [1, 0, 0, 0])}, np.eye(3, 2) + 0.5, 7
    )
    config = model.get_config()
    # Members of the test's own take their values from the weights.
    for member in config["members"].values():
        member["config"] |= {"schema": schema, "values": [0.0] * 4}
    copy = Ensemble.from_config(config)
    copy.set_weights(model.get_weights())
    assert copy.short_history == 7
    np.testing.assert_array_equal(copy.scores(_query(0, 3)), model.scores(_query(0, 3)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1, 1]], r"weights: expected shape \[3, 2\], got \[1, 2\]"),
        ([[1, 1], [0, 0], [1, 1]], "weights: expected numbers of at least 0, one of a row above 0"),
        ([[1, 1], [1, -1], [1, 1]], "weights: expected numbers of at least 0, one of a row above 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(schema, weights, message):
    with pytest.raises(ValueError, match=message):
        Ensemble({"a": Fixed(schema, [1, 2, 3, 4]), "b": Fixed(schema, [1, 2, 3, 4])}, weights)


def test_members_of_another_schema_and_none_at_all_are_refused(schema):
    other = make_synthetic(num_users=4, num_items=5, images=False).schema
    with pytest.raises(ValueError, match="members: expected one schema, got another for 'b' than for 'a'"):
        Ensemble({"a": Fixed(schema, [1, 2, 3, 4]), "b": Fixed(other, [1, 2, 3, 4, 5])})
    with pytest.raises(ValueError, match="members: expected at least one retriever, got none"):
        Ensemble({})
    with pytest.raises(ValueError, match="short_history: expected at least 1, got 0"):
        Ensemble({"a": Fixed(schema, [1, 2, 3, 4])}, short_history=0)
