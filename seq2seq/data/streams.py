"""Text in chunks, as it is read or as it arrives, and a place for what is written."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from seq2seq.data.readers import decode_line, read_lines
from seq2seq.errors import DataError

MOST = 512
"""Lines that are handed on at a time."""
_PIECE = 1 << 16
"""Bytes asked for at a time: what a pipe holds."""
_BREATH = 0.01
"""Seconds in which a program that writes without pause has filled its pipe again."""
_TICK = 0.1
"""Seconds after which a reader is told that nothing has arrived."""


class Chunk(NamedTuple):
    """Lines that follow one another; none where nothing has arrived for a while."""

    first: int
    """The number of the first one, from 1"""
    lines: list[str]


def is_live(path: str) -> bool:
    """Whether a text arrives over time: standard input (``-``), where it is a terminal or a pipe."""
    return path == "-" and not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)


def chunks(path: str, most: int = MOST) -> Iterator[Chunk]:
    """The lines of a text file in chunks of up to ``most``.

    Of a text that arrives over time, whatever is there is handed on at once, so that somebody who writes a single line
    does not wait for more.
    """
    if is_live(path):
        yield from arriving(sys.stdin.fileno(), most)
        return
    yield from in_chunks(read_lines(path), most)


def in_chunks(lines: Iterable[str], most: int = MOST) -> Iterator[Chunk]:
    """Lines that are there, in chunks of up to ``most``."""
    lines, first = iter(lines), 1
    while chunk := list(islice(lines, most)):
        yield Chunk(first, chunk)
        first += len(chunk)


def arriving(descriptor: int, most: int = MOST) -> Iterator[Chunk]:
    """The lines of a pipe or terminal, as they come; each chunk is what could be read without waiting again.

    Where nothing comes for a while, a chunk without lines is handed on, so that the reader may see to what else has
    become ready.

    Args:
        descriptor: An open file's number. It is read directly: a buffered file cannot say what it has without waiting,
            and a thread that waits for it would keep the process from ending when the output is closed early.
        most: Lines in a chunk at most.

    Raises:
        DataError: A line is not UTF-8.
    """
    kept: list[bytes] = []  # pieces of a line that has not ended
    lines: list[bytes] = []  # not handed on yet
    first, ended = 1, False
    while lines or not ended:
        if len(lines) < most and not ended and _has_arrived(descriptor, _BREATH if lines else _TICK):
            piece = os.read(descriptor, _PIECE)
            head, end, tail = piece.rpartition(b"\n")
            if end:
                lines += b"".join([*kept, head]).split(b"\n")
                kept = []
            if tail:
                kept.append(tail)
            ended = not piece
            if ended and kept:
                lines.append(b"".join(kept))
            continue
        chunk = [decode_line(line, "-", number) for number, line in enumerate(lines[:most], start=first)]
        del lines[:most]
        yield Chunk(first, chunk)
        first += len(chunk)


def _has_arrived(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or the end, within some seconds."""
    return bool(select.select([descriptor], [], [], seconds)[0])


@contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """Standard output for ``-``; else a file that is written aside and has its name once it is whole."""
    if path == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        yield sys.stdout
        return
    special = Path(path).exists() and not Path(path).is_file()  # /dev/null must not be replaced
    aside = Path(path if special else f"{path}.part")
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        file = aside.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        with file:
            yield file
    except BaseException:
        if not special and not aside.stat().st_size:
            aside.unlink()
        raise
    if not special:
        aside.replace(path)
