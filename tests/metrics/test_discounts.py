"""Rank discounts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics.discounts import rank_discount


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        ("none", [1, 1, 1]),
        ("log2", [1, 0.6309297535714575, 0.5]),
        ("reciprocal", [1, 1 / 2, 1 / 3]),
        ("exponential", [1, 0.85, 0.7225]),
        (np.array([5.0, 3.0, 2.0, 1.0]), [5, 3, 2]),
    ],
)
def test_weights_of_three_places(discount, expected):
    np.testing.assert_allclose(rank_discount(3, discount), expected, rtol=1e-14)


@pytest.mark.parametrize("wrong", [np.ones(2), np.ones((3, 3)), np.array([1.0, np.nan, 1.0]), -np.ones(3)])
def test_own_weights_are_checked(wrong):
    with pytest.raises(ValueError, match="at least 3 weights of at least 0"):
        rank_discount(3, wrong)
