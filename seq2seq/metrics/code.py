"""Whether lines are Python: plain lists in, floats out."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

from seq2seq.metrics.text import Score

_AROUND = ("{}", "{} pass", "if 0: pass\n{} pass", "try: pass\n{} pass")
"""A line by itself, one that opens a block, and one that goes on with a statement: ``else:``, ``except OSError:``"""


def parsable(texts: Sequence[str]) -> Score:
    """Percentage of lines that Python's parser accepts, out of those that are not blank.

    A line is taken by itself, without its indentation; one that opens a block is given a body, and ``elif``, ``else``,
    ``except`` and ``finally`` what they belong to. So the middle of a bracket or of a docstring is no Python, though
    it may be right where it stands: real source does not reach 100. The first line of a text and its last one, which
    may be cut, count only where they are all that there is.
    """
    lines = [line.strip() for text in texts for line in _whole(text.split("\n"))]
    lines = [line for line in lines if line]
    return Score(100 * sum(map(_accepted, lines)) / max(len(lines), 1), f"lines:{len(lines)}")


def _whole(lines: list[str]) -> list[str]:
    return lines[1:-1] if len(lines) > 1 else lines


def _accepted(line: str) -> bool:
    return any(_parses(form.format(line)) for form in _AROUND)


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in strings, and the like
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
