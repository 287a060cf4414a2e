"""What a frozen tower made of a content, kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm.auto import tqdm

CACHE_VARIABLE = "TFREC_DIV_CACHE"


class ContentError(ValueError):
    """A content that cannot be encoded.

    Args:
        row: Its place in the sequence that was given.
        reason: What is wrong with it.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"content {row} cannot be encoded: {reason}")
        self.row, self.reason = row, reason


class Contents(Protocol):
    """Texts or encoded pictures by row; a list is one, and so is an object that reads from disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Any: ...


class FrozenEncoder(Protocol):
    """What `encode_cached` needs of an encoder; `TextEncoder` and `ImageEncoder` have it."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def fingerprint(self) -> str:
        """Return what changes whenever the vectors would."""
        ...

    def encode(
        self, contents: Contents, /, batch_size: int = 32, progress: bool | Callable[[int], object] = True
    ) -> np.ndarray:
        """Encode contents to float32 `[n, dim]`, calling `progress` with the numbers done."""
        ...


def encode_cached(
    encoder: FrozenEncoder,
    contents: Contents,
    cache_dir: str | os.PathLike | None = None,
    batch_size: int = 32,
    shard_size: int = 1024,
    progress: bool = True,
) -> np.ndarray:
    """Encode contents once, ever: equal ones share a vector, and vectors stay on disk.

    A folder per encoder (named by its fingerprint) holds shards, each a file with the SHA-256 of its contents
    and their vectors; a shard is written when it is complete, so an interrupted run goes on after the last
    one, and new contents make new shards. A damaged shard is encoded again with a warning. Processes may
    share the folder.

    Args:
        encoder: A frozen encoder.
        contents: `n` texts or encoded pictures; anything with `len` and `[row]`. Items are read one by one
            and, but for one shard's, not kept, so a sequence that reads from disk keeps the pictures off
            memory. A content that is not in the cache is read twice.
        cache_dir: Where to keep vectors; by default the environment variable `TFREC_DIV_CACHE`, else
            `tfrec_div` in the user's cache folder.
        batch_size: Contents in a batch of the encoder.
        shard_size: Contents in a shard: how many are lost when a run is interrupted, at most.
        progress: Whether to show a bar when there is something to encode.

    Returns:
        Vectors float32 `[n, encoder.dim]`.

    Raises:
        ContentError: A content cannot be encoded; the message tells its row.
        ValueError: The encoder's vectors have another shape than it promised.

    Example:
        >>> from tfrec_div.towers.text import TextEncoder
        >>> encoder = TextEncoder.from_pretrained("tiny")
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     encode_cached(encoder, ["a toy", "a story", "a toy"], folder, progress=False).shape
        (3, 64)
    """
    keys = [_key(contents[row]) for row in range(len(contents))]
    first_row: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        first_row.setdefault(key, row)
    position = {key: place for place, key in enumerate(first_row)}
    vectors = np.zeros([len(position), encoder.dim], np.float32)
    missing = dict(position)
    folder = _folder(cache_dir) / encoder.fingerprint()
    for path in sorted(folder.glob("*.npz")):
        for key, vector in _read_shard(path, missing, encoder.dim):
            vectors[missing.pop(key)] = vector
    todo = list(missing)
    with tqdm(total=len(todo), unit="item", desc="Encoding", disable=not (progress and todo)) as bar:
        for start in range(0, len(todo), shard_size):
            shard = todo[start : start + shard_size]
            rows = [first_row[key] for key in shard]
            try:
                made = np.asarray(encoder.encode(_Rows(contents, rows), batch_size, bar.update), np.float32)
            except ContentError as error:
                raise ContentError(rows[error.row], error.reason) from error
            if made.shape != (len(shard), encoder.dim):
                raise ValueError(f"encoder: expected vectors {(len(shard), encoder.dim)}, got {made.shape}")
            vectors[[missing[key] for key in shard]] = made
            _write_shard(folder, shard, made)
    return vectors[[position[key] for key in keys]]


class _Rows:
    """Some rows of a sequence, read when they are asked for."""

    def __init__(self, contents: Contents, rows: list[int]) -> None:
        self._contents, self._rows = contents, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> str | bytes:
        return self._contents[self._rows[index]]


def _key(content: str | bytes) -> bytes:
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()


def _folder(cache_dir: str | os.PathLike | None) -> Path:
    if cache_dir is None:
        cache_dir = os.environ.get(CACHE_VARIABLE)
    if cache_dir:
        return Path(cache_dir).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfrec_div"


def _read_shard(path: Path, wanted: dict[bytes, int], dim: int) -> list[tuple[bytes, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as shard:
            keys = [key.tobytes() for key in shard["keys"]]
            rows = [row for row, key in enumerate(keys) if key in wanted]
            if not rows:
                return []
            vectors = shard["vectors"]  # the archive's checksum is verified here
        if vectors.shape != (len(keys), dim):
            raise ValueError(f"vectors {vectors.shape}, expected {(len(keys), dim)}")
        return [(keys[row], vectors[row]) for row in rows]
    except FileNotFoundError:  # another process found it damaged
        return []
    except OSError as error:
        warnings.warn(f"{path} cannot be read ({error}); its contents are encoded again", stacklevel=3)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"{path} is damaged ({error}); its contents are encoded again", stacklevel=3)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return []


def _write_shard(folder: Path, keys: list[bytes], vectors: np.ndarray) -> None:
    table = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)
    # Named by what it holds: processes that encode the same write the same file, and others never meet.
    target = folder / f"{hashlib.sha256(table.data).hexdigest()[:32]}.npz"
    temporary = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.savez(file, keys=table, vectors=vectors)
        os.replace(temporary, target)
    except OSError as error:
        warnings.warn(
            f"vectors are not kept: {folder} cannot be written ({error}); "
            f"name another folder in {CACHE_VARIABLE}",
            stacklevel=3,
        )
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
