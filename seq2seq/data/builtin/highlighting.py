"""Python source with the kind of each character, as the standard library's own tokenizer tells it."""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Iterator
from pathlib import Path

from seq2seq.data.builtin.python_source import modules
from seq2seq.data.readers import joint_hash
from seq2seq.errors import ConfigError
from seq2seq.types import Example

KINDS = {"k": "keyword", "n": "name", "s": "string", "c": "comment", "d": "number", "o": "operator", "_": "space"}
"""What each label, one letter, stands for"""
END_OF_LINE = "␤"
"""How a line ends in a chunk, which as an example is one line itself"""
OF_TOKENS = {tokenize.STRING: "s", tokenize.COMMENT: "c", tokenize.NUMBER: "d", tokenize.OP: "o"}


class Highlighting:
    """Reads chunks of the standard library's modules, whole lines, with a letter for each character.

    Args:
        part: ``train``, ``valid`` or ``test``; no module is in two of them.
        size: number of chunks; there may be fewer where the library has no more.
        length: the most characters of a chunk. Longer lines are left out.
    """

    def __init__(self, *, part: str, size: int, length: int) -> None:
        if size < 1 or length < 1:
            raise ConfigError(f"size={size}, length={length} of the highlighted source: expected 1 or more of both")
        self.part, self.size, self.length = part, size, length

    def __iter__(self) -> Iterator[Example]:
        left = self.size
        for module in modules(self.part):
            for first, chunk, letters in chunks(module.text, self.length):
                if not left:
                    return
                left -= 1
                yield Example(chunk, letters, f"{module.name}:{first}")

    def fingerprint(self) -> str:
        """A hash of all that is read: another Python has another library."""
        texts = (text for module in modules(self.part) for text in module)
        return joint_hash([str(self.size), str(self.length), Path(__file__).read_text(encoding="utf-8"), *texts])


def chunks(text: str, length: int) -> Iterator[tuple[int, str, str]]:
    """The number of its first line, the characters and their letters, of every chunk that is not blank."""
    marked = kinds(text)
    if marked is None:
        return
    first, chunk, letters, places = 1, "", "", iter(marked)
    for number, line in enumerate([*lines(text), ""], start=1):
        marks = "".join(next(places) for _ in line)
        if not line or len(chunk) + len(line) > length:
            if chunk.strip(END_OF_LINE + " "):
                yield first, chunk, letters
            first, chunk, letters = number, "", ""
        if len(line) <= length:
            chunk, letters = chunk + line.replace("\n", END_OF_LINE), letters + marks
        else:
            first = number + 1


def lines(text: str) -> list[str]:
    """The lines of a module with their ends, as the tokenizer counts them: a form feed ends none."""
    return list(io.StringIO(text))


def kinds(text: str) -> str | None:
    """A letter for each character of a module; None where it is no Python.

    A formatted string is string throughout, with what is computed in it, as older Pythons' tokenizers have it.
    """
    starts = [0]
    for line in lines(text):
        starts.append(starts[-1] + len(line))
    letters = ["_"] * len(text)
    depth, begun = 0, 0  # of formatted strings within each other, of which newer Pythons give the parts
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            first, last = (starts[row - 1] + column for row, column in (token.start, token.end))
            kind = tokenize.tok_name[token.type]
            letter = OF_TOKENS.get(token.type, "_")
            if token.type == tokenize.ERRORTOKEN:
                return None
            if token.type == tokenize.NAME:
                letter = "k" if keyword.iskeyword(token.string) else "n"
            if kind.endswith("STRING_START"):
                begun, depth = first if not depth else begun, depth + 1
            elif kind.endswith("STRING_END"):
                depth -= 1
                if not depth:
                    letters[begun:last] = "s" * (last - begun)
            elif not depth and letter != "_":
                letters[first:last] = letter * (last - first)
    except (tokenize.TokenError, SyntaxError):
        return None
    return "".join(letters)
