"""Lines that arrive over time are the lines that a file would hold, and none waits for the next."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.data.readers import read_lines
from seq2seq.data.streams import arriving, chunks
from seq2seq.errors import DataError


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_has_arrived_is_handed_on_before_more_comes(pipe: tuple[int, int]) -> None:
    out, into = pipe
    found = arriving(out)
    os.write(into, b"one\n")
    assert next(found) == (1, ["one"])
    os.write(into, b"two\n\nthr")
    assert next(found) == (2, ["two", ""])
    os.write(into, b"ee\r\nfo")
    assert next(found) == (4, ["three"])
    os.write(into, b"u")
    os.write(into, b"r")
    os.close(into)
    assert next(found) == (5, ["four"])
    assert list(found) == []


def test_any_cut_gives_the_lines_of_the_file(tmp_path: Path, pipe: tuple[int, int]) -> None:
    draw = random.Random(3)
    text = "".join(draw.choice("aä\n\r\u2028🦖 \t") for _ in range(4000))
    content = b"\xef\xbb\xbf" + text.encode()
    (tmp_path / "file").write_bytes(content)
    expected = list(read_lines(tmp_path / "file"))
    out, into = pipe
    found: list[str] = []
    stream = arriving(out, most=3)
    at = 0
    while at < len(content):
        size = draw.randint(1, 40)
        piece = content[at : at + size]
        at += size
        os.write(into, piece)
        if b"\n" in piece:
            first, lines = next(stream)
            assert 1 <= len(lines) <= 3 and first == len(found) + 1
            found += lines
    os.close(into)
    for chunk in stream:
        found += chunk.lines
    assert found == expected


def test_an_empty_stream_has_no_line_and_an_empty_line_is_one(pipe: tuple[int, int]) -> None:
    out, into = pipe
    os.write(into, b"\n")
    os.close(into)
    assert list(arriving(out)) == [(1, [""])]
    assert list(arriving(out)) == []


def test_what_is_not_utf8_is_told_with_its_line(pipe: tuple[int, int]) -> None:
    out, into = pipe
    os.write(into, b"ok\nok\n")
    found = arriving(out)
    assert next(found) == (1, ["ok", "ok"])
    os.write(into, b"ok\nna\xefve\n")
    with pytest.raises(DataError, match=r"standard input:4 is not UTF-8 \(byte 0xef at position 3"):
        next(found)


def test_a_file_comes_in_lists_of_the_size_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1\n2\n3\n4\n5", encoding="utf-8")
    assert list(chunks(str(tmp_path / "file"), most=2)) == [(1, ["1", "2"]), (3, ["3", "4"]), (5, ["5"])]
    with pytest.raises(DataError, match="does not exist"):
        list(chunks(str(tmp_path / "none")))
