"""Arrays on disk: written in one pass, read through memory maps, checked before they are trusted."""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

_MANIFEST = "manifest.json"
_AT_ONCE = 128
"""Places that are read before pages are given back: the system may make 64 KiB resident around each."""


class Mapped:
    """A flat array in a file, mapped into memory and read-only: the disk's pages, not the process's memory."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._map: mmap.mmap | None = None
        self.array: Array = np.empty(0, dtype)
        if path.stat().st_size:  # an empty file cannot be mapped
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.array = np.frombuffer(self._map, dtype)

    def take(self, places: NDArray[np.int64]) -> Array:
        """The values at ``places`` ``[N]``, copied; however many, few of the file's pages are resident at a time."""
        taken = np.empty(len(places), self.array.dtype)
        order = np.argsort(places, kind="stable")  # neighbours share pages
        for first in range(0, len(order), _AT_ONCE):
            some = order[first : first + _AT_ONCE]
            taken[some] = self.array[places[some]]
            self.release()
        return taken

    def release(self) -> None:
        """Gives the pages that were touched back to the system, which would otherwise count as resident."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class Column:
    """Rows of different lengths: all values one after the other, and where each row begins."""

    def __init__(self, folder: Path, name: str, dtype: DTypeLike) -> None:
        self._values = Mapped(folder / f"{name}.values", dtype)
        self._offsets = Mapped(folder / f"{name}.offsets", np.int64)

    def __len__(self) -> int:
        return len(self._offsets.array) - 1

    def take(self, rows: NDArray[np.int64]) -> list[Array]:
        """Copies of some rows."""
        ends = self._ends(rows)
        taken = []
        for number, (first, last) in enumerate(ends.T.tolist(), start=1):
            taken.append(self._values.array[first:last].copy())
            if number % _AT_ONCE == 0:
                self._values.release()
        self._values.release()
        return taken

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many values each of the rows has."""
        firsts, lasts = self._ends(rows)
        return lasts - firsts

    def _ends(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the rows begin and where they end, ``[2, N]``."""
        return self._offsets.take(np.concatenate((rows, rows + 1))).reshape(2, -1)


class ColumnWriter:
    """Writes a column piece by piece; the files are whole once it is closed."""

    def __init__(self, folder: Path, name: str, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._values = (folder / f"{name}.values").open("wb")
        self._offsets = (folder / f"{name}.offsets").open("wb")
        self._end = 0
        self._offsets.write(np.zeros(1, np.int64).tobytes())

    def extend(self, rows: Sequence[Array]) -> None:
        """Appends rows."""
        ends = self._end + np.cumsum([len(row) for row in rows], dtype=np.int64)
        self._values.write(np.concatenate(rows).astype(self._dtype).tobytes())
        self._offsets.write(ends.tobytes())
        self._end = int(ends[-1])

    def close(self) -> None:
        """Writes what is still held back."""
        self._values.close()
        self._offsets.close()


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Writes a folder's manifest: the facts, and the size and checksum of each file, by which ``unsealed`` knows it."""
    files = {path.name: _checksum(path) for path in sorted(folder.iterdir()) if path.name != _MANIFEST}
    write_atomically(folder / _MANIFEST, json.dumps({"facts": facts, "files": files}).encode())


def unsealed(folder: Path) -> dict[str, Any] | None:
    """The facts of a sealed folder, or None where it is missing, unfinished or damaged."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        whole = all(_checksum(folder / name) == known for name, known in manifest["files"].items())
        return manifest["facts"] if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes out while one builds; where the system or the disk knows no locks, nobody is kept out."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    with path.open("wb") as file:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checksum(path: Path) -> list[int]:
    """Size in bytes and CRC-32 of a file, read in pieces."""
    size = checksum = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
    return [size, checksum]
