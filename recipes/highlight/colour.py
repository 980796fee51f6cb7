"""Colours a Python file by what a trained model takes each character for, as a page for a browser.

    python recipes/highlight/colour.py runs/highlight/latest FILE.py > FILE.html

What the standard library's tokenizer would have said otherwise is underlined, and how much of it there is stands on
stderr.
"""

from __future__ import annotations

import sys
from html import escape
from itertools import groupby
from pathlib import Path

import seq2seq
from seq2seq.data.builtin.highlighting import END_OF_LINE, KINDS, kinds, lines
from seq2seq.errors import UserError

COLOURS = {"k": "#a626a4", "n": "#383a42", "s": "#50a14f", "c": "#a0a1a7", "d": "#986801", "o": "#0184bc"}
LENGTH = 200
"""Characters that a model reads at a time, in whole lines where they are not longer"""


def main(arguments: list[str]) -> int:
    """Runs the script; returns its exit status."""
    if len(arguments) != 2:
        print("error: expected a trained model and a Python file", file=sys.stderr)
        return 1
    try:
        text = Path(arguments[1]).read_text(encoding="utf-8")
        parts = cut(text)
        found = seq2seq.load(arguments[0])([part.replace("\n", END_OF_LINE) for part in parts])
        letters = "".join(each or "_" * len(part) for each, part in zip(found, parts))  # of blanks models say nothing
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    truth = kinds(text)
    if truth is None:
        print(f"{arguments[1]} is no Python: nothing to compare with", file=sys.stderr)
    else:
        right = sum(one == other for one, other in zip(letters, truth))
        print(f"{100 * right / max(len(text), 1):.2f} % of {len(text):,} characters are right", file=sys.stderr)
    print(page(text, letters, truth or letters))
    return 0


def cut(text: str) -> list[str]:
    """A text in parts that a model can read at a time; nothing is lost."""
    parts = [""]
    for line in lines(text):
        pieces = [line[start : start + LENGTH] for start in range(0, len(line), LENGTH)]
        for piece in pieces:
            if len(parts[-1]) + len(piece) > LENGTH:
                parts.append("")
            parts[-1] += piece
    return parts


def page(text: str, letters: str, truth: str) -> str:
    """The page: a span for each run of characters of one kind."""
    spans = []
    for (letter, right), group in groupby(zip(text, letters, truth), key=lambda each: (each[1], each[1] == each[2])):
        characters = escape("".join(character for character, _, _ in group))
        spans.append(f'<span class="{letter}{"" if right else " wrong"}">{characters}</span>')
    rules = [f".{letter} {{color: {colour}}}" for letter, colour in COLOURS.items()]
    legend = " ".join(f'<span class="{letter}">{name}</span>' for letter, name in KINDS.items() if letter in COLOURS)
    style = "\n".join([*rules, ".wrong {text-decoration: underline wavy red}"])
    return f"<!doctype html><meta charset=utf-8><style>{style}</style><p>{legend}</p><pre>{''.join(spans)}</pre>"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
