"""The source code of Python's standard library, as it lies on the user's own machine: real text without a fetch."""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seq2seq.data.readers import joint_hash
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

PARTS = {"train": range(90), "valid": range(90, 95), "test": range(95, 100)}
"""Percentiles of the hash of a module's name: whole modules are held out, the same ones whatever the size"""
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data"}
"""Folders with tests, with what does not belong to the library, and with tables instead of code"""


class Module(NamedTuple):
    """The source of one module."""

    name: str
    """Its path in the library, ``json/decoder.py``"""
    text: str


def modules(part: str) -> Iterator[Module]:
    """The modules of a part of the library, in an order that mixes its subjects and is the same everywhere.

    Modules that are not ASCII are left out, so that a vocabulary of characters stays small.

    Args:
        part: ``train``, ``valid`` or ``test``.

    Raises:
        ConfigError: unknown part.
        DataError: this Python has no library in source.
    """
    if part not in PARTS:
        raise ConfigError(f"part={part!r} of the standard library: expected one of {', '.join(PARTS)}")
    root = Path(sysconfig.get_path("stdlib"))
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    names = [name for name in paths if not LEFT_OUT & set(name.split("/")[:-1])]
    if not names:
        raise DataError(f"{root} holds no source of the standard library: give a text of your own, data=text_file")
    for name in sorted(names, key=_hash):
        content = paths[name].read_bytes()
        if _hash(name) % 100 in PARTS[part] and content.strip() and content.isascii():
            yield Module(name, content.decode().replace("\r\n", "\n"))


class PythonSource:
    """Reads modules of the standard library as texts, for a language model.

    Args:
        part: ``train``, ``valid`` or ``test``; no module is in two of them.
        size: characters; the last module is cut, and there may be fewer where the library has no more.
    """

    def __init__(self, *, part: str, size: int) -> None:
        if size < 1:
            raise ConfigError(f"size={size} of the standard library: expected a number of characters, 1 or more")
        self.part, self.size = part, size

    def __iter__(self) -> Iterator[Example]:
        left = self.size
        for name, text in modules(self.part):
            yield Example("", text[:left], name)
            left -= len(text)
            if left <= 0:
                return

    def fingerprint(self) -> str:
        """A hash of all that is read: another Python has another library."""
        return joint_hash(["python", *(part for example in self for part in (example.where, example.tgt))])


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
