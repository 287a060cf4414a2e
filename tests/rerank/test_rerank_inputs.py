"""Wrong inputs are named: the key, what was expected, what came."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import MMR

GOOD = {"scores": np.zeros((2, 4), np.float32), "vectors": np.ones((2, 4, 3), np.float32)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": None}, r"MMR needs inputs\['vectors'\]; received the keys scores"),
        ({"mask": np.ones((2, 4), bool)}, r"MMR has no use for inputs\['mask'\].*candidate_mask"),
        (
            {"scores": np.zeros(4)},
            r"inputs\['scores'\] must have the shape \[batch, candidates\]; received \[4\]",
        ),
        (
            {"vectors": np.ones((2, 5, 3))},
            r"inputs\['vectors'\] must have the shape \[2, 4, dim\]; received \[2, 5, 3\]",
        ),
        (
            {"vectors": np.ones((2, 4))},
            r"inputs\['vectors'\] must have the shape \[2, 4, dim\]; received \[2, 4\]",
        ),
        (
            {"candidate_mask": np.ones((2, 3), bool)},
            r"inputs\['candidate_mask'\].* \[2, 4\]; received \[2, 3\]",
        ),
        ({"candidate_mask": np.ones((2, 4))}, r"inputs\['candidate_mask'\] must be bool; received float"),
        (
            {"diversity": np.zeros(3)},
            r"inputs\['diversity'\] must have the shape a scalar or \[2\]; received \[3\]",
        ),
        ({"diversity": np.array([0.5, 1.2])}, r"inputs\['diversity'\] must lie in \[0, 1\]; received 1.2"),
        ({"k": 0}, r"inputs\['k'\] must be at least 1; received 0"),
        ({"k": np.array([1, 2])}, r"inputs\['k'\] must have the shape a scalar; received \[2\]"),
        ({"k": 2.7}, r"inputs\['k'\] must be whole numbers; received 2.7"),
        ({"pinned": np.array([[0.5], [1.0]])}, r"inputs\['pinned'\] must be whole numbers; received 0.5"),
        ({"vectors": np.full((2, 4, 3), np.inf)}, r"inputs\['vectors'\] must be finite.*inf at \(0, 0, 0\)"),
    ],
)
def test_each_mistake_has_its_message(changes, message):
    with pytest.raises(ValueError, match=message):
        MMR(k=2)({**GOOD, **changes})


def test_inputs_must_be_a_dictionary():
    with pytest.raises(TypeError, match="MMR is called with a dictionary of scores, vectors; received"):
        MMR(k=2)(np.zeros((2, 4), np.float32))


def test_shapes_are_checked_when_a_graph_is_built():
    with pytest.raises(ValueError, match=r"\[None, 4, dim\]|\[batch, 4, dim\]"):
        MMR(k=2)({"scores": keras.Input([4]), "vectors": keras.Input([5, 3])})


def test_whole_number_scores_are_accepted():
    assert MMR(k=2, diversity=0.0)({**GOOD, "scores": tf.constant([[1, 4, 2, 3]] * 2)}).numpy().tolist() == [
        [1, 3],
        [1, 3],
    ]


def test_nan_under_the_mask_is_nobodys_business():
    scores = np.array([[1.0, np.nan, 2.0, 0.0]] * 2, np.float32)
    mask = np.array([[True, False, True, True]] * 2)
    assert MMR(k=4)({**GOOD, "scores": scores, "candidate_mask": mask}).numpy()[0].tolist() == [2, 0, 3, -1]


@pytest.mark.parametrize("call", [MMR.__call__, lambda layer, inputs: tf.function(layer)(inputs)])
def test_one_level_of_0_for_all_lists_is_the_order_of_the_scores(call):
    tensors = {"scores": tf.constant([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0]]), "vectors": tf.ones([2, 3, 2])}
    assert call(MMR(k=2), {**tensors, "diversity": tf.constant(0.0)}).numpy().tolist() == [[1, 2], [2, 0]]


def test_a_layer_of_ones_own_is_built_by_an_eager_call():
    class Weighted(MMR):
        def build(self, input_shape):
            self.weight = self.add_weight(name="weight", shape=(), initializer="ones")
            super().build(input_shape)

        def start(self, pool):
            return super().start(pool._replace(relevance=self.weight * pool.relevance))

    tensors = {key: tf.constant(value) for key, value in GOOD.items()}
    layer = Weighted(k=2)
    assert layer(tensors).numpy().tolist() == [[0, 1], [0, 1]]
    assert len(layer.weights) == 1


def test_codes_that_do_not_fit_are_refused_whatever_their_type():
    large = np.full((2, 4), 2**40 + 5, np.uint64)  # would become 5
    with pytest.raises(ValueError, match=r"inputs\['brand'\] must be codes within 32 bits.*1099511627781"):
        MMR(k=2, kernel="equality(brand)")({"scores": GOOD["scores"], "brand": large})
    fits = {"scores": GOOD["scores"], "brand": np.full((2, 4), 5, np.uint32)}
    assert MMR(k=2, kernel="equality(brand)")(fits).numpy().tolist() == [[0, 1], [0, 1]]
