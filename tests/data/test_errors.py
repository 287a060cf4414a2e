"""What a message about the data says."""

from __future__ import annotations

import pickle

from tfrec_div.data.errors import DataError, Problem


def test_a_problem_names_file_row_column_expectation_and_finding():
    problem = Problem("interactions.csv", 17, "rating", "a number", "abc")
    assert str(problem) == 'interactions.csv, row 17, column rating: expected a number, found "abc"'


def test_parts_that_are_not_known_are_left_out():
    assert str(Problem("items.csv", None, None, "this file")) == "items.csv: expected this file"


def test_an_empty_cell_reads_as_nothing():
    assert str(Problem("items.csv", 2, "item_id", "an id", "")).endswith("found nothing")


def test_line_breaks_and_quotes_in_what_was_found_stay_on_one_line():
    assert str(Problem("a.csv", 2, "b", "a number", 'x\n"y"')).endswith(r'found "x\n\"y\""')


def test_emoji_are_shown_as_they_are():
    assert str(Problem("a.csv", 2, "b", "a number", "🎈")).endswith('found "🎈"')


def test_a_long_finding_is_cut():
    assert len(str(Problem("a.csv", 2, "b", "a number", "x" * 100_000))) < 200


def test_one_problem_is_the_whole_message():
    error = DataError([Problem("a.csv", 2, "b", "a number", "x")], "shop")
    assert str(error) == 'a.csv, row 2, column b: expected a number, found "x"'


def test_several_problems_are_counted_and_the_command_that_lists_them_is_named():
    problems = [Problem("a.csv", row, "b", "a number", "x") for row in (2, 3, 9)]
    error = DataError(problems, "shop")
    assert str(error).startswith("a.csv, row 2, column b")
    assert str(error).endswith("and 2 more (tfrec-div validate shop lists all)")
    assert error.problems == problems


def test_warnings_are_no_part_of_an_error():
    warning = Problem("a.csv", None, "z", "a known column", severity="warning")
    assert DataError([warning, Problem("a.csv", 2, "b", "a number", "x")]).problems[0].column == "b"


def test_it_is_a_value_error_and_survives_a_process_border():
    error = pickle.loads(pickle.dumps(DataError([Problem("a.csv", 2, "b", "a number", "x")], "shop")))
    assert isinstance(error, ValueError)
    assert error.problems == [Problem("a.csv", 2, "b", "a number", "x")]
