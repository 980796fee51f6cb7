"""What counts as a line of Python, by hand."""

from __future__ import annotations

import pytest

from seq2seq.metrics.code import parsable
from seq2seq.tasks.metrics import Parsable
from seq2seq.types import Example

PYTHON = [
    "x = 1", "return x", "    import os  # why", "# only a comment", "@property", "for x in y:", "else:", "elif x > 2:",
    "except (OSError, ValueError) as error:", "finally:", "class A(B):", "def f(x, *, y=2) -> None:", "x = '\\d'",
    "with open(path) as file:", "raise ValueError", "yield x",
]  # fmt: skip
OTHER = [
    "x = = 1", "def f(", "Returns the value of x.", "for x in y", "('a', 'b'", "else", "x = 'open", "}",
    "if x: y else: z", "elif:", "\x00", "@", "0x", "(" * 300,
]  # fmt: skip


@pytest.mark.parametrize("line", PYTHON)
def test_a_line_that_is_python(line: str) -> None:
    if line.startswith("@"):
        assert parsable([line]).value == 0  # what it stands on is another line
    else:
        assert parsable([line]).value == 100


@pytest.mark.parametrize("line", OTHER)
def test_a_line_that_is_none(line: str) -> None:
    assert parsable([line]).value == 0


def test_blank_lines_and_lines_that_may_be_cut_do_not_count() -> None:
    assert parsable(["= cut\n\nx = 1\n  \n\ty = = 2\nz = 3\ncut ("]) == (pytest.approx(200 / 3), "lines:3")
    assert parsable(["x = 1", "x ="]) == (50, "lines:2")
    assert parsable(["", "\n\n"]) == (0, "lines:0")


def test_as_a_metric_it_needs_no_reference() -> None:
    assert Parsable()(["x = 1"], [Example("", "whatever", "a:1")]) == (100, "lines:1")
