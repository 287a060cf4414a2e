"""What every re-ranker must satisfy, whatever its method."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import METHODS, diversify

every_method = pytest.mark.parametrize("method", sorted(METHODS))


# FA*IR corrects its tests for their number, so the requirements of a layer with another k are others.
prefix_method = pytest.mark.parametrize("method", sorted(set(METHODS) - {"fair"}))

# Inputs that describe a list or a user and not its candidates.
NOT_OF_CANDIDATES = ("user_profile", "diversity", "k")


def needed(method: str, rng: np.random.Generator | None, batch: int, candidates: int, dim: int = 6) -> dict:
    """Random values of the features and profiles that a method asks for; without a generator, all ones."""
    layer = METHODS[method]()
    shapes = {name: (batch, candidates, dim) for name in layer.features if name != "groups"}
    if "groups" in layer.features:
        shapes["groups"] = (batch, candidates)
    # The share of each aspect, or of each of two groups.
    shapes |= dict.fromkeys(layer.profiles, (batch, dim if "aspects" in layer.features else 2))
    if rng is None:
        return {name: np.ones(shape, _dtype(name)) for name, shape in shapes.items()}
    draws = {
        "vectors": lambda shape: rng.normal(size=shape),
        "aspects": lambda shape: rng.random(shape) * (rng.random(shape) < 0.5),
        "groups": lambda shape: rng.integers(0, 2, shape),
        "user_profile": lambda shape: rng.random(shape),
    }
    return {name: draws[name](shape).astype(_dtype(name)) for name, shape in shapes.items()}


def _dtype(name: str) -> type:
    return np.int32 if name == "groups" else np.float32


def random_lists(
    method: str, batch: int, candidates: int, dim: int = 6, seed: int = 0
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(batch, candidates)).astype(np.float32)
    return {"scores": scores, **needed(method, rng, batch, candidates, dim)}


def equal_lists(method: str, scores: list[list[float]]) -> dict[str, np.ndarray]:
    """Candidates that differ in nothing but their scores."""
    scores = np.array(scores, np.float32)
    return {"scores": scores, **needed(method, None, *scores.shape)}


def signature(method: str, dim: int = 6) -> dict[str, tf.TensorSpec]:
    """Inputs with any number of lists and candidates."""
    return {
        key: tf.TensorSpec([None, None, dim] if value.ndim == 3 else [None, None], value.dtype)
        for key, value in random_lists(method, 1, 1).items()
    }


def pick(method: str, inputs: dict[str, np.ndarray], **options: object) -> np.ndarray:
    return METHODS[method](**options)(inputs).numpy()


@every_method
def test_output_is_int32_and_holds_distinct_positions(method):
    positions = pick(method, random_lists(method, 4, 20), k=7)
    assert positions.dtype == np.int32
    assert positions.shape == (4, 7)
    assert all(len(set(row)) == 7 for row in positions.tolist())
    assert positions.min() >= 0
    assert positions.max() < 20


@every_method
def test_moving_the_candidates_moves_the_picks_with_them(method):
    lists = random_lists(method, 3, 25)
    order = np.random.default_rng(1).permutation(25)
    moved = {key: value if key in NOT_OF_CANDIDATES else value[:, order] for key, value in lists.items()}
    # Position p of the moved pool is candidate order[p].
    np.testing.assert_array_equal(order[pick(method, moved, k=6)], pick(method, lists, k=6))


@every_method
def test_padding_changes_nothing(method):
    lists = random_lists(method, 3, 12)
    padded = {"candidate_mask": np.repeat([[True] * 12 + [False] * 9], 3, axis=0)}
    for key, value in lists.items():
        ends = [(0, 0), (0, 9), (0, 0)][: value.ndim]
        padding = {"scores": 1e6, "groups": 1}.get(key, np.nan)
        padded[key] = value if key in NOT_OF_CANDIDATES else np.pad(value, ends, constant_values=padding)
    for normalization in ("none", "minmax", "zscore", "rank"):
        expected = pick(method, lists, k=8, score_normalization=normalization)
        np.testing.assert_array_equal(pick(method, padded, k=8, score_normalization=normalization), expected)


@every_method
def test_a_batch_is_its_lists_one_by_one(method):
    lists = random_lists(method, 5, 30)
    levels = np.array([0.0, 0.2, 0.5, 0.9, 1.0], np.float32)
    together = pick(method, {**lists, "diversity": levels}, k=6)
    alone = [
        pick(method, {key: value[[n]] for key, value in {**lists, "diversity": levels}.items()}, k=6)[0]
        for n in range(5)
    ]
    np.testing.assert_array_equal(together, alone)


@functools.lru_cache
def masked_graph(method: str) -> tf.types.experimental.PolymorphicFunction:
    mask, level = tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None])
    specs = {**signature(method), "candidate_mask": mask, "diversity": level}
    return tf.function(METHODS[method](k=9), input_signature=[specs])


@every_method
@given(
    scores=st.lists(st.floats(allow_nan=False, allow_subnormal=False, width=32), min_size=1, max_size=9),
    mask_seed=st.integers(0, 2**16),
)
@settings(max_examples=25, deadline=None)
def test_level_zero_is_the_order_of_the_scores(method, scores, mask_seed):
    rng = np.random.default_rng(mask_seed)
    scores = np.array(scores, np.float32)
    mask = rng.random(len(scores)) < 0.8
    open_ = [n for n in range(len(scores)) if mask[n] and scores[n] > -np.inf]
    expected = sorted(open_, key=lambda n: (-scores[n], n))
    expected = (expected + [-1] * 9)[:9]
    lists = {"scores": scores[np.newaxis], **needed(method, rng, 1, len(scores))}
    inputs = {**lists, "candidate_mask": mask[np.newaxis], "diversity": np.zeros(1, np.float32)}
    assert (
        masked_graph(method)({key: tf.constant(value) for key, value in inputs.items()}).numpy()[0].tolist()
        == expected
    )
    if METHODS[method]().features == ("vectors",):
        vectors = lists["vectors"][0]
        got = diversify(scores, vectors, k=9, diversity=0.0, method=method, candidate_mask=mask)
        assert got.tolist() == expected


@every_method
def test_level_zero_in_the_constructor_needs_no_level_in_the_inputs(method):
    positions = pick(method, equal_lists(method, [[1.0, 3.0, 3.0, 2.0]]), k=5, diversity=0.0)
    assert positions.tolist() == [[1, 2, 3, 0, -1]]


@every_method
def test_equal_candidates_come_in_the_order_of_their_positions(method):
    assert pick(method, equal_lists(method, [[1.0] * 5]), k=5, diversity=0.4).tolist() == [[0, 1, 2, 3, 4]]


@every_method
def test_fewer_candidates_than_k_are_all_returned_then_padded(method):
    lists = random_lists(method, 2, 4)
    positions = pick(method, {**lists, "candidate_mask": [[True, False, True, True], [False] * 4]}, k=6)
    assert sorted(positions[0, :3].tolist()) == [0, 2, 3]
    assert positions[0, 3:].tolist() == [-1, -1, -1]
    assert positions[1].tolist() == [-1] * 6


@every_method
def test_nan_level_means_the_layers_own(method):
    lists = random_lists(method, 2, 30)
    levels = np.array([np.nan, 0.9], np.float32)
    mixed = pick(method, {**lists, "diversity": levels}, k=8, diversity=0.2)
    np.testing.assert_array_equal(mixed[0], pick(method, lists, k=8, diversity=0.2)[0])
    np.testing.assert_array_equal(mixed[1], pick(method, lists, k=8, diversity=0.9)[1])


@every_method
def test_nan_score_is_refused_by_name_in_eager_mode(method):
    lists = random_lists(method, 2, 5)
    lists["scores"][1, 3] = np.nan
    with pytest.raises(ValueError, match=r"inputs\['scores'\].*nan at \(1, 3\)"):
        pick(method, lists, k=2)


@every_method
def test_nan_score_counts_as_minus_infinity_in_a_graph(method):
    lists = random_lists(method, 2, 5)
    lists["scores"][1, 3] = np.nan
    layer = METHODS[method](k=5)
    positions = tf.function(layer)({key: tf.constant(value) for key, value in lists.items()}).numpy()
    assert sorted(positions[0].tolist()) == [0, 1, 2, 3, 4]
    assert sorted(positions[1].tolist()) == [-1, 0, 1, 2, 4]
    assert positions[1, 4] == -1


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"fair", "long_tail_xquad"}))  # these have codes
def test_nan_vector_in_a_graph_spoils_no_other_pick(method):
    lists = random_lists(method, 1, 6)
    missing = {key: value.copy() for key, value in lists.items()}
    for key, value in lists.items():
        if value.ndim == 3:
            missing[key][0, 2] = 0.0
            value[0, 2] = np.nan
    graph = tf.function(METHODS[method](k=6, diversity=0.5))
    spoiled, expected = (graph({k: tf.constant(v) for k, v in x.items()}).numpy() for x in (lists, missing))
    np.testing.assert_array_equal(spoiled, expected)


@functools.lru_cache
def run_time_graph(method: str) -> tuple[tf.types.experimental.PolymorphicFunction, dict, np.ndarray]:
    """A graph whose k is an input, lists for it, and what an unrolled graph picks of them."""
    lists = random_lists(method, 3, 40, dim=64)
    specs = {**signature(method, 64), "k": tf.TensorSpec([], tf.int32)}
    graph = tf.function(METHODS[method](k=5, diversity=0.5), input_signature=[specs])
    tensors = {key: tf.constant(value) for key, value in lists.items()}
    return graph, tensors, pick(method, lists, k=32, diversity=0.5)


@prefix_method
@pytest.mark.parametrize("k", [1, 4, 9, 60])
def test_run_time_k_gives_a_prefix(method, k):
    graph, lists, longest = run_time_graph(method)
    got = graph({**lists, "k": tf.constant(k)}).numpy()
    assert got.shape == (3, k)
    shared = min(k, 32)
    np.testing.assert_array_equal(got[:, :shared], longest[:, :shared])
    assert all(sorted(row[:40]) == list(range(40)) for row in got.tolist() if k >= 40)
    assert (got[:, 40:] == -1).all()


@prefix_method
def test_a_long_list_in_a_loop_is_the_list_of_an_unrolled_graph(method):
    lists = random_lists(method, 2, 50, dim=64)
    np.testing.assert_array_equal(pick(method, lists, k=45)[:, :32], pick(method, lists, k=32))


@every_method
def test_free_batch_and_candidates_in_one_graph_agree_with_eager(method):
    layer = METHODS[method](k=6, diversity=0.4)
    graph = tf.function(layer, input_signature=[signature(method)])
    for batch, candidates in [(1, 9), (4, 30), (2, 3), (0, 5)]:
        lists = random_lists(method, batch, candidates)
        got = graph({key: tf.constant(value) for key, value in lists.items()}).numpy()
        np.testing.assert_array_equal(got, layer(lists).numpy())


@every_method
def test_compiled_by_xla_it_picks_the_same(method):
    lists = {key: tf.constant(value) for key, value in random_lists(method, 3, 30).items()}
    lists["diversity"] = tf.constant([0.0, 0.3, 1.0])
    layer = METHODS[method](k=7)
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_array_equal(compiled(lists).numpy(), layer(lists).numpy())


@every_method
def test_many_lists_compile_themselves_and_pick_the_same(method):
    lists = random_lists(method, 19, 37)
    lists["diversity"] = np.linspace(0.0, 1.0, 19).astype(np.float32)
    plain = tf.function(METHODS[method](k=7))({key: tf.constant(value) for key, value in lists.items()})
    np.testing.assert_array_equal(pick(method, lists, k=7), plain.numpy())


@every_method
def test_a_context_of_any_size_in_one_graph_agrees_with_eager(method):
    layer = METHODS[method](k=4, diversity=0.6)
    any_size = {key: [None] * len(spec.shape) for key, spec in signature(method).items()}
    context = {"context_" + key: shape for key, shape in any_size.items() if key in layer.features}
    for batch, items in [(1, 3), (4, 2)]:
        lists, shown = random_lists(method, batch, 15), random_lists(method, batch, items, seed=5)
        lists |= {key: shown[key.removeprefix("context_")] for key in context}
        specs = {key: tf.TensorSpec(shape, lists[key].dtype) for key, shape in (any_size | context).items()}
        graph = tf.function(layer, input_signature=[specs])
        got = graph({key: tf.constant(value) for key, value in lists.items()}).numpy()
        np.testing.assert_array_equal(got, layer(lists).numpy())


@every_method
def test_padding_of_a_context_changes_nothing(method):
    lists, shown = random_lists(method, 3, 20), random_lists(method, 3, 4, seed=5)
    shown = {key: value for key, value in shown.items() if key not in (*NOT_OF_CANDIDATES, "scores")}
    alone = pick(method, lists, k=6, diversity=0.6)
    context = {"context_" + key: value for key, value in shown.items()}
    nothing = {
        key: np.full_like(value, -1 if value.dtype.kind == "i" else 0) for key, value in context.items()
    }
    padded = {key: np.concatenate([value, nothing[key]], 1) for key, value in context.items()}
    expected = pick(method, {**lists, **context}, k=6, diversity=0.6)
    np.testing.assert_array_equal(pick(method, {**lists, **padded}, k=6, diversity=0.6), expected)
    # A page without a pick yet begins by score in some methods, after an empty context too it does not.
    begun = pick(method, {**lists, **nothing}, k=6, diversity=0.6)
    if method not in ("mmr", "msd", "ssd"):
        np.testing.assert_array_equal(begun, alone)
    assert expected.min() >= 0
    assert expected.max() < 20


@every_method
def test_scale_of_the_scores_does_not_matter_by_default(method):
    lists = random_lists(method, 3, 40)
    expected = pick(method, lists, k=10, diversity=0.5)
    for factor, shift in [(1e-20, 0.0), (1e20, 0.0), (8.0, 2.0)]:
        scaled = {**lists, "scores": lists["scores"] * np.float32(factor) + np.float32(shift)}
        np.testing.assert_array_equal(pick(method, scaled, k=10, diversity=0.5), expected)


@every_method
def test_order_score_shows_the_same_items_best_score_first(method):
    lists = random_lists(method, 20, 12)
    lists["scores"] = np.round(lists["scores"] * 2.0) / 2.0 + 0.0  # many ties, and no -0
    mask = np.ones((20, 12), bool)
    mask[3, 5:], mask[7] = False, False  # five candidates, and none
    lists["candidate_mask"], lists["diversity"] = mask, np.resize(np.float32([0.0, 0.4, 1.0]), 20)
    layer = METHODS[method](k=7, order="score")
    pages = layer(lists).numpy()  # of this many lists it is compiled
    expected = [
        sorted((p for p in page if p >= 0), key=lambda p, row=row: (-row[p], p)) + [-1] * (page < 0).sum()
        for page, row in zip(pick(method, lists, k=7), lists["scores"], strict=True)
    ]
    assert pages.tolist() == expected
    tensors = {key: tf.constant(value) for key, value in lists.items()}
    assert tf.function(layer)(tensors).numpy().tolist() == expected
    one = {key: value[3:4] for key, value in tensors.items()}
    assert tf.function(layer)(one).numpy().tolist() == expected[3:4]
    one_k = {**one, "k": tf.constant(14)}
    assert tf.function(layer)(one_k)[0, 5:].numpy().tolist() == [-1] * 9


@pytest.mark.parametrize(
    "method", ["dpp", "mmr", "msd", "ssd"]
)  # COVER asks for likeness, not for unlikeness
def test_missing_vector_is_not_similar_to_everything(method):
    # Candidates 1 and 3 repeat candidate 0; candidate 2 has no vector and nearly the same score.
    lists = {"scores": [[1.0, 0.9, 0.89, 0.88, 0.0]], "vectors": [[[1, 0], [1, 0], [0, 0], [1, 0], [0, 1]]]}
    assert pick(method, lists, k=2, diversity=0.7)[0].tolist() == [0, 2]


@every_method
def test_config_rebuilds_the_layer(method):
    layer = METHODS[method](k=4, diversity=0.25, score_normalization="rank", order="score", name="short_list")
    config = layer.get_config()
    assert (config["k"], config["diversity"], config["score_normalization"]) == (4, 0.25, "rank")
    assert config["order"] == "score"
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is METHODS[method]
    assert again.get_config() == config


@every_method
def test_saved_model_loads_and_agrees(method, tmp_path):
    lists = random_lists(method, 2, 15)

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reranker = METHODS[method](k=4)

        @tf.function(input_signature=[signature(method), tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])
        def rerank(self, lists, diversity, k):
            return self.reranker({**lists, "diversity": diversity, "k": k})

    tf.saved_model.save(Served(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))
    levels = np.array([0.1, 0.8], np.float32)
    got = served.rerank({key: tf.constant(value) for key, value in lists.items()}, levels, 5).numpy()
    # FA*IR's requirements are those of the layer, whatever the k of the inputs.
    np.testing.assert_array_equal(got, pick(method, {**lists, "diversity": levels, "k": 5}, k=4))


@every_method
def test_works_as_a_layer_of_a_functional_model_that_is_saved(method, tmp_path):
    inputs = {
        key: keras.Input(spec.shape[1:], dtype=spec.dtype, name=key)
        for key, spec in signature(method).items()
    }
    inputs["candidate_mask"] = keras.Input([None], dtype="bool", name="candidate_mask")
    model = keras.Model(inputs, METHODS[method](k=3)(inputs))
    assert model.output_shape == (None, 3)
    lists = {**random_lists(method, 2, 8), "candidate_mask": np.ones((2, 8), bool)}
    expected = pick(method, lists, k=3)
    np.testing.assert_array_equal(model.predict(lists, verbose=0), expected)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(lists, verbose=0), expected)


@every_method
def test_scores_are_compared_in_float32_under_mixed_precision(method):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer = METHODS[method](k=3, diversity=0.0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    lists = equal_lists(method, [[1.0, 1.0001, 1.0002]])  # equal in float16
    assert layer(lists).numpy().tolist() == [[2, 1, 0]]


@every_method
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1; received 0"),
        ({"k": 2.5}, "k must be a whole number of at least 1; received 2.5"),
        ({"diversity": 1.5}, r"diversity must lie in \[0, 1\]; received 1.5"),
        ({"diversity": float("nan")}, r"diversity must lie in \[0, 1\]; received nan"),
        ({"score_normalization": "softmax"}, "none, minmax, zscore, rank; received 'softmax'"),
        ({"order": "random"}, "order must be one of picks, score; received 'random'"),
    ],
)
def test_constructor_names_what_is_wrong(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        METHODS[method](**arguments)
