"""Text that arrives while it is worked on."""

from __future__ import annotations

import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from itertools import islice

from seq2seq.data.readers import read_lines

MOST = 1024
"""Lines that are handed on at a time."""


def chunks(path: str, most: int = MOST) -> Iterator[list[str]]:
    """The lines of a text file in lists of ``most``.

    From standard input (``-``), where it is a terminal or a pipe, whatever has arrived is handed on at once, so that
    somebody who writes a single line does not wait for more.
    """
    lines = read_lines(path)
    if path == "-" and not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        yield from _arrived(lines, most)
        return
    while chunk := list(islice(lines, most)):
        yield chunk


def _arrived(lines: Iterator[str], most: int) -> Iterator[list[str]]:
    waiting: queue.Queue[str | Exception | None] = queue.Queue(maxsize=2 * most)

    def read() -> None:
        try:
            for line in lines:
                waiting.put(line)
        except Exception as error:
            waiting.put(error)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    last: str | Exception | None = ""
    while isinstance(last, str):
        last = waiting.get()
        chunk: list[str] = []
        while isinstance(last, str):
            chunk.append(last)
            if len(chunk) == most:
                break
            try:
                last = waiting.get_nowait()
            except queue.Empty:
                break
        if chunk:
            yield chunk
    if isinstance(last, Exception):
        raise last
