"""Everything that can be wrong with a folder is listed, with its place."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from tfrec_div.data import validate_folder

LOG = "user_id,item_id\nu,a\nu,b\n"
ITEMS = "item_id,title\na,A\nb,B\n"


def messages(folder, **options):
    return [str(problem) for problem in validate_folder(folder, **options)]


def test_a_good_folder_has_no_problems(make_folder):
    assert validate_folder(make_folder(interactions=LOG, items=ITEMS, users="user_id,age\nu,20\n")) == []


def test_movielens_has_no_problems(movielens):
    assert validate_folder(movielens, check_images=False) == []


@pytest.mark.slow
def test_movielens_pictures_have_no_problems(movielens):
    assert validate_folder(movielens) == []


def test_a_missing_folder(tmp_path):
    (message,) = messages(tmp_path / "shop")
    assert message == f"{tmp_path / 'shop'}: expected a dataset folder, found nothing"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "shop").write_text("x")
    assert messages(tmp_path / "shop")[0].endswith('expected a dataset folder, found "a file"')


def test_missing_interactions(make_folder):
    (message,) = messages(make_folder(items=ITEMS))
    assert message.startswith("interactions.csv: expected this file or interactions.parquet")


def test_two_files_for_one_table(make_folder):
    (message,) = messages(make_folder(interactions=LOG, files={"interactions.parquet": b"x"}))
    assert 'one file of this name, found "interactions.csv and interactions.parquet"' in message


@pytest.mark.parametrize("table", ["interactions", "items", "users", "impressions"])
def test_an_empty_file(make_folder, table):
    found = messages(make_folder(**{"interactions": LOG, table: ""}))
    assert f"{table}.csv: expected a header and rows, found nothing" in found


@pytest.mark.parametrize("table", ["interactions", "items"])
def test_a_header_without_rows(make_folder, table):
    header = {"interactions": LOG, "items": ITEMS}[table].split("\n")[0] + "\n"
    found = messages(make_folder(**{"interactions": LOG, table: header}))
    assert f"{table}.csv: expected at least one row below the header, found nothing" in found


def test_users_without_rows_are_fine(make_folder):
    assert messages(make_folder(interactions=LOG, users="user_id\n")) == []


def test_missing_columns_are_named_with_those_that_are_there(make_folder):
    found = messages(make_folder(interactions="user,item_id,stars\nu,a,3\n", items="id\na\n"))
    assert found == [
        'interactions.csv, column user_id: expected this column, found "the columns user, item_id, stars"',
        'items.csv, column item_id: expected this column, found "the columns id"',
    ]


def test_a_wrong_separator_shows_in_the_message(make_folder):
    assert '"the columns user_id;item_id"' in messages(make_folder(interactions="user_id;item_id\nu;a\n"))[0]


def test_impressions_need_five_columns(make_folder):
    found = messages(make_folder(interactions=LOG, impressions="user_id,item_id\nu,a\n"))
    assert [message.split(":")[0] for message in found] == [
        "impressions.csv, column timestamp",
        "impressions.csv, column position",
        "impressions.csv, column clicked",
    ]


def test_a_column_that_is_there_twice(make_folder):
    found = messages(make_folder(interactions="user_id,item_id,rating,rating\nu,a,1,2\n"))
    assert found == ['interactions.csv, column rating: expected one column of this name, found "2 columns"']


def test_bad_cells_of_the_interactions(make_folder):
    rows = [
        "user_id,item_id,rating,timestamp,dwell,weight",
        "u,a,5,881250949,1.5,1",
        ",a,5,881250949,1,1",
        "u,,5,881250949,1,1",
        "u,zzz,5,881250949,1,1",
        "u,a,abc,881250949,1,1",
        "u,a,nan,881250949,1,1",
        "u,a,inf,881250949,1,1",
        "u,a,5,yesterday,1,1",
        "u,a,5,881250949000,1,1",
        "u,a,5,,1,1",
        "u,a,5,881250949.0,-1,1",
        "u,a,5,881250949,x,-2",
        "u,b,,881250949,,",
    ]
    found = messages(make_folder(interactions="\n".join(rows), items=ITEMS))
    assert found == [
        "interactions.csv, row 3, column user_id: expected an id, found nothing",
        "interactions.csv, row 4, column item_id: expected an id, found nothing",
        'interactions.csv, row 5, column item_id: expected the id of an item in items.csv, found "zzz"',
        'interactions.csv, row 6, column rating: expected a number, found "abc"',
        'interactions.csv, row 7, column rating: expected a number, found "nan"',
        'interactions.csv, row 8, column rating: expected a number, found "inf"',
        'interactions.csv, row 9, column timestamp: expected seconds since 1970, found "yesterday"',
        "interactions.csv, row 10, column timestamp: expected seconds since 1970, not milliseconds, "
        'found "881250949000"',
        "interactions.csv, row 11, column timestamp: expected seconds since 1970, found nothing",
        'interactions.csv, row 12, column dwell: expected a number of seconds, 0 or more, found "-1"',
        'interactions.csv, row 13, column dwell: expected a number of seconds, 0 or more, found "x"',
        'interactions.csv, row 13, column weight: expected a number, 0 or more, found "-2"',
    ]


def test_bad_cells_of_the_items(make_folder, make_picture):
    rows = [
        "item_id,title,price,release_date,image",
        "a,A,9.99,01-Jan-1995,a.png",
        "b,B,cheap,soon,none.png",
        "a,A again,,,",
        ",nameless,,,../a.png",
        "c,,,1995-02-30,text.png",
    ]
    files = {"a.png": make_picture(), "text.png": b"no picture"}
    found = messages(make_folder(interactions=LOG, items="\n".join(rows), files=files))
    assert found == [
        'items.csv, row 3, column price: expected a number, found "cheap"',
        'items.csv, row 3, column release_date: expected a date such as 1995-01-31, found "soon"',
        'items.csv, row 3, column image: expected the path of a file in the folder, found "none.png"',
        'items.csv, row 4, column item_id: expected an id that no earlier row has, found "a"',
        "items.csv, row 5, column item_id: expected an id, found nothing",
        'items.csv, row 5, column image: expected a path inside the folder, found "../a.png"',
        'items.csv, row 6, column release_date: expected a date such as 1995-01-31, found "1995-02-30"',
        "items.csv, row 6, column image: expected a picture that decodes (JPEG, PNG, GIF or BMP), "
        'found "text.png (no known picture format)"',
    ]


def test_bad_cells_of_the_users(make_folder):
    users = "user_id,age\nu,20\nu,30\n,5\nv,old\n"
    found = messages(make_folder(interactions=LOG, users=users, yaml="features: {users: {age: number}}"))
    assert found == [
        'users.csv, row 3, column user_id: expected an id that no earlier row has, found "u"',
        "users.csv, row 4, column user_id: expected an id, found nothing",
        'users.csv, row 5, column age: expected a number, found "old"',
    ]


def test_bad_cells_of_the_impressions(make_folder):
    rows = [
        "user_id,item_id,timestamp,position,clicked,propensity",
        "u,a,10,1,1,0.5",
        "u,zzz,,1.5,yes,0",
        "u,a,10,-1,0,1.5",
        "u,a,10,,false,",
    ]
    found = messages(make_folder(interactions=LOG, items=ITEMS, impressions="\n".join(rows)))
    assert found == [
        'impressions.csv, row 3, column item_id: expected the id of an item in items.csv, found "zzz"',
        "impressions.csv, row 3, column timestamp: expected seconds since 1970, found nothing",
        'impressions.csv, row 3, column position: expected a whole number, 0 or more, found "1.5"',
        'impressions.csv, row 3, column clicked: expected 0 or 1, found "yes"',
        'impressions.csv, row 3, column propensity: expected a probability above 0 and at most 1, found "0"',
        'impressions.csv, row 4, column position: expected a whole number, 0 or more, found "-1"',
        "impressions.csv, row 4, column propensity: expected a probability above 0 and at most 1, "
        'found "1.5"',
        "impressions.csv, row 5, column position: expected a whole number, 0 or more, found nothing",
    ]


def test_ragged_rows_are_all_listed_and_the_others_still_checked(make_folder):
    log = "user_id,item_id,rating\nu,a\nu,a,5,x\nu,a,abc\n\nu,b,4\nu,a,5,x,y\n"
    found = messages(make_folder(interactions=log, items=ITEMS))
    assert found == [
        'interactions.csv, row 2: expected 3 cells as in the header, found "2 cells"',
        'interactions.csv, row 3: expected 3 cells as in the header, found "4 cells"',
        'interactions.csv, row 4, column rating: expected a number, found "abc"',
        'interactions.csv, row 7: expected 3 cells as in the header, found "5 cells"',
    ]


def test_an_item_with_a_ragged_row_is_still_a_known_item(make_folder):
    found = messages(make_folder(interactions=LOG, items="item_id,title\na,A,extra\nb,B\n"))
    assert found == ['items.csv, row 2: expected 2 cells as in the header, found "3 cells"']


def test_rows_are_counted_as_a_spreadsheet_does_when_cells_hold_line_breaks(make_folder):
    log = 'user_id,item_id,rating\nu,"a\nb\nc",5\nu,"x",abc\n'
    (message,) = messages(make_folder(interactions=log))
    assert message.startswith("interactions.csv, row 3, column rating")


def test_a_quote_that_is_never_closed(make_folder):
    (message,) = messages(make_folder(interactions='user_id,item_id\nu,a\nu,"b\nu,c\n'))
    assert message == 'interactions.csv, row 3: expected a closing quote, found "the end of the file"'


def test_text_after_a_closing_quote(make_folder):
    found = messages(make_folder(interactions='user_id,item_id,rating\nu,"a"x,3\nu,b,abc\n'))
    assert found[0].startswith("interactions.csv, row 2: expected a well-formed CSV row")
    assert found[1].startswith("interactions.csv, row 3, column rating")


def test_bytes_that_are_no_utf8_are_named_with_row_and_column(make_folder):
    items = b"item_id,title\na,caf\xe9\nb,B\n\xff,C\n"
    found = messages(make_folder(interactions=LOG, files={"items.csv": items}))
    assert found == [
        'items.csv, row 2, column title: expected UTF-8 text, found "caf\ufffd"',
        'items.csv, row 4, column item_id: expected UTF-8 text, found "\ufffd"',
    ]


def test_utf16_is_refused_without_a_traceback(make_folder):
    found = messages(make_folder(files={"interactions.csv": LOG.encode("utf-16")}))
    assert found[0].startswith("interactions.csv, column user_id: expected this column")


def test_a_byte_order_mark_is_no_part_of_the_header(make_folder):
    assert messages(make_folder(interactions="\ufeff" + LOG)) == []


def test_a_parquet_file_that_is_none(make_folder):
    (message,) = messages(make_folder(files={"interactions.parquet": b"PAR1 nonsense"}))
    assert message.startswith("interactions.parquet: expected a Parquet file")


def test_a_file_that_cannot_be_opened(make_folder):
    folder = make_folder(items=ITEMS)
    (folder / "interactions.csv").mkdir()
    assert messages(folder)[0].startswith("interactions.csv: expected this file")


def test_exact_copies_are_warnings(make_folder):
    folder = make_folder(interactions="user_id,item_id,timestamp\nu,a,1\nu,a,2\nu,a,1\nu,a,1\n")
    problems = validate_folder(folder)
    assert [(problem.row, problem.severity) for problem in problems] == [(4, "warning"), (5, "warning")]


def test_a_copy_of_a_bad_row_is_no_further_warning(make_folder):
    problems = validate_folder(make_folder(interactions="user_id,item_id,rating\nu,a,x\nu,a,x\n"))
    assert [(problem.row, problem.severity) for problem in problems] == [(2, "error"), (3, "error")]


def test_columns_that_nobody_declared_are_warnings(make_folder):
    problems = validate_folder(
        make_folder(interactions="user_id,item_id,page\nu,a,3\n", items="item_id,mood\na,sad\n")
    )
    assert [(problem.file, problem.column, problem.severity) for problem in problems] == [
        ("items.csv", "mood", "warning"),
        ("interactions.csv", "page", "warning"),
    ]


def test_columns_that_are_declared_to_be_ignored_are_fine(make_folder):
    folder = make_folder(
        interactions="user_id,item_id\nu,a\n",
        items="item_id,mood\na,x\n",
        yaml="features: {items: {mood: ignore}}",
    )
    assert messages(folder) == []


def test_a_declared_column_that_is_not_there_is_a_warning(make_folder):
    (problem,) = validate_folder(
        make_folder(interactions=LOG, items=ITEMS, yaml="features: {items: {mood: text}}")
    )
    assert (problem.column, problem.severity) == ("mood", "warning")


def test_a_column_to_rename_that_is_not_there(make_folder):
    found = messages(make_folder(interactions=LOG, yaml="columns: {interactions: {movie: item_id}}"))
    assert found[0].startswith(
        "interactions.csv, column movie: expected this column, which dataset.yaml renames"
    )


def test_ratings_outside_the_declared_scale(make_folder):
    folder = make_folder(
        interactions="user_id,item_id,rating\nu,a,0\nu,b,5\nu,c,6\n", yaml="rating_scale: [1, 5]"
    )
    assert [problem.found for problem in validate_folder(folder)] == ["0", "6"]


def test_problems_of_all_files_come_at_once(make_folder):
    folder = make_folder(
        interactions="user_id,item_id,rating\nu,x,bad\n",
        items="item_id,price\na,bad\n",
        users="user_id\n\n,\n",
        impressions="user_id\nu\n",
        yaml="colums: {}",
    )
    files = [problem.file for problem in validate_folder(folder)]
    assert set(files) == {"dataset.yaml", "interactions.csv", "items.csv", "users.csv", "impressions.csv"}


def test_a_hundred_thousand_equal_problems_are_all_listed_in_seconds(make_folder):
    n = 200_000
    frame = pd.DataFrame(
        {"user_id": np.arange(n) % 5000, "item_id": np.arange(n) % 997, "rating": np.arange(n) % 2}
    )
    frame = frame.astype(str).replace({"rating": {"0": "abc"}})
    frame["timestamp"] = np.arange(n)
    folder = make_folder(interactions=frame.to_csv(index=False))
    start = time.perf_counter()
    problems = validate_folder(folder)
    assert time.perf_counter() - start < 20
    assert len(problems) == 100_000
    assert problems[-1].row == n


def test_the_cause_stands_before_what_follows_from_it(make_folder):
    folder = make_folder(interactions=LOG, items="item_id,title\na,A\n,B\n")
    first, second = messages(folder)
    assert first == "items.csv, row 3, column item_id: expected an id, found nothing"
    assert second.startswith("interactions.csv, row 3, column item_id: expected the id of an item")
