"""Strings to numbers and times, and back."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec_div.data.values import (
    as_strings,
    format_numbers,
    format_times,
    is_blank,
    parse_clicks,
    parse_numbers,
    parse_times,
)


def strings(*values):
    return np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", "7"], ["007", "7"]),
        ([7, 8], ["7", "8"]),
        (np.array([7, 8], np.int32), ["7", "8"]),
        ([7.0, 0.5], ["7", "0.5"]),
        ([7, 7.0, True], ["7", "7", "true"]),
        ([None, float("nan"), pd.NA, pd.NaT], ["", "", "", ""]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pd.Series(["a", None]), ["a", ""]),
        (pd.Series([1, None], dtype="Int64"), ["1", ""]),
        (pd.Series([1, None]), ["1", ""]),
        ([["a", "b"], []], ["a|b", ""]),
        ([9007199254740993], ["9007199254740993"]),
        ([datetime.date(2020, 1, 31)], ["2020-01-31"]),
        ([b"\xff\xd8"], [b"\xff\xd8"]),
        ([], []),
    ],
)
def test_cells_of_any_type_become_strings(values, expected):
    assert as_strings(values).tolist() == expected


def test_a_single_string_is_no_sequence_of_ids():
    with pytest.raises(TypeError, match="'196'"):
        as_strings("196")


def test_blank_is_empty_or_white_space():
    assert is_blank(strings("", "  ", "\t", "a", " a ")).tolist() == [True, True, True, False, False]


def test_numbers_are_read_and_all_else_is_bad():
    texts = strings(
        "4", "-1.5", " 2 ", "1e3", "", " ", "abc", "nan", "inf", "-Infinity", "1_000", "1,5", "0x10", "1e39"
    )
    numbers, bad = parse_numbers(texts)
    assert numbers[:4].tolist() == [4.0, -1.5, 2.0, 1000.0]
    assert np.isnan(numbers[4:]).all()
    assert bad.tolist() == [False] * 6 + [True] * 8


@given(st.lists(st.floats(-1e30, 1e30, width=64)))
def test_numbers_survive_writing_and_reading(values):
    numbers, bad = parse_numbers(format_numbers(np.array(values, np.float64)))
    assert not bad.any()
    assert numbers.tolist() == values


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32)))
def test_float32_numbers_survive_writing_and_reading(values):
    values = np.array(values, np.float32)
    numbers, bad = parse_numbers(format_numbers(values))
    assert not bad.any()
    np.testing.assert_array_equal(numbers.astype(np.float32), values)


def test_numbers_are_written_as_people_write_them():
    assert format_numbers(np.array([4.0, 0.1, np.nan], np.float32)).tolist() == ["4", "0.1", ""]
    assert format_numbers(np.array([881250949])).tolist() == ["881250949"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01-Jan-1995", "1995-01-01T00:00"),
        ("1995-01-31", "1995-01-31T00:00"),
        ("1995", "1995-01-01T00:00"),
        ("19950131", "1995-01-31T00:00"),
        ("January 31, 1995", "1995-01-31T00:00"),
        ("31 January 1995", "1995-01-31T00:00"),
        ("1/31/1995", "1995-01-31T00:00"),
        ("31.1.1995", "1995-01-31T00:00"),
        ("1.2.1995", "1995-02-01T00:00"),
        ("1995-01-31 12:30", "1995-01-31T12:30"),
        ("1995-01-31T12:30:00Z", "1995-01-31T12:30"),
        ("1995-01-31T12:30:00+02:00", "1995-01-31T10:30"),
        ("1/2/95", "1995-01-02T00:00"),
        ("791555400", "1995-01-31T12:30"),
    ],
)
def test_written_forms_of_a_date(text, expected):
    seconds, bad = parse_times(strings(text))
    assert not bad[0]
    assert np.datetime64(int(seconds[0]), "s") == np.datetime64(expected)


@pytest.mark.parametrize(
    "text", ["abc", "now", "today", "12", "may", "12:30", "12:30:45", "2020-13-01", "1995-02-30", "-5", "nan"]
)
def test_what_names_no_day_of_a_year_is_bad(text):
    seconds, bad = parse_times(strings(text))
    assert bad[0]
    assert np.isnan(seconds[0])


def test_milliseconds_are_no_date():
    assert parse_times(strings("881250949000"))[1].tolist() == [True]


def test_an_empty_cell_is_a_missing_date():
    seconds, bad = parse_times(strings("", "  "))
    assert np.isnan(seconds).all()
    assert not bad.any()


def test_different_forms_in_one_column_do_not_disturb_each_other():
    seconds, bad = parse_times(strings("1970-01-02", "abc", "03-Jan-1970", "1970-01-02"))
    assert seconds[[0, 2, 3]].tolist() == [86400.0, 172800.0, 86400.0]
    assert bad.tolist() == [False, True, False, False]


@given(st.lists(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))))
def test_times_survive_writing_and_reading(moments):
    seconds = np.array(moments, "datetime64[us]").astype(np.int64) / 1e6
    again, bad = parse_times(format_times(seconds))
    assert not bad.any()
    assert again.tolist() == seconds.tolist()


def test_a_whole_day_is_written_without_a_time():
    assert format_times(np.array([0.0, 86400.5, np.nan])).tolist() == [
        "1970-01-01",
        "1970-01-02T00:00:00.500000",
        "",
    ]


def test_clicks():
    clicks, bad = parse_clicks(strings("1", "0", "True", "false", "yes", ""))
    assert clicks[:4].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert bad.tolist() == [False] * 4 + [True] * 2
