"""Sliding spectrum decomposition, by hand; pyversity's picks are in test_pyversity.py."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.rerank import SSD

# Without bias: candidates 0 and 1 span the plane, 2 lies in it, 3 sticks out.
VECTORS = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.8, 0.0], [0.6, 0.0, 0.8]]])


def page(scores, **options):
    layer = SSD(diversity=0.5, append_bias=False, standardize=False, score_normalization="none", **options)
    return layer({"scores": [scores], "vectors": VECTORS}).numpy()[0].tolist()


def test_picks_by_hand():
    # After 0, what is left: 1 (1), .8 (2), .8 (3) -> .25+.5=.75, .15+.4=.55, .1+.4=.5 -> 1.
    # After 1: 0 (2), .8 (3) -> .15, .1+.4=.5 -> 3.
    assert page([1.0, 0.5, 0.3, 0.2], k=4) == [0, 1, 3, 2]


def test_what_leaves_the_window_is_novel_again():
    # After 0 and 1 a window of one holds only 1: left of 2 is .6, of 3 all.
    assert page([1.0, 0.9, 0.85, 0.5], k=3, window=1) == [0, 1, 3]  # .425+.3 against .25+.5
    assert page([1.0, 0.9, 0.85, 0.3], k=3, window=1) == [0, 1, 2]  # .425+.3 against .15+.5
    # Without a window, nothing is left of 2 and .8 of 3: .425 against .15+.4.
    assert page([1.0, 0.9, 0.85, 0.3], k=3) == [0, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be a whole number of at least 1; received 0"),
        ({"gamma": 0.0}, "gamma must be above 0 and finite; received 0"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SSD(**arguments)
