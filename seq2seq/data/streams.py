"""Text that arrives while it is worked on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from itertools import islice

from seq2seq.data.readers import decode_line, read_lines

MOST = 1024
"""Lines that are handed on at a time."""
_PIECE = 1 << 16
"""Bytes asked for at a time: what a pipe holds."""


def chunks(path: str, most: int = MOST) -> Iterator[list[str]]:
    """The lines of a text file in lists of up to ``most``.

    From standard input (``-``), where it is a terminal or a pipe, whatever has arrived is handed on at once, so that
    somebody who writes a single line does not wait for more.
    """
    if path == "-" and not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        yield from arriving(sys.stdin.fileno(), most)
        return
    lines = read_lines(path)
    while chunk := list(islice(lines, most)):
        yield chunk


def arriving(descriptor: int, most: int = MOST) -> Iterator[list[str]]:
    """The lines of a pipe or terminal, as they come; each list is what could be read without waiting again.

    Args:
        descriptor: An open file's number. It is read directly: a buffered file cannot say what it has without waiting,
            and a thread that waits for it would keep the process from ending when the output is closed early.
        most: Lines in a list at most.

    Raises:
        DataError: A line is not UTF-8.
    """
    kept: list[bytes] = []  # pieces of a line that has not ended
    number = 0
    while piece := os.read(descriptor, _PIECE):
        head, end, tail = piece.rpartition(b"\n")
        if end:
            lines = b"".join([*kept, head]).split(b"\n")
            kept = []
            for start in range(0, len(lines), most):
                yield [
                    decode_line(line, "-", number + i)
                    for i, line in enumerate(lines[start : start + most], start=start + 1)
                ]
            number += len(lines)
        if tail:
            kept.append(tail)
    if kept:
        yield [decode_line(b"".join(kept), "-", number + 1)]
