"""Exchanges after the picks of MSD: by hand, by brute force, and in every place where it may run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import MSD, AtMost

HALF = 2.0**-0.5


def random_lists(batch: int, candidates: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "scores": rng.normal(size=(batch, candidates)).astype(np.float32),
        "vectors": rng.normal(size=(batch, candidates, 4)).astype(np.float32),
    }


def worth(scores: np.ndarray, vectors: np.ndarray, level: float, page: tuple[int, ...]) -> float:
    """The sum over a page: its relevance, and the distances of its pairs."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1.0 - unit[a] @ unit[b] for a, b in itertools.combinations(page, 2)]
    return float((1.0 - level) * scores[list(page)].sum() + level * sum(pairs))


def test_the_best_score_gives_way_to_two_that_are_far_apart():
    inputs = {"scores": [[1.0, 0.9, 0.9]], "vectors": [[[HALF, HALF], [1.0, 0.0], [0.0, 1.0]]]}
    options = {"k": 2, "diversity": 0.5, "score_normalization": "none"}
    assert MSD(**options)(inputs).numpy().tolist() == [[0, 1]]
    assert MSD(**options, exchanges=1)(inputs).numpy().tolist() == [[2, 1]]
    assert MSD(**options, exchanges=1, order="score")(inputs).numpy().tolist() == [[1, 2]]


def test_no_exchange_is_left_that_raises_the_sum():
    lists, gained = random_lists(12, 12), 0
    for level in (0.2, 0.6, 1.0):
        options = {"k": 4, "diversity": level, "score_normalization": "none"}
        first, pages = MSD(**options)(lists).numpy(), MSD(**options, exchanges=50)(lists).numpy()
        for scores, vectors, page, start in zip(lists["scores"], lists["vectors"], pages, first, strict=True):
            reached = worth(scores, vectors, level, tuple(page))
            assert reached >= worth(scores, vectors, level, tuple(start)) - 1e-4
            gained += reached > worth(scores, vectors, level, tuple(start)) + 1e-3
            for place, other in itertools.product(range(4), set(range(12)) - set(page.tolist())):
                exchanged = [*page[:place], other, *page[place + 1 :]]
                assert worth(scores, vectors, level, tuple(exchanged)) < reached + 1e-3
            best = max(worth(scores, vectors, level, c) for c in itertools.combinations(range(12), 4))
            assert reached >= best - 0.15 * abs(best)
    assert gained >= 5


def test_what_is_not_valid_is_not_brought_in():
    lists = random_lists(3, 12)
    mask = np.ones((3, 12), bool)
    mask[0, ::2], mask[1, 3:] = False, False  # six candidates, and fewer than are to be picked
    pages = MSD(k=5, diversity=0.9, exchanges=20)({**lists, "candidate_mask": mask}).numpy()
    assert (pages[0] % 2 == 1).all()
    assert sorted(pages[1].tolist()) == [-1, -1, 0, 1, 2]
    assert all(len(set(page)) == 5 for page in pages[[0, 2]].tolist())


def test_items_of_a_context_stay_and_count():
    # Without a context 0 and 1 are the farthest apart; the page before held the likes of 0.
    inputs = {
        "scores": [[0.5, 0.5, 0.5]],
        "vectors": [[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]],
        "context_vectors": [[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]],
    }
    pages = MSD(k=2, diversity=1.0, exchanges=5)(inputs).numpy()
    assert sorted(pages[0].tolist()) == [1, 2]


def test_level_zero_stays_the_order_of_the_scores():
    lists = random_lists(3, 12)
    pages = MSD(k=5, diversity=0.0, exchanges=20)(lists).numpy()
    levels = MSD(k=5, exchanges=20)({**lists, "diversity": [0.0, 0.8, 0.0]}).numpy()
    np.testing.assert_array_equal(pages, np.argsort(-lists["scores"], axis=1)[:, :5])
    np.testing.assert_array_equal(levels[[0, 2]], pages[[0, 2]])


def test_graph_xla_and_one_by_one_agree():
    lists = {key: tf.constant(value) for key, value in random_lists(20, 30).items()}
    layer = MSD(k=6, diversity=0.7, exchanges=12)
    expected = layer(lists).numpy()  # of this many lists it is compiled
    specs = {"scores": tf.TensorSpec([None, None]), "vectors": tf.TensorSpec([None, None, 4])}
    free = tf.function(layer, input_signature=[specs])
    np.testing.assert_array_equal(free(lists).numpy(), expected)
    np.testing.assert_array_equal(tf.function(layer, jit_compile=True)(lists).numpy(), expected)
    for n in range(3):
        one = {key: value[n : n + 1] for key, value in lists.items()}
        np.testing.assert_array_equal(free(one).numpy(), expected[n : n + 1])
    run_time = {**lists, "k": tf.constant(6)}
    np.testing.assert_array_equal(
        tf.function(MSD(k=2, diversity=0.7, exchanges=12))(run_time).numpy(), expected
    )


def test_config_and_message():
    layer = MSD(exchanges=7)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again.exchanges == 7
    with pytest.raises(ValueError, match="MSD: exchanges must be a whole number of at least 0; received -1"):
        MSD(exchanges=-1)


def test_refuses_what_exchanges_would_break():
    with pytest.raises(ValueError, match=r"MSD: exchanges do not keep constraints.*received 3"):
        MSD(exchanges=3, constraints=[AtMost(1, by="brand")])
    lists = {**random_lists(2, 5), "pinned": [[1], [2]]}
    with pytest.raises(
        ValueError, match=r"MSD: exchanges do not keep the places that inputs\['pinned'\] name"
    ):
        MSD(k=2, exchanges=3)(lists)
