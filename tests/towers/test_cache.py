from __future__ import annotations

import hashlib
import os
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div.towers.cache import ContentError, encode_cached


class Lengths:
    """An encoder whose vector is (length, first byte), and that remembers what it was asked for."""

    dim = 2

    def __init__(self, name: str = "a", fail_after: int | None = None):
        self.name, self.fail_after, self.asked = name, fail_after, []

    def fingerprint(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()

    def encode(self, contents, batch_size=32, progress=True):
        contents = [contents[row] for row in range(len(contents))]
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked += contents
        progress(len(contents))
        return np.array([vector(content) for content in contents])


def vector(content) -> list[float]:
    data = content.encode() if isinstance(content, str) else content
    return [len(data), data[0] if data else 0]


def shards(folder) -> list:
    return sorted(folder.rglob("*.npz"))


def test_equal_contents_are_encoded_once_and_kept(tmp_path):
    encoder = Lengths()
    texts = ["bb", "a", "bb", "", "a"]
    expected = [[2, 98], [1, 97], [2, 98], [0, 0], [1, 97]]
    vectors = encode_cached(encoder, texts, tmp_path, progress=False)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == expected
    assert encoder.asked == ["bb", "a", ""]
    again = Lengths()
    assert encode_cached(again, texts, tmp_path, progress=False).tolist() == expected
    assert again.asked == []


def test_only_new_contents_are_encoded(tmp_path):
    encode_cached(Lengths(), [b"one", b"two"], tmp_path, progress=False)
    encoder = Lengths()
    vectors = encode_cached(encoder, [b"four", b"two", b"three"], tmp_path, progress=False)
    assert encoder.asked == [b"four", b"three"]
    assert vectors.tolist() == [[4, 102], [3, 116], [5, 116]]


def test_an_interrupted_run_goes_on_after_its_last_shard(tmp_path):
    texts = [str(number) * 3 for number in range(10)]
    with pytest.raises(KeyboardInterrupt):
        encode_cached(Lengths(fail_after=6), texts, tmp_path, shard_size=3, progress=False)
    encoder = Lengths()
    vectors = encode_cached(encoder, texts, tmp_path, shard_size=3, progress=False)
    assert encoder.asked == texts[6:]
    assert vectors.tolist() == [vector(text) for text in texts]
    assert list(tmp_path.rglob("*.tmp")) == []


def test_encoders_do_not_share_vectors(tmp_path):
    encode_cached(Lengths("a"), ["x"], tmp_path, progress=False)
    other = Lengths("b")
    encode_cached(other, ["x"], tmp_path, progress=False)
    assert other.asked == ["x"]


@pytest.mark.parametrize("damage", ["cut", "flipped byte", "empty", "no archive"])
def test_a_damaged_shard_is_encoded_again_with_a_warning(tmp_path, damage):
    texts = [f"text {number}" for number in range(6)]
    encode_cached(Lengths(), texts, tmp_path, shard_size=3, progress=False)
    path = shards(tmp_path)[0]
    data = bytearray(path.read_bytes())
    if damage == "flipped byte":
        place = data.index(np.float32([6.0, 116.0]).tobytes())
        data[place] ^= 1
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "no archive": b"x" * 99}.get(damage, data))
    encoder = Lengths()
    with pytest.warns(UserWarning, match=f"{path.name}.*damaged"):
        vectors = encode_cached(encoder, [*texts, "new"], tmp_path, progress=False)
    assert vectors.tolist() == [vector(text) for text in [*texts, "new"]]
    assert len(encoder.asked) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = Lengths()
        encode_cached(clean, [*texts, "new"], tmp_path, progress=False)
    assert clean.asked == []


def test_runs_at_once_do_no_harm(tmp_path):
    texts = [f"text {number}" for number in range(40)]
    results = {}

    def run(number: int) -> None:
        results[number] = encode_cached(
            Lengths(), texts[number:] + texts[:number], tmp_path, shard_size=7, progress=False
        )

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert results[number].tolist() == [vector(text) for text in texts[number:] + texts[:number]]
    late = Lengths()
    encode_cached(late, texts, tmp_path, progress=False)
    assert late.asked == []


class Pictures:
    """A sequence that reads a picture when it is asked for, and knows how many are held at once."""

    def __init__(self, count: int):
        self.count, self.reads = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> bytes:
        if not 0 <= row < self.count:
            raise IndexError(row)
        self.reads.append(row)
        return b"%d" % row


def test_contents_are_read_lazily_and_once_when_known(tmp_path):
    pictures = Pictures(5)
    encode_cached(Lengths(), pictures, tmp_path, shard_size=2, progress=False)
    assert pictures.reads == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    known = Pictures(5)
    encode_cached(Lengths(), known, tmp_path, progress=False)
    assert known.reads == [0, 1, 2, 3, 4]


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="vectors are not kept.*TFREC_DIV_CACHE"):
        vectors = encode_cached(Lengths(), ["abc"], blocked, progress=False)
    assert vectors.tolist() == [[3, 97]]


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREC_DIV_CACHE", str(tmp_path / "mine"))
    encode_cached(Lengths(), ["x"], progress=False)
    assert len(shards(tmp_path / "mine")) == 1
    monkeypatch.delenv("TFREC_DIV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    encode_cached(Lengths(), ["x"], progress=False)
    assert len(shards(tmp_path / "user" / "tfrec_div")) == 1


def test_no_contents_give_no_vectors_and_no_files(tmp_path):
    assert encode_cached(Lengths(), [], tmp_path).shape == (0, 2)
    assert os.listdir(tmp_path) == []


def test_a_content_that_cannot_be_encoded_is_named_by_its_row(tmp_path):
    class Picky(Lengths):
        def encode(self, contents, batch_size=32, progress=True):
            for row in range(len(contents)):
                if contents[row] == "bad":
                    raise ContentError(row, "it is bad")
            return super().encode(contents, batch_size, progress)

    with pytest.raises(ContentError, match="content 4 cannot be encoded: it is bad"):
        encode_cached(Picky(), ["a", "b", "a", "c", "bad"], tmp_path, shard_size=2, progress=False)


def test_vectors_of_another_shape_are_refused(tmp_path):
    class Wrong(Lengths):
        dim = 3

    with pytest.raises(ValueError, match=r"expected vectors \(1, 3\), got \(1, 2\)"):
        encode_cached(Wrong(), ["x"], tmp_path, progress=False)


def test_progress_is_shown_only_for_what_is_encoded(tmp_path, capsys):
    encode_cached(Lengths(), ["x", "y", "x"], tmp_path)
    assert "2/2" in capsys.readouterr().err
    encode_cached(Lengths(), ["x", "y"], tmp_path)
    assert capsys.readouterr().err == ""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=3), max_size=12), st.integers(1, 5))
def test_the_cache_never_changes_a_vector(tmp_path_factory, texts, shard_size):
    folder = tmp_path_factory.mktemp("cache")
    for part in (texts[::2], texts):
        vectors = encode_cached(Lengths(), part, folder, shard_size=shard_size, progress=False)
        assert vectors.tolist() == [vector(text) for text in part]
