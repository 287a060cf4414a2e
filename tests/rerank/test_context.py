from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import tf
from tfrec_div.rerank import COVER, DPP, MMR, MSD, SSD

LAYERS = [
    MMR(k=5, diversity=0.9),
    MSD(k=5, diversity=0.9),
    DPP(k=5, diversity=0.9, window=2),
    SSD(k=5, diversity=0.9),
    SSD(k=5, diversity=0.9, window=2),
    COVER(k=5, diversity=0.9),
]


def lists(batch):
    rng = np.random.default_rng(0)
    shapes = {"scores": (20,), "vectors": (20, 12), "context_vectors": (2, 12)}
    return {key: rng.normal(size=(batch, *shape)).astype(np.float32) for key, shape in shapes.items()}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("padding", [1, 3])
def test_padding_before_a_context_is_harmless(layer, padding):
    inputs = lists(3)
    padded = {**inputs, "context_vectors": np.pad(inputs["context_vectors"], [(0, 0), (padding, 0), (0, 0)])}
    np.testing.assert_array_equal(layer(padded), layer(inputs))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_context_of_any_length_in_a_graph_and_compiled_for_many_lists_agrees(layer):
    inputs = lists(20)
    specs = {
        "scores": tf.TensorSpec([None, None]),
        "vectors": tf.TensorSpec([None, None, 12]),
        "context_vectors": tf.TensorSpec([None, None, 12]),
    }
    graph = tf.function(layer.call, input_signature=[specs])
    together = graph({key: tf.constant(value) for key, value in inputs.items()}).numpy()
    # 20 lists are compiled by XLA, one is not.
    np.testing.assert_array_equal(layer(inputs), together)
    one = {key: tf.constant(value[:1]) for key, value in inputs.items()}
    np.testing.assert_array_equal(graph(one), together[:1])
    np.testing.assert_array_equal(layer(one), together[:1])
