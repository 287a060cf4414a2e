from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.data.assemble import assemble, check_tables
from tfrec_div.data.checks import REQUIRED
from tfrec_div.data.column import Coded, Numbers, is_blank, parse_numbers, strings_of
from tfrec_div.data.errors import DataError
from tfrec_div.data.frames import from_frames
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.settings import Settings
from tfrec_div.data.tables import read_table, table_from_frame
from tfrec_div.data.values import as_strings

TEXTS = st.sampled_from(["7", "007", "a", "é", "7.0", "", " ", None])
WHOLE = st.integers(-3, 12)
FLOATS = st.sampled_from([1.0, 2.0, 3.5, -0.0, 1e15, 1e16, np.nan, np.inf, 1e300])
TIMES = st.sampled_from([0, 5, 5, 2**31, 10**11, 10**11 + 1, -7])


def columns(**choices):
    """Draws a frame: for each column one of several kinds of cells."""

    def frame(size):
        kinds = {
            name: st.one_of(*(st.lists(cell, min_size=size, max_size=size).map(make) for cell, make in kinds))
            for name, kinds in choices.items()
        }
        return st.fixed_dictionaries(kinds).map(lambda found: pd.DataFrame(found))

    return st.integers(1, 12).flatmap(frame)


def objects(cells):
    return pd.Series(cells, dtype=object)


def typed(dtype):
    return lambda cells: pd.Series(cells, dtype=dtype)


IDS = [(TEXTS, objects), (WHOLE, typed("int64")), (WHOLE, typed("int32")), (FLOATS, typed("float64"))]
FRAMES = columns(
    user_id=IDS,
    item_id=[*IDS, (st.one_of(WHOLE, st.none()), typed("Int64"))],
    rating=[(FLOATS, typed("float64")), (FLOATS, typed("float32")), (TEXTS, objects), (WHOLE, typed("int8"))],
    timestamp=[
        (TIMES, typed("int64")),
        (st.sampled_from(["5", "5.5", "soon", ""]), objects),
        (st.datetimes(pd.Timestamp(1960, 1, 1), pd.Timestamp(2100, 1, 1)), typed("datetime64[us]")),
        (
            st.one_of(st.datetimes(pd.Timestamp(1960, 1, 1), pd.Timestamp(2100, 1, 1)), st.none()),
            typed("datetime64[us]"),
        ),
        (st.sampled_from([5.0, 5.75, np.nan]), typed("float64")),
    ],
    weight=[(WHOLE, typed("int64")), (FLOATS, typed("float64"))],
    event=[(st.sampled_from(["view", "cart", "", None]), objects)],
)


def outcome(table, items, on_error):
    """Returns the dataset or None, and all that was found to be wrong."""
    tables = {"interactions": table}
    if items is not None:
        tables["items"] = table_from_frame(items, "items", REQUIRED["items"])
    checked = check_tables(tables, Settings(), None, False)
    problems = [str(problem) + problem.severity for problem in checked.problems]
    try:
        return assemble(checked, Settings(), on_error), problems
    except DataError as error:
        return str(error), problems


def assert_alike(found, expected):
    assert found[1] == expected[1]
    if isinstance(expected[0], str):
        assert found[0] == expected[0]
    else:
        assert found[0].equals(expected[0])
        assert found[0].dropped == expected[0].dropped


