"""Which pictures are usable."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.data.pictures import check_pictures, leaves_folder
from tfrec_div.data.table import new_table


def check(values, root, decode=True):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    table = new_table("items.csv", {"image": column}, len(values), [])
    check_pictures(table, "image", root, decode)
    return table


@pytest.mark.parametrize(
    "path", ["../a.png", "a/../../b.png", "/etc/passwd", "..", "C:\\a.png", "..\\a.png", "\\a.png"]
)
def test_paths_that_leave_the_folder(path):
    assert leaves_folder(path)


@pytest.mark.parametrize(
    "path", ["a.png", "images/a.png", "./a.png", "a/../b.png", "..a.png", "a..b/c.png", "~/a.png"]
)
def test_paths_that_stay_inside(path):
    assert not leaves_folder(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_formats_that_decode_in_the_graph(kind, make_picture):
    assert check([make_picture(kind=kind)], None).problems == []


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
def test_formats_that_the_graph_cannot_decode(kind, make_picture):
    (problem,) = check([make_picture(kind=kind)], None).problems
    assert "JPEG, PNG, GIF or BMP" in str(problem)
    assert kind in problem.found


def test_each_fault_has_its_own_message(tmp_path, make_picture):
    whole = make_picture(kind="JPEG", size=(64, 64))
    (tmp_path / "good.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    paths = [
        "good.jpg",
        "cut.jpg",
        "text.jpg",
        "empty.jpg",
        "folder",
        "none.jpg",
        "../x.jpg",
        "",
        "a\0b",
        "x" * 5000,
    ]
    table = check(paths, tmp_path)
    by_row = {problem.row - 2: problem for problem in table.problems}
    assert set(by_row) == {1, 2, 3, 4, 5, 6, 8, 9}
    for row in (1, 2, 3):
        assert by_row[row].expected.startswith("a picture that decodes")
        assert by_row[row].found.startswith(paths[row])
    for row in (4, 5, 8, 9):
        assert by_row[row].expected == "the path of a file in the folder"
    assert by_row[6].expected == "a path inside the folder"
    assert table.columns["image"].tolist() == ["good.jpg"] + [""] * 9
    assert table.lost_pictures == 8
    assert not table.bad.any()


def test_a_picture_cut_within_its_pixels_is_found(make_picture):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    assert len(check([stream.getvalue()[:-500]], None).problems) == 1


def test_decoding_can_be_left_out_but_not_the_look_for_the_file(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    table = check(["text.jpg", "none.jpg"], tmp_path, decode=False)
    assert [problem.found for problem in table.problems] == ["none.jpg"]


def test_paths_need_a_folder():
    (problem,) = check(["a.jpg"], None).problems
    assert "image_root" in str(problem)


def test_a_picture_that_several_items_share_is_reported_for_each(tmp_path):
    assert [problem.row for problem in check(["none.jpg", "", "none.jpg"], tmp_path).problems] == [2, 4]
