"""Counting: by hand, in every integer type, with and without the quick way."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.metrics import occurrences as module
from tfrec_div.metrics.lists import recommendation_counts
from tfrec_div.metrics.occurrences import occurrences


@pytest.fixture(params=["quick", "plain"], autouse=True)
def way(request, monkeypatch):
    """As scipy of today has it, and as one without that private function would."""
    if request.param == "plain":
        monkeypatch.setattr(module, "csr_column_index1", None)
    else:
        assert module.csr_column_index1 is not None


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_by_hand(dtype):
    found = occurrences(np.array([4, 0, 4, 2, 4], dtype), 6)
    assert found.tolist() == [1, 0, 1, 0, 3, 0]
    assert found.dtype == np.int64
    assert occurrences(np.array([], dtype), 2).tolist() == [0, 0]
    assert occurrences(np.array([], dtype), 0).tolist() == []


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", ">i4", ">i8"]
)
def test_full_lists_of_every_type(dtype):
    rows = np.array([[3, 1], [1, 0]], dtype)
    found = recommendation_counts(rows, 5)
    assert found.tolist() == [1, 2, 0, 1, 0]
    assert found.dtype == np.int64
    # Neither is in one piece: each second row, and each second column.
    assert recommendation_counts(np.repeat(rows, 2, axis=0)[::2], 5).tolist() == [1, 2, 0, 1, 0]
    assert recommendation_counts(np.repeat(rows, 2, axis=1)[:, ::2], 5).tolist() == [1, 2, 0, 1, 0]


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", ">i4"])
def test_padding_is_not_counted(dtype):
    assert recommendation_counts(np.array([[3, -1], [-1, -1], [1, 3]], dtype), 4).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("wrong", [-2, 4, np.iinfo(np.int32).min, np.iinfo(np.int32).max])
def test_what_is_no_item_is_refused_and_nothing_is_written_for_it(dtype, wrong):
    with pytest.raises(ValueError, match=f"catalogue of 4 items; received {wrong}"):
        recommendation_counts(np.array([[0, wrong]], dtype), 4)


def test_numbers_that_int32_cuts_to_an_item_are_refused():
    with pytest.raises(ValueError, match=f"received {2**32 + 1}"):
        recommendation_counts(np.array([[2**32 + 1]]), 4)


def test_the_lists_are_left_as_they_are():
    rows = np.array([[2, 1], [1, 0]])
    rows.flags.writeable = False
    assert recommendation_counts(rows, 3).tolist() == [1, 2, 1]
    assert rows.tolist() == [[2, 1], [1, 0]]
