"""What constraints and pinned items promise, whatever the method."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import METHODS, MMR, AtLeast, AtMost, MinGap, Reranker

every_method = pytest.mark.parametrize("method", sorted(METHODS))
BATCH = 12  # from 16 on a layer compiles itself: one test does so
MIXED = (
    AtMost(2, by="brand"),
    AtLeast(2, by="tags", value=1),
    MinGap(1, by="brand"),
    AtMost(5, by="tags"),
)


def make(method: str, constraints=(), **options) -> Reranker:
    return METHODS[method](constraints=list(constraints), **options)


def random_inputs(
    layer: Reranker, batch: int, candidates: int, seed: int = 0, values: int = 3, dim: int = 16
):
    """Lists with all that a method reads, `brand` codes (−1: none) and `tags`, a row of flags."""
    rng = np.random.default_rng(seed)
    inputs = {
        "scores": rng.normal(size=(batch, candidates)),
        "brand": rng.integers(-1, values, (batch, candidates)),
        "tags": (rng.random((batch, candidates, 4)) < 0.35),
    }
    for key in layer.features:
        codes = key in ("brand", "groups")
        inputs.setdefault(
            key,
            rng.integers(0, 2, (batch, candidates)) if codes else rng.random((batch, candidates, dim)) - 0.2,
        )
        if key == "aspects":
            inputs[key] = np.maximum(inputs[key], 0.0)
    for key in layer.profiles:
        inputs[key] = rng.random((batch, dim if "aspects" in layer.features else 2))
    wanted = {"scores", *layer.required, *layer.profiles}
    return {
        key: np.asarray(value, np.int32 if key in ("brand", "groups") else np.float32)
        for key, value in inputs.items()
        if key in wanted
    }


def one_list(inputs: dict, number: int) -> dict:
    return {key: value[[number]] for key, value in inputs.items()}


def values_at(inputs: dict, by: str, number: int) -> list[set[int]]:
    """The values of every candidate of a list as plain sets."""
    feature = inputs[by][number]
    if feature.ndim == 1:
        return [{int(code)} if code >= 0 else set() for code in feature]
    return [set(np.flatnonzero(row > 0).tolist()) for row in feature]


def meets(
    constraint, page: list[int], values: list[set[int]], valid: list[int], before: list[set[int]]
) -> bool:
    """The definition of each constraint, in plain Python."""
    shown = [values[item] for item in page]
    if isinstance(constraint, MinGap):
        line = before + shown
        return not any(
            line[i] & line[j]
            for j in range(len(before), len(line))
            for i in range(max(0, j - constraint.gap), j)
        )
    if isinstance(constraint, AtMost):
        line = (before if constraint.count_context else []) + shown
        asked = set().union(*shown) if constraint.value is None else {constraint.value} & set().union(*shown)
        return all(sum(value in one for one in line) <= constraint.n for value in asked)
    occurring = set().union(*(values[item] for item in valid))
    asked = occurring if constraint.value is None else {constraint.value}
    return all(sum(value in one for one in shown) >= constraint.n for value in asked)


def context_of(inputs: dict, by: str, number: int) -> list[set[int]]:
    return values_at(inputs, f"context_{by}", number) if f"context_{by}" in inputs else []


def valid_of(inputs: dict, number: int) -> list[int]:
    mask = inputs.get("candidate_mask", np.ones(inputs["scores"].shape, bool))
    return np.flatnonzero(mask[number]).tolist()


def check_pages(layer: Reranker, inputs: dict, pages: np.ndarray, k: int) -> None:
    """Pages are full and distinct; what they break is reported, and nothing else."""
    report = {name: broken.numpy() for name, broken in layer.relaxed(inputs, pages).items()}
    for number, row in enumerate(pages.tolist()):
        valid = valid_of(inputs, number)
        length = min(k, len(valid))
        assert len(set(row[:length])) == length
        assert set(row[:length]) <= set(valid)
        assert row[length:] == [-1] * (k - length)
        for constraint in layer.constraints:
            held = meets(
                constraint,
                row[:length],
                values_at(inputs, constraint.by, number),
                valid,
                context_of(inputs, constraint.by, number),
            )
            assert report[repr(constraint)][number] == (not held), (constraint, row)


@every_method
@given(
    seed=st.integers(0, 2**16),
    candidates=st.integers(1, 14),
    k=st.integers(1, 9),
    level=st.sampled_from([0.0, 0.3, 1.0]),
    with_context=st.booleans(),
    with_pins=st.booleans(),
)
@settings(max_examples=8, deadline=None)
def test_pages_are_full_and_what_they_break_is_reported(
    method, seed, candidates, k, level, with_context, with_pins
):
    rng = np.random.default_rng(seed)
    layer = make(method, MIXED, k=k, diversity=level)
    inputs = random_inputs(layer, BATCH, candidates, seed)
    if with_context:
        context = random_inputs(layer, BATCH, 3, seed + 1)
        inputs |= {
            f"context_{key}": value
            for key, value in context.items()
            if key != "scores" and key not in layer.profiles
        }
    if with_pins:
        pinned = np.argsort(rng.random((BATCH, max(candidates, 4))), axis=1)[:, :4]
        inputs["pinned"] = np.where((rng.random((BATCH, 4)) < 0.4) & (pinned < candidates), pinned, -1)
    inputs["candidate_mask"] = rng.random((BATCH, candidates)) < 0.85
    pages = layer(inputs).numpy()
    check_pages(layer, inputs, pages, k)
    if with_pins:
        for number, row in enumerate(inputs["pinned"].tolist()):
            check_pins(row, pages[number].tolist(), valid_of(inputs, number))


def check_pins(pinned: list[int], page: list[int], valid: list[int]) -> None:
    """Each pinned item is at its place; before it only when no other candidate is left."""
    pinned = [item if item in valid else -1 for item in pinned]
    others = len(valid) - sum(item >= 0 for item in pinned)
    for place, item in enumerate(pinned[: len(page)]):
        if item < 0:
            continue
        if sum(one < 0 for one in pinned[:place]) <= others:
            assert page[place] == item
        else:
            assert item in page[:place]
    late = {item for item in pinned[len(page) :] if item >= 0}
    if others >= sum(one < 0 for one in (pinned + [-1] * len(page))[: len(page)]):
        assert not late & set(page)


# Not here, for no promise is made: items of several values with a cap on each, a gap or a need for each, where one
# item may use up several caps or serve several needs.
SINGLE = [
    (AtMost(1, by="brand"),),
    (AtMost(2, by="brand", value=0),),
    (AtMost(1, by="tags", value=2),),
    (AtLeast(1, by="brand"),),
    (AtLeast(2, by="brand", value=1),),
    (AtLeast(2, by="tags", value=0),),
    (MinGap(1, by="brand"),),
    (MinGap(2, by="brand"),),
]
PAIRS = [
    (AtMost(1, by="brand"), AtLeast(2, by="tags", value=0)),
    (AtLeast(2, by="tags", value=0), AtMost(1, by="brand")),
    (AtMost(2, by="brand"), MinGap(1, by="brand")),
    (MinGap(2, by="brand"), AtMost(2, by="brand")),
    (AtLeast(1, by="brand"), AtMost(2, by="brand")),
]


@pytest.mark.parametrize("constraints", SINGLE + PAIRS, ids=repr)
@pytest.mark.parametrize("with_context", [False, True])
@given(seed=st.integers(0, 2**16), candidates=st.integers(2, 7), k=st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_no_feasible_page_is_missed(constraints, with_context, seed, candidates, k):
    layer = make("mmr", constraints, k=k, diversity=0.5)
    inputs = random_inputs(layer, BATCH, candidates, seed, values=3)
    rng = np.random.default_rng(seed)
    inputs["candidate_mask"] = rng.random((BATCH, candidates)) < 0.9
    if with_context:
        context = random_inputs(layer, BATCH, 2, seed + 1)
        inputs |= {f"context_{key}": value for key, value in context.items() if key != "scores"}
    pages = layer(inputs).numpy()
    check_pages(layer, inputs, pages, k)
    report = np.any([broken.numpy() for broken in layer.relaxed(inputs, pages).values()], axis=0)
    for number in np.flatnonzero(report):
        valid = valid_of(inputs, number)
        known = [
            (one, values_at(inputs, one.by, number), context_of(inputs, one.by, number))
            for one in constraints
        ]
        for page in itertools.permutations(valid, min(k, len(valid))):
            assert not all(meets(one, page, values, valid, before) for one, values, before in known), (
                f"{page} meets {constraints}; the layer made {pages[number]} of list {number}"
            )


@every_method
def test_a_batch_is_its_lists_one_by_one(method):
    layer = make(method, MIXED, k=7)
    inputs = random_inputs(layer, 5, 24)
    inputs["diversity"] = np.array([0.0, 0.2, 0.5, 0.9, 1.0], np.float32)
    inputs["pinned"] = np.array([[-1, 3], [-1, -1], [0, -1], [4, 5], [-1, 9]])
    alone = [layer(one_list(inputs, number)).numpy()[0] for number in range(5)]
    np.testing.assert_array_equal(layer(inputs).numpy(), alone)


@every_method
def test_padding_changes_nothing(method):
    layer = make(method, (*MIXED, AtLeast(1, by="brand")), k=7)
    inputs = random_inputs(layer, 4, 15)
    padded = {
        key: value
        if key in layer.profiles
        else np.pad(
            value,
            [(0, 0), (0, 6)] + [(0, 0)] * (value.ndim - 2),
            constant_values=1 if value.dtype == np.int32 else np.nan,
        )
        for key, value in inputs.items()
    }
    padded["candidate_mask"] = np.repeat([[True] * 15 + [False] * 6], 4, axis=0)
    np.testing.assert_array_equal(layer(padded).numpy(), layer(inputs).numpy())


@every_method
@pytest.mark.parametrize("level", [0.0, 0.6])
def test_constraints_that_any_page_meets_change_nothing(method, level):
    free = make(method, k=8, diversity=level)
    slack = make(method, [AtMost(8, by="brand"), AtMost(8, by="tags", value=0)], k=8, diversity=level)
    inputs = random_inputs(slack, 4, 20)
    bare = {key: value for key, value in inputs.items() if key in ("scores", *free.required, *free.profiles)}
    np.testing.assert_array_equal(slack(inputs).numpy(), free(bare).numpy())


@every_method
def test_no_pins_are_like_pins_at_no_place(method):
    layer = make(method, k=6)
    inputs = random_inputs(layer, 4, 20)
    pinned = np.full((4, 3), -1)
    np.testing.assert_array_equal(layer({**inputs, "pinned": pinned}).numpy(), layer(inputs).numpy())


def everything(method):
    layer = make(method, MIXED, k=7, diversity=0.4)
    inputs = random_inputs(layer, 16, 24)
    inputs["pinned"] = np.tile(np.int32([[-1, 3, -1, 8]]), (16, 1))
    return layer, inputs, {key: tf.constant(value) for key, value in inputs.items()}


@every_method
def test_one_graph_for_any_number_of_lists_and_candidates_agrees_with_eager(method):
    layer, inputs, tensors = everything(method)
    specs = {
        key: tf.TensorSpec([None] * min(value.shape.rank, 2) + value.shape[2:], value.dtype)
        for key, value in tensors.items()
    }
    graph = tf.function(layer, input_signature=[specs])
    pages = graph(tensors).numpy()
    check_pages(layer, inputs, pages, 7)
    few = {key: value[:2] for key, value in tensors.items()}
    np.testing.assert_array_equal(layer(few).numpy(), pages[:2])
    np.testing.assert_array_equal(graph({key: value[:1] for key, value in few.items()}).numpy(), pages[:1])
    fewer = {
        key: value if key in (*layer.profiles, "pinned") else value[:, :11] for key, value in few.items()
    }
    np.testing.assert_array_equal(graph(fewer).numpy(), layer(fewer).numpy())


@pytest.mark.parametrize(
    "method",
    [
        name if name in ("mmr", "dpp") else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(METHODS)
    ],
)
def test_compiled_by_xla_for_many_lists_it_picks_the_same(method):
    layer, _, tensors = everything(method)
    context = random_inputs(layer, 16, 3, seed=1)
    tensors |= {
        f"context_{key}": tf.constant(value)
        for key, value in context.items()
        if key != "scores" and key not in layer.profiles
    }
    np.testing.assert_array_equal(layer(tensors).numpy(), tf.function(layer)(tensors).numpy())


@every_method
def test_a_long_page_and_a_run_time_length(method):
    layer = make(method, (AtMost(9, by="brand"), MinGap(1, by="brand")), k=40, diversity=0.4)
    inputs = random_inputs(layer, 2, 60, values=6, dim=64)
    pages = layer(inputs).numpy()
    check_pages(layer, inputs, pages, 40)
    run_time = tf.function(layer)
    inputs = {key: tf.constant(value) for key, value in inputs.items()}
    np.testing.assert_array_equal(run_time({**inputs, "k": tf.constant(40)}).numpy(), pages)


@every_method
def test_saved_model_and_config_keep_the_constraints(method, tmp_path):
    layer = make(method, MIXED, k=5)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.constraints == MIXED
    assert again.get_config() == layer.get_config()
    inputs = random_inputs(layer, 2, 15)
    inputs["pinned"] = np.array([[-1, 3], [2, -1]])
    specs = {
        key: tf.TensorSpec([None, *value.shape[1:]], tf.as_dtype(value.dtype))
        for key, value in inputs.items()
    }
    module = tf.Module()
    module.rerank = tf.function(layer, input_signature=[specs])
    tf.saved_model.save(module, str(tmp_path))
    served = tf.saved_model.load(str(tmp_path)).rerank(
        {key: tf.constant(value) for key, value in inputs.items()}
    )
    np.testing.assert_array_equal(served.numpy(), again(inputs).numpy())


def test_an_order_by_score_is_refused_where_places_count():
    with pytest.raises(ValueError, match=r"MMR: order='score' moves items.*MinGap.*expected order='picks'"):
        MMR(order="score", constraints=[MinGap(1, by="brand")])
    inputs = {"scores": [[2.0, 1.0]], "vectors": [[[1.0], [1.0]]], "pinned": [[1]]}
    with pytest.raises(ValueError, match=r"MMR: inputs\['pinned'\] name places"):
        MMR(k=2, order="score")(inputs)


def test_a_constrained_page_may_be_shown_by_score():
    inputs = {"scores": [[0.1, 0.9, 0.8]], "vectors": np.eye(3)[np.newaxis], "brand": [[4, 5, 5]]}
    layer = MMR(k=2, order="score", diversity=1.0, constraints=[AtMost(1, by="brand")])
    assert layer(inputs).numpy().tolist() == [[1, 0]]
