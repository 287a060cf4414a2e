"""Constraints and pinned items: literal pages."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import DPP, METHODS, MMR, AtLeast, AtMost, MinGap, diversify


def by_score(constraints, k, candidates=6, **inputs):
    """The page of candidates in the order of their positions, best first, and what it breaks."""
    layer = MMR(k=k, diversity=0.0, constraints=constraints)
    inputs = {
        "scores": [[-float(n) for n in range(candidates)]],
        "vectors": np.ones((1, candidates, 1)),
        **{key: np.asarray([value]) for key, value in inputs.items()},
    }
    if any(key.startswith("context_") for key in inputs):
        shown = next(value for key, value in inputs.items() if key.startswith("context_"))
        inputs["context_vectors"] = np.ones((1, len(shown[0]), 1))
    page = layer(inputs)
    broken = [name for name, one in layer.relaxed(inputs, page).items() if one.numpy()[0]]
    return page.numpy()[0].tolist(), broken


BRAND = [7, 7, 7, 5, 5, -1]
TAGS = [[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("constraint", "page"),
    [
        (AtMost(1, by="brand"), [0, 3, 5]),
        (AtMost(2, by="brand"), [0, 1, 3]),
        (AtMost(1, by="brand", value=7), [0, 3, 4]),
        (AtMost(0, by="brand", value=7), [3, 4, 5]),
        (AtMost(1, by="tags"), [0, 5, 1]),  # 0 uses up the first two tags; then something has to give way
        (AtMost(1, by="tags", value=1), [0, 1, 4]),
        (AtLeast(1, by="brand"), [0, 1, 3]),
        (AtLeast(2, by="brand", value=5), [0, 3, 4]),
        (AtLeast(1, by="tags"), [0, 1, 3]),
        (AtLeast(2, by="tags", value=2), [0, 3, 4]),
        (MinGap(1, by="brand"), [0, 3, 1]),
        (MinGap(2, by="brand"), [0, 3, 5]),
        (MinGap(1, by="tags"), [0, 5, 1]),
    ],
    ids=repr,
)
def test_pages_by_score(constraint, page):
    feature = BRAND if constraint.by == "brand" else TAGS
    got, broken = by_score([constraint], 3, **{constraint.by: feature})
    assert got == page
    assert broken == (
        ["AtMost(1, by='tags')"] if page == [0, 5, 1] and isinstance(constraint, AtMost) else []
    )


def test_an_impossible_constraint_gives_way_and_is_reported():
    assert by_score([AtMost(1, by="brand")], 3, 4, brand=[7, 7, 7, 5]) == (
        [0, 3, 1],
        ["AtMost(1, by='brand')"],
    )
    assert by_score([MinGap(1, by="brand")], 3, 3, brand=[7, 7, 7]) == ([0, 1, 2], ["MinGap(1, by='brand')"])
    assert by_score([AtLeast(3, by="brand", value=5)], 3, 4, brand=[7, 7, 7, 5]) == (
        [0, 1, 3],
        ["AtLeast(3, by='brand', value=5)"],
    )


def test_the_constraint_listed_first_is_kept():
    ban, quota = AtMost(0, by="groups", value=1), AtLeast(1, by="groups", value=1)
    groups = [0, 0, 1, 1]
    assert by_score([ban, quota], 2, 4, groups=groups) == ([0, 1], ["AtLeast(1, by='groups', value=1)"])
    assert by_score([quota, ban], 2, 4, groups=groups) == ([0, 2], ["AtMost(0, by='groups', value=1)"])


def test_a_later_constraint_holds_where_an_earlier_one_is_impossible():
    page, broken = by_score(
        [AtMost(1, by="brand"), MinGap(1, by="colour")], 3, 4, brand=[7] * 4, colour=[1, 1, 2, 1]
    )
    assert page == [0, 2, 1]
    assert broken == ["AtMost(1, by='brand')"]


def test_a_gap_keeps_room_for_the_brand_that_has_most_items():
    # By score alone 0, 1 would come first and leave three items of brand 7, two of them side by side.
    assert by_score([MinGap(1, by="brand")], 5, 5, brand=[5, 3, 7, 7, 7]) == ([2, 0, 3, 1, 4], [])


def test_a_gap_knows_the_cap_on_the_same_attribute():
    # Brand 7 has items for every other place, but only one of them may come.
    constraints = [AtMost(1, by="brand", value=None), MinGap(1, by="brand")]
    assert by_score(constraints, 3, 5, brand=[7, 7, 7, 5, 3]) == ([0, 3, 4], [])


def test_needs_come_first_where_a_cap_would_use_up_what_they_need():
    # The only item of group 1 has the brand of the best item, of which one may come.
    constraints = [AtMost(1, by="brand"), AtLeast(1, by="groups", value=1)]
    assert by_score(constraints, 2, 4, brand=[7, 7, 5, 5], groups=[0, 1, 0, 0]) == ([1, 2], [])


def test_the_context_counts_for_caps_and_gaps_but_not_for_minimums():
    shown = {"brand": BRAND, "context_brand": [5, 7]}
    assert by_score([AtMost(2, by="brand")], 3, **shown)[0] == [0, 3, 5]
    assert by_score([AtMost(2, by="brand", count_context=False)], 3, **shown)[0] == [0, 1, 3]
    assert by_score([MinGap(1, by="brand")], 3, **shown)[0] == [3, 0, 4]
    assert by_score([MinGap(2, by="brand")], 3, **shown)[0] == [5, 3, 0]
    assert by_score([AtLeast(1, by="brand", value=5)], 2, **shown)[0] == [0, 3]


def test_a_cap_that_the_context_has_broken_alone_is_not_reported():
    shown = {"brand": BRAND, "context_brand": [7, 7]}
    assert by_score([AtMost(1, by="brand")], 2, **shown) == ([3, 5], [])
    assert by_score([AtMost(1, by="brand")], 3, **shown) == ([3, 5, 0], ["AtMost(1, by='brand')"])


def test_any_page_can_be_examined():
    layer = MMR(constraints=[AtMost(1, by="brand"), MinGap(1, by="brand"), AtLeast(1, by="brand", value=5)])
    inputs = {"scores": np.zeros((2, 6)), "vectors": np.ones((2, 6, 1)), "brand": [BRAND] * 2}
    report = layer.relaxed(inputs, [[0, 5, 1], [3, 5, -1]])
    assert {name: broken.numpy().tolist() for name, broken in report.items()} == {
        "AtMost(1, by='brand')": [True, False],
        "MinGap(1, by='brand')": [False, False],
        "AtLeast(1, by='brand', value=5)": [True, False],
    }


@pytest.mark.parametrize(
    ("pinned", "k", "page"),
    [
        ([5], 3, [5, 0, 1]),
        ([-1, 0], 3, [1, 0, 2]),  # the best one waits for its place
        ([-1, -1, -1, 0], 3, [1, 2, 3]),  # and is not on a page that ends before
        ([-1, -1, -1, -1, -1, -1, 0], 8, [1, 2, 3, 4, 5, 0, -1, -1]),  # moves up, no hole
        ([4, 5, 3], 2, [4, 5]),
        ([], 2, [0, 1]),
    ],
)
def test_pinned_items_have_their_places(pinned, k, page):
    assert by_score([], k, pinned=np.array(pinned, np.int32))[0] == page


def test_a_pinned_item_that_is_no_candidate_leaves_its_place_free():
    mask = [True, True, False, True, True, True]
    assert by_score([], 3, pinned=[2, 4], candidate_mask=mask)[0] == [0, 4, 1]


def test_pins_count_from_the_start_and_give_way_to_nothing():
    assert by_score([AtMost(1, by="brand")], 3, brand=BRAND, pinned=[-1, -1, 1])[0] == [3, 5, 1]
    assert by_score([AtMost(1, by="brand")], 2, brand=BRAND, pinned=[1, 2]) == (
        [1, 2],
        ["AtMost(1, by='brand')"],
    )
    assert by_score([MinGap(1, by="brand")], 3, brand=BRAND, pinned=[-1, 1])[0] == [3, 1, 4]
    assert by_score([AtLeast(1, by="brand", value=5)], 3, brand=BRAND, pinned=[-1, -1, 4])[0] == [0, 1, 4]


def test_pins_are_honoured_by_every_method_at_every_level():
    rng = np.random.default_rng(0)
    for method in METHODS.values():
        layer = method(k=4)
        inputs = {"scores": rng.normal(size=(3, 9)), "diversity": [0.0, 0.5, 1.0], "pinned": [[-1, 8, 7]] * 3}
        for key in layer.required:
            inputs[key] = (
                rng.integers(0, 2, (3, 9)) if key == "groups" else rng.random((3, 9, 5)).astype(np.float32)
            )
        groups = 5 if "aspects" in layer.features else 2
        inputs |= {key: rng.random((3, groups)) for key in layer.profiles}
        pages = layer(inputs).numpy()
        assert pages[:, 1:3].tolist() == [[8, 7]] * 3
        assert all(len(set(page)) == 4 for page in pages.tolist())


def test_dpp_goes_on_after_a_pinned_copy_of_a_pick():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1, 20, 12)).astype(np.float32)
    scores = rng.normal(size=(1, 20)).astype(np.float32)
    layer = DPP(k=5, diversity=0.8)
    first, *others = layer({"scores": scores, "vectors": vectors}).numpy()[0].tolist()
    copy = np.concatenate([vectors, 3.7 * vectors[:, [first]]], axis=1)
    scores = np.concatenate([scores, [[scores.mean()]]], axis=1)
    page = DPP(k=6, diversity=0.8)({"scores": scores, "vectors": copy, "pinned": [[-1, 20]]}).numpy()[0]
    # The copy adds no direction: it changes the scale of the scores a little, the others not at all.
    assert page.tolist() == [first, 20, *others]


def test_negative_codes_are_no_value():
    assert by_score([AtMost(1, by="brand"), MinGap(1, by="brand")], 3, 3, brand=[-1, -1, -5]) == (
        [0, 1, 2],
        [],
    )


def test_the_attribute_of_a_constraint_is_a_required_input():
    layer = MMR(constraints=[AtMost(1, by="brand")])
    assert layer.required == ("vectors", "brand")
    assert METHODS["mmr"]().required == ("vectors",)
    with pytest.raises(ValueError, match=r"MMR needs inputs\['brand'\]"):
        layer({"scores": [[1.0]], "vectors": [[[1.0]]]})


def test_constraints_compare_print_and_rebuild():
    ones = [
        AtMost(2, "brand"),
        AtMost(2, "brand", value=3, count_context=False),
        AtLeast(1, "tags"),
        MinGap(2, "x"),
    ]
    assert [repr(one) for one in ones] == [
        "AtMost(2, by='brand')",
        "AtMost(2, by='brand', value=3, count_context=False)",
        "AtLeast(1, by='tags')",
        "MinGap(2, by='x')",
    ]
    for one in ones:
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(one))
        assert again == one
        assert hash(again) == hash(one)
    assert len(set(ones)) == 4
    assert AtMost(1, "brand") != AtLeast(1, "brand")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AtMost(-1, by="brand"), "AtMost: n must be a whole number of at least 0; received -1"),
        (lambda: AtLeast(0, by="brand"), "AtLeast: n must be a whole number of at least 1; received 0"),
        (lambda: AtLeast("2", by="brand"), "AtLeast: n must be a whole number of at least 1; received '2'"),
        (lambda: MinGap(1.5, by="brand"), "MinGap: gap must be a whole number of at least 1; received 1.5"),
        (lambda: AtMost(1, by="brand", value=-1), "AtMost: value must be .* at least 0; received -1"),
        (lambda: AtMost(1, by="scores"), "AtMost: by must be the name of a feature.*; received 'scores'"),
        (lambda: AtMost(1, by="context_brand"), "AtMost: by must be the name of a feature"),
        (
            lambda: MMR(constraints=AtMost(1, "x")),
            "MMR: constraints must be a list of constraints; received AtMost",
        ),
        (
            lambda: MMR(constraints=["x"]),
            "MMR: constraints must hold AtMost, AtLeast or MinGap; received 'x' at 0",
        ),
        (
            lambda: MMR(constraints=[AtMost(1, "x")] * 2),
            r"constraints must differ; received AtMost\(1, by='x'\) twice",
        ),
    ],
)
def test_each_mistake_has_its_message(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_category_beyond_the_rows_is_named():
    with pytest.raises(
        ValueError, match=r"value must be a place in the rows of inputs\['tags'\], below 3; received 3"
    ):
        by_score([AtMost(1, by="tags", value=3)], 2, tags=TAGS)


@pytest.mark.parametrize(
    ("pinned", "message"),
    [
        ([[6]], r"inputs\['pinned'\] must be -1 or a position below 6; received 6"),
        ([[1, 1]], r"inputs\['pinned'\] must name a candidate once; received \[1 1\] at 0"),
        ([1], r"inputs\['pinned'\] must have the shape"),
    ],
)
def test_wrong_pins_are_refused(pinned, message):
    with pytest.raises(ValueError, match=message):
        MMR()({"scores": np.zeros((1, 6)), "vectors": np.ones((1, 6, 1)), "pinned": pinned})


def test_in_a_graph_a_pin_that_cannot_be_is_left_out():
    layer = tf.function(MMR(k=3, diversity=0.0))
    inputs = {"scores": tf.constant([[3.0, 2.0, 1.0]]), "vectors": tf.ones([1, 3, 1])}
    assert layer({**inputs, "pinned": tf.constant([[9, 2, 2]])}).numpy().tolist() == [[0, 2, 1]]


def test_without_constraints_the_graph_has_no_op_of_them():
    inputs = {"scores": tf.ones([2, 9]), "vectors": tf.ones([2, 9, 3])}
    bare = tf.function(MMR(k=3)).get_concrete_function(inputs).graph.as_graph_def()
    empty = tf.function(MMR(k=3, constraints=[])).get_concrete_function({**inputs}).graph.as_graph_def()
    assert len(bare.node) == len(empty.node)
    assert not any("While" in node.op for node in bare.node)


def test_a_gap_by_rows_keeps_the_items_that_lack_the_commonest_category():
    # All but 1 and 2 have the first category: these two must come between the others, not one after the other.
    tags = [[1, 0], [0, 1], [0, 0], [1, 0], [1, 1]]
    assert by_score([MinGap(1, by="tags")], 5, 5, tags=tags) == ([0, 1, 3, 2, 4], [])


def test_diversify_takes_constraints_and_keeps_what_it_traced(monkeypatch):
    arguments = {"k": 2, "features": {"brand": [7, 7, 5]}}
    page = diversify([3.0, 2.0, 1.0], np.ones((3, 1)), constraints=[AtMost(1, by="brand")], **arguments)
    assert page.tolist() == [0, 2]
    monkeypatch.setattr(MMR, "start", lambda *_: pytest.fail("traced again"))
    page = diversify([1.0, 2.0, 3.0], np.ones((3, 1)), constraints=[AtMost(1, by="brand")], **arguments)
    assert page.tolist() == [2, 1]


def test_the_latest_item_of_a_context_stays_the_latest_when_lists_are_filled_up():
    # Many lists are compiled, a context of three filled up to four.
    layer = MMR(k=2, diversity=0.0, constraints=[MinGap(1, by="brand")])
    inputs = {
        "scores": np.tile([[3.0, 2.0, 1.0]], (16, 1)),
        "vectors": np.ones((16, 3, 1)),
        "brand": np.tile([[7, 5, 3]], (16, 1)),
        "context_brand": np.tile([[5, 9, 7]], (16, 1)),
        "context_vectors": np.ones((16, 3, 1)),
    }
    assert layer(inputs).numpy().tolist() == [[1, 0]] * 16
