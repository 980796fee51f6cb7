"""Outputs that are written in parts: by several processes, with interruptions, and joined when all are there.

Beside ``OUTPUT`` stands, until then, a folder ``OUTPUT.parts``:

    run.json              what the parts belong to, and how many lines the smallest of them has
    lock                  byte n of it is locked while somebody works on the part that begins with line n
    000000000001.txt …    finished parts, by the line that they begin with

A lock goes with the process that holds it, so that whoever is killed leaves nothing to clean up, and the same command,
given again, goes on. Two processes that cannot see each other's locks do some work twice and nothing wrong.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from seq2seq.data.readers import decode_line, raw_lines
from seq2seq.data.streams import Chunk
from seq2seq.errors import DataError

MARK, LOCK = "run.json", "lock"
LEAST, MOST, SHARE = 1, 64, 1024
"""A part has a ``SHARE``-th of the lines that stand before it: 1 to 64 times those of the smallest. So a short text has
parts for all processes, and a thousand million lines are some twenty thousand files."""


class Parts:
    """What there is of an output so far. Within it, parts are claimed, their lines are added, and all is joined.

    Args:
        output: The file that will be.
        source: The text that it is an output for.
        belongs: Names and values of all that the output depends on.
        lines: Of the smallest part, where this is the first process to begin.

    Raises:
        DataError: Nothing can be written there, or what is there belongs to something else.
    """

    def __init__(self, *, output: Path, source: Path, belongs: dict[str, Any], lines: int) -> None:
        self.folder, self._output, self._source = Path(f"{output}.parts"), output, source
        self._me = f"{socket.gethostname()}.{os.getpid()}"
        try:
            self.lines = self._begin({"lines": lines, **belongs})
            self._lock = (self.folder / LOCK).open("r+b")
        except OSError as error:
            raise DataError(f"{output}: cannot be written ({error.strerror or error})") from error
        self.found = len(list(self.folder.glob("*.txt")))
        """Parts that were there already"""
        self._parts: list[int] = []  # the first line of each part of the text
        self._claimed: deque[tuple[int, int]] = deque()  # first line and number of lines, of those not yet begun
        self._open: tuple[int, int, BinaryIO] | None = None  # first line, number of lines still to come, and file

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open[2].close()
            self._aside(self._open[0]).unlink(missing_ok=True)
        if not self._is_joined() and self._is_idle():
            shutil.rmtree(self.folder)  # nothing has come of it
        self._lock.close()

    def claim(self) -> Iterator[Chunk]:
        """The chunks of those parts of the text that nobody has finished or works on; they are this process's now.

        Raises:
            DataError: The text cannot be read, or a line is not UTF-8.
        """
        lines, first = raw_lines(self._source), 1
        for size in sizes(self.lines):
            ours, there = self._take(first), 0
            while there < size and (some := list(islice(lines, self.lines))):
                if ours and not there:
                    self._claimed.append((first, size))
                if ours:
                    at = first + there
                    yield Chunk(at, [decode_line(line, self._source, n) for n, line in enumerate(some, start=at)])
                there += len(some)
            if there:
                self._parts.append(first)
            if there < size:
                return
            first += size

    def add(self, chunk: Chunk, text: str) -> None:
        """Adds the output for a chunk. They come in the order in which they were claimed."""
        if self._claimed and chunk.first == self._claimed[0][0]:
            self._finish()
            first, size = self._claimed.popleft()
            self._open = first, size, self._aside(first).open("wb")
        assert self._open is not None
        first, size, file = self._open
        file.write(text.encode("utf-8"))
        self._open = first, size - len(chunk.lines), file
        if size == len(chunk.lines):
            self._finish()

    def join(self) -> int:
        """Makes the output of the parts, and removes them, once the whole text has been claimed and added.

        Returns:
            How many parts other processes still work on; the last of them to end will join.
        """
        self._finish()
        paths = [self._path(first) for first in self._parts]
        if missing := sum(not path.exists() for path in paths):
            return 0 if self._is_over() else missing
        aside = self._output.with_name(f"{self._output.name}.{self._me}.part")
        try:
            with aside.open("wb") as whole:
                for path in paths:
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, whole)
                os.fsync(whole.fileno())
            aside.replace(self._output)
            # Not removed under its name: what is left of it by a kill would seem to be an output that was begun.
            shutil.rmtree(self.folder.rename(f"{self.folder}.{self._me}.done"))
        except FileNotFoundError:
            aside.unlink(missing_ok=True)
            if not self._is_over():
                raise
        return 0

    def _is_over(self) -> bool:
        """Whether others have done all that this process would still have to do, so that it can end."""
        if self._is_joined() and not self._output.exists():
            raise DataError(f"{self.folder}: was taken away before all was done; give the command again")
        return self._is_joined()

    def _is_joined(self) -> bool:
        """Whether another process has joined all parts and taken the folder away."""
        try:
            return not os.path.samestat((self.folder / LOCK).stat(), os.fstat(self._lock.fileno()))
        except FileNotFoundError:
            return True

    def _is_idle(self) -> bool:
        """Whether nothing is there yet, and no other process works on any part."""
        if {path.name for path in self.folder.iterdir()} != {MARK, LOCK}:
            return False
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a disk without locks, too
            return False
        return True

    def _begin(self, belongs: dict[str, Any]) -> int:
        """Makes the folder, or finds it; returns the number of lines of its smallest part."""
        mine = Path(f"{self.folder}.{self._me}")
        mine.mkdir(parents=True)
        (mine / LOCK).touch()
        (mine / MARK).write_text(json.dumps(belongs, indent=1), encoding="utf-8")
        try:
            mine.rename(self.folder)  # whole, or not at all
        except OSError:
            shutil.rmtree(mine)
            if not (self.folder / MARK).is_file():
                raise
        try:
            there = json.loads((self.folder / MARK).read_text(encoding="utf-8"))
        except ValueError:
            there = {}
        for name in sorted((belongs.keys() | there.keys()) - {"lines"}):
            if belongs.get(name) != there.get(name):
                raise DataError(
                    f"{self.folder}: begun with {name} {there.get(name)}, not {belongs.get(name)}: "
                    "go on as it was begun, or remove that folder to begin anew"
                )
        return int(there["lines"])

    def _take(self, first: int) -> bool:
        """Whether a part is ours to work on."""
        if self._path(first).exists():
            return False
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, first)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a disk without locks
            return (len(self._parts) - int(os.environ.get("RANK", "0"))) % int(os.environ.get("WORLD_SIZE", "1")) == 0
        if self._path(first).exists() or self._is_joined():  # since we looked
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, first)
            return False
        return True

    def _finish(self) -> None:
        if self._open is None:
            return
        first, _, file = self._open
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self._aside(first).replace(self._path(first))
        self._open = None
        with suppress(OSError):  # a disk without locks
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, first)

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:012d}.txt"

    def _aside(self, first: int) -> Path:
        return self.folder / f"{first:012d}.{self._me}.part"


def stamp(path: Path) -> str:
    """A file by its name, size and age, of which one changes when its content does."""
    status = path.stat()
    changed = datetime.fromtimestamp(status.st_mtime, tz=timezone.utc).isoformat()
    return f"{path.parent.resolve().name}/{path.name} ({status.st_size:,} bytes, {changed})"


def sizes(least: int) -> Iterator[int]:
    """How many lines each part has, one after the other, where the smallest has ``least``."""
    before = 0
    while True:
        size = least * min(max(before // (SHARE * least), LEAST), MOST)
        yield size
        before += size
