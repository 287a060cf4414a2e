"""The chart of probabilities and what came of them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from tfrec_div.metrics.reliability import ReliabilityCurve
from tfrec_div.study.reliability import reliability_chart


def curve(predicted, observed, count) -> ReliabilityCurve:
    return ReliabilityCurve(np.array(predicted), np.array(observed), np.array(count))


TWO = curve([0.25, np.nan, 1.0], [0.5, np.nan, 0.75], [90, 0, 10])


def circles(svg: str) -> list[dict]:
    return [e.attrib for e in ElementTree.fromstring(svg).iter("circle")]


def test_points_are_where_probabilities_and_outcomes_are():
    first, second = circles(reliability_chart("relevance", {"ranker": TWO}))
    # The plot is 274 wide from 52 and 242 high from 14; the axes end at 1.
    assert (float(first["cx"]), float(first["cy"])) == (round(52 + 274 * 0.25, 1), 14 + 242 * 0.5)
    assert (float(second["cx"]), float(second["cy"])) == (52 + 274, round(14 + 242 * 0.25, 1))
    # The areas are as 9 to 1.
    assert float(first["r"]) == 8.0
    assert abs(float(second["r"]) - 8 / 3) < 0.05


def test_small_probabilities_fill_the_chart():
    (point,) = circles(reliability_chart("relevance", {"ranker": curve([0.01], [0.02], [5])}))
    assert float(point["cy"]) < 40


def test_it_can_be_read_out_and_names_are_text():
    svg = reliability_chart("a & b", {"<i>": TWO})
    label = re.search('aria-label="([^"]*)"', svg).group(1)
    assert label == "a &amp; b: &lt;i&gt;: 0.250 came 0.500, 1.00 came 0.750"


def test_each_curve_has_a_colour_and_empty_ones_are_passed_over():
    empty = curve([np.nan], [np.nan], [0])
    svg = reliability_chart("x", {"none": empty, "raw": TWO, "calibrated": TWO})
    assert {c["class"] for c in circles(svg)} == {"c1", "c2"}
    assert "No probabilities" in reliability_chart("x", {"none": empty})
    assert "No probabilities" in reliability_chart("x", {})


def test_probabilities_of_nothing_are_drawn():
    (point,) = circles(reliability_chart("x", {"ranker": curve([0.0], [0.0], [3])}))
    assert float(point["cy"]) == 256.0