@settings(max_examples=300, deadline=None)
@given(frame=FRAMES, listed=st.booleans(), on_error=st.sampled_from(["raise", "drop"]))
def test_numbers_and_codes_say_what_the_same_cells_say_as_strings(frame, listed, on_error):
    items = pd.DataFrame({"item_id": ["7", "a", "3", "2"]}) if listed else None
    texts = pd.DataFrame({name: pd.Series(as_strings(frame[name]), dtype=object) for name in frame})
    if pd.api.types.is_datetime64_any_dtype(frame["timestamp"].dtype):
        seconds = frame["timestamp"].map(lambda t: "" if pd.isna(t) else str(int(t.timestamp() // 1)))
        texts["timestamp"] = seconds.astype(object)
    required = REQUIRED["interactions"]
    slow = outcome(table_from_frame(texts, "log", required), items, on_error)
    assert_alike(outcome(table_from_frame(frame, "log", required, coded=True), items, on_error), slow)
    assert_alike(outcome(table_from_frame(texts, "log", required, coded=True), items, on_error), slow)


@settings(max_examples=100, deadline=None)
@given(frame=FRAMES)
def test_parquet_reads_alike_as_codes_and_as_strings(frame, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "interactions.parquet"
    frame.to_parquet(path)
    required = REQUIRED["interactions"]
    slow = outcome(read_table(path, {}, required), None, "drop")
    assert_alike(outcome(read_table(path, {}, required, coded=True), None, "drop"), slow)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-2, 2)), max_size=30))
def test_copies_are_those_that_pandas_finds_among_the_strings(rows):
    frame = pd.DataFrame([(0, 0, 0), *rows], columns=["user_id", "item_id", "timestamp"])
    warned = [problem.row - 2 for problem in from_frames(frame).warnings]
    assert warned == np.flatnonzero(frame.astype(str).duplicated()).tolist()


def test_rows_that_differ_in_a_fraction_are_no_copies():
    pairs = {"user_id": [1] * 5, "item_id": [2] * 5}
    frame = pd.DataFrame({**pairs, "rating": [3.5, 3.0, np.nan, 3.5, np.nan]})
    assert [problem.row for problem in from_frames(frame).warnings] == [5, 6]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([-(2**62), 0, 1, 2**62])), min_size=1
    )
)
def test_the_order_is_by_user_then_time_then_tie_and_rows_that_are_equal_keep_theirs(rows):
    user, item, time = np.array(rows).T
    log = Interactions.from_rows(
        user, item, list("abcd"), list("uvwxyz"), timestamp=time, dwell=np.arange(len(rows))
    )
    tie = np.empty(len(rows), np.uint64)
    tie[log.dwell.astype(int)] = log.tie
    expected = sorted(range(len(rows)), key=lambda row: (user[row], time[row], tie[row]))
    assert log.dwell.astype(int).tolist() == expected


def test_ids_of_whole_numbers_are_their_decimals_in_the_order_of_strings():
    frame = pd.DataFrame({"user_id": [10, 9, -1, 10], "item_id": np.array([7, 2**40, 7, 8], np.int64)})
    schema = from_frames(frame).schema
    assert schema.user_ids == ("-1", "10", "9")
    assert schema.item_ids == ("1099511627776", "7", "8")


def test_a_column_of_numbers_writes_them_only_where_asked():
    column = Numbers(np.array([7.0, np.nan, 0.5, np.inf]))
    assert [column[row] for row in range(4)] == ["7", "", "0.5", "inf"]
    assert strings_of(column).tolist() == ["7", "", "0.5", "inf"]
    assert is_blank(column).tolist() == [False, True, False, False]
    numbers, bad = parse_numbers(column)
    assert bad.tolist() == [False, False, False, True]
    assert numbers[[0, 2]].tolist() == [7.0, 0.5]
    assert np.isnan(numbers[[1, 3]]).all()


def test_codes_share_what_is_found_of_a_string():
    column = Coded(np.array([2, 0, 1, 0]), np.array(["4", " ", "x"], dtype=object))
    assert is_blank(column).tolist() == [False, False, True, False]
    assert parse_numbers(column)[1].tolist() == [True, False, False, False]
    assert column.order.tolist() == [1, 0, 2]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "str"])
def test_ids_of_any_type_are_the_same_ids(dtype):
    frame = pd.DataFrame({"user_id": pd.Series([3, 1, 3]).astype(dtype), "item_id": ["a", "b", "b"]})
    assert from_frames(frame).schema.user_ids == ("1", "3")
